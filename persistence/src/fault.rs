//! Faults that tests switch on, one at a time, to see that the simulator notices.
//!
//! With the feature `faults` only: without it [`is`] is `false` and nothing of this is compiled in.
//! Each is a bug that stores have had.

/// What can be made wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A compacted file gets its name without a sync of the directory.
    NamesAreNotSynced,
    /// A commit is acknowledged without a sync of the file.
    AcknowledgedBeforeItIsDurable,
}

#[cfg(feature = "faults")]
std::thread_local! {
    static ON: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

/// Switches a fault on for this thread, which runs a whole simulation; `None` switches off what was on.
#[cfg(feature = "faults")]
pub fn switch(fault: Option<Fault>) {
    ON.set(fault);
}

/// Whether it is switched on.
#[cfg(feature = "faults")]
pub(crate) fn is(fault: Fault) -> bool {
    ON.get() == Some(fault)
}

#[cfg(not(feature = "faults"))]
pub(crate) const fn is(_: Fault) -> bool {
    false
}
