//! Impossible states: a violated invariant is reported by its id, never passed over.
//!
//! A fallback such as `unwrap_or_default` turns a bug into a wrong answer far from its cause. Here
//! the bug stops where it shows. The checked builds are tests, debug builds, loom's models and builds
//! with the feature `faults`.
//!
//! | tool | checked builds | release builds |
//! |---|---|---|
//! | `invariant!`, [`Invariant::invariant`] | panic | return a [`Violation`], which callers see as [`CheckpointError::Internal`] |
//! | [`Invariant::expected`], [`violated`] | panic | take the fallback that the caller names |
//! | `checked_invariant!` | panic | evaluate nothing: for the hottest paths |
//!
//! The first kind is for functions that can return an error. The second kind is for `Drop` and for
//! getters that cannot. A comment there says why the fallback does the least harm.
//!
//! The other crates of this workspace use it as [`lowtide_checkpoint::internal`], which is no part of
//! the public interface.
//!
//! # Invariants
//! - Each use names an invariant of `docs/invariants.md`.
//! - Data from outside is never a reason to come here: it is refused with an error of its own.
//!
//! [`CheckpointError::Internal`]: crate::CheckpointError::Internal
//! [`lowtide_checkpoint::internal`]: crate::internal

/// Whether a violated invariant panics.
pub const IS_CHECKED: bool = cfg!(any(
    test,
    debug_assertions,
    feature = "faults",
    checkpoint_loom
));

/// An invariant that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Id of the invariant in `docs/invariants.md`.
    pub invariant: &'static str,
    /// Condition that does not hold.
    pub what: &'static str,
}

/// Reports that an invariant does not hold, and returns the report in a release build.
///
/// # Panics
/// In checked builds.
#[cold]
#[inline(never)]
#[track_caller]
pub fn violated(invariant: &'static str, what: &'static str) -> Violation {
    assert!(!panics(), "invariant {invariant} is violated: {what}");
    Violation { invariant, what }
}

#[cfg(not(any(test, feature = "faults")))]
const fn panics() -> bool {
    IS_CHECKED
}

/// Returns an error from the function unless the condition holds. Panics in checked builds.
#[doc(hidden)]
#[macro_export]
macro_rules! invariant {
    ($holds:expr, $invariant:literal, $what:literal) => {
        if !$holds {
            return Err($crate::internal::violated($invariant, $what).into());
        }
    };
}

/// Panics in checked builds unless the condition holds. Release builds do not evaluate it.
#[doc(hidden)]
#[macro_export]
macro_rules! checked_invariant {
    ($holds:expr, $invariant:literal, $what:literal) => {
        if $crate::internal::IS_CHECKED && !$holds {
            let _violation = $crate::internal::violated($invariant, $what);
        }
    };
}

pub use {checked_invariant, invariant};

/// A value that an invariant promises.
pub trait Invariant<T> {
    /// Returns the value.
    ///
    /// # Errors
    /// A [`Violation`] if there is none, in release builds. Checked builds panic.
    fn invariant(self, invariant: &'static str, what: &'static str) -> Result<T, Violation>;

    /// Returns itself, for a caller that names a fallback. Checked builds panic if there is no
    /// value.
    #[must_use]
    fn expected(self, invariant: &'static str, what: &'static str) -> Self;
}

impl<T> Invariant<T> for Option<T> {
    #[inline]
    #[track_caller]
    fn invariant(self, invariant: &'static str, what: &'static str) -> Result<T, Violation> {
        match self {
            Some(value) => Ok(value),
            None => Err(violated(invariant, what)),
        }
    }

    #[inline]
    #[track_caller]
    fn expected(self, invariant: &'static str, what: &'static str) -> Self {
        if IS_CHECKED && self.is_none() {
            let _violation = violated(invariant, what);
        }
        self
    }
}

/// Subtracts a part from its total. A release build stops at 0 if the part is larger.
///
/// A total of 0 is closer to the truth than the huge number that a wrapped one would be.
#[inline]
#[track_caller]
pub(crate) fn subtract(
    total: &mut usize,
    part: usize,
    invariant: &'static str,
    what: &'static str,
) {
    *total = total
        .checked_sub(part)
        .expected(invariant, what)
        .unwrap_or(0);
}

#[cfg(any(test, feature = "faults"))]
mod release {
    use std::cell::Cell;

    std::thread_local! {
        static IS_RELEASE: Cell<bool> = const { Cell::new(false) };
    }

    pub(super) fn panics() -> bool {
        !IS_RELEASE.get()
    }

    /// Runs `step` as a release build does: a violated invariant is returned, not raised.
    pub fn as_in_release<T>(step: impl FnOnce() -> T) -> T {
        IS_RELEASE.set(true);
        let result = step();
        IS_RELEASE.set(false);
        result
    }
}

#[cfg(any(test, feature = "faults"))]
pub use release::as_in_release;
#[cfg(any(test, feature = "faults"))]
use release::panics;

#[cfg(test)]
mod tests;
