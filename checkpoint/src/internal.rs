//! Tools that the crates of this workspace share. They are hidden from the documentation, and may change
//! in any release.

pub(crate) mod fault_switch;
pub(crate) mod invariant;
pub(crate) mod number;
pub mod sync;

pub use fault_switch::fault_switch;
pub use invariant::{IS_CHECKED, Invariant, Violation, checked_invariant, invariant, violated};
pub use number::to_u64;

#[cfg(any(test, feature = "faults"))]
pub use invariant::as_in_release;
