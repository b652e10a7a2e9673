//! Faults that loom's models and the simulator's tests switch on, one at a time, to see that they notice.
//!
//! Under `--cfg checkpoint_loom` or with the feature `faults` only: without it [`is`] is `false` and nothing of this is compiled in.
//! Each is a bug that stores have had.

/// What can be made wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A compacted file gets its name without a sync of the directory.
    NamesAreNotSynced,
    /// Opening a store removes the older of a vBucket's files, and the name of the newer may not be durable.
    NewRevisionIsNotMadeDurable,
    /// Opening a file takes a commit whose last chunk was torn for whole.
    TornCommitIsWhole,
    /// A commit is acknowledged without a sync of the file.
    AcknowledgedBeforeItIsDurable,
    /// A log segment is closed before its records are in the index.
    ClosedBeforeItIsIndexed,
    /// A record that was moved takes the place of whatever the index names by now.
    RelocatedAnyway,
    /// A log segment is freed while somebody reads it.
    FreedWhileRead,
    /// A reader takes hold of the segment after it has let go of the index.
    SegmentTakenLate,
    /// What was committed while an index was loaded is not put on top of it.
    CommitsBesideLoadLost,
    /// A commit that finds another thread loading a branch takes it for loaded.
    BusyTakenForLoaded,
    /// A segment that is being written to counts as one that was written to long ago.
    BusyTakenForOld,
    /// A block that is being read when room is made is no longer counted among those that are kept.
    BusyBlockForgotten,
}

#[cfg(any(checkpoint_loom, feature = "faults"))]
std::thread_local! {
    static ON: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

/// Switches a fault on for this thread, on which loom runs all threads of a model and the simulator all its nodes; `None` switches off what was on.
#[cfg(any(checkpoint_loom, feature = "faults"))]
pub fn switch(fault: Option<Fault>) {
    ON.set(fault);
}

/// Whether it is switched on.
#[cfg(any(checkpoint_loom, feature = "faults"))]
pub(crate) fn is(fault: Fault) -> bool {
    ON.get() == Some(fault)
}

#[cfg(not(any(checkpoint_loom, feature = "faults")))]
pub(crate) const fn is(_: Fault) -> bool {
    false
}
