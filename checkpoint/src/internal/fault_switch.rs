//! The switch of deliberate bugs, one per crate: tests turn a bug on, and a model or the simulator must
//! detect it.
//!
//! The bugs exist only under `--cfg checkpoint_loom` or with the feature `faults` of their crate.
//! Otherwise `is` is always `false`, and no bug is compiled in. A test that passes with its bug turned
//! on tests the wrong thing.

/// Defines `switch` and `is` for an enum of deliberate bugs, in the module that calls it.
///
/// `switch` acts on the calling thread alone. Loom runs all threads of a model on one thread, and the
/// simulator runs all nodes on one.
#[doc(hidden)]
#[macro_export]
macro_rules! fault_switch {
    ($fault:ty) => {
        #[cfg(any(checkpoint_loom, feature = "faults"))]
        std::thread_local! {
            static ON: std::cell::Cell<Option<$fault>> = const { std::cell::Cell::new(None) };
        }

        /// Turns one bug on for this thread, and every other one off. `None` turns all off.
        #[cfg(any(checkpoint_loom, feature = "faults"))]
        pub fn switch(fault: Option<$fault>) {
            ON.set(fault);
        }

        /// Returns whether the bug is on.
        #[cfg(any(checkpoint_loom, feature = "faults"))]
        pub(crate) fn is(fault: $fault) -> bool {
            ON.get() == Some(fault)
        }

        #[cfg(not(any(checkpoint_loom, feature = "faults")))]
        pub(crate) const fn is(_: $fault) -> bool {
            false
        }
    };
}

pub use fault_switch;
