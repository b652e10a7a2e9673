//! Faults that tests switch on, one at a time, to see that the simulator notices.
//!
//! With the feature `faults` only: without it [`is`] is `false` and nothing of this is compiled in.
//! Each is a bug that replication systems have had.

/// What can be made wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What was read from disk wakes nobody to send it.
    WakeUpIsLost,
    /// A rollback is one of memory alone.
    RollbackForgetsTheDisk,
    /// The cursor that goes on after a scan of the disk stands one seqno too far.
    HandOverSkipsOne,
    /// A snapshot is announced without its last seqno.
    MarkerEndsEarly,
    /// What was purged is not held against a client that may have missed it.
    PurgeIsForgotten,
    /// Readers of a replica are shown what is in its memory.
    ReplicasShowMemory,
    /// An active that died goes on as if nothing of its history could be lost.
    CrashedActiveKeepsItsBranch,
    /// A replica that goes on with another branch keeps the streams that were opened on the old one.
    BranchChangesUnderStreams,
    /// A stream whose cursor was dropped, and that memory can go on with, waits for the next write.
    DroppedCursorWakesNobody,
    /// A snapshot that was cut short goes on with a marker that starts after the last item sent.
    CutSnapshotStartsAnew,
    /// An engine call that failed is tried again after whatever else was asked for.
    FailedCallGoesLast,
    /// What a store that was opened anew has of a vBucket that is going back is taken for what memory has.
    ReopenedIsTakenAtItsWord,
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
