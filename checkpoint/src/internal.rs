//! What the crates of this workspace share and nobody else may rely on: hidden from the documentation,
//! and free to change in any release.

pub use crate::fault_switch::fault_switch;
pub use crate::invariant::{
    IS_CHECKED, Invariant, Violation, checked_invariant, invariant, violated,
};

#[cfg(feature = "faults")]
pub use crate::invariant::as_in_release;
