//! Fault switches of the tests: deliberate bugs, one at a time, that the simulator must detect.
//!
//! Only the feature `faults` compiles them in; without it [`is`] is always `false`. Each one is a
//! bug that real replication systems have had.

/// Deliberate bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Items read from disk do not wake the sender.
    WakeUpIsLost,
    /// A rollback affects memory only.
    RollbackForgetsTheDisk,
    /// The cursor that follows a disk scan starts one seqno too far.
    HandOverSkipsOne,
    /// A marker ends one seqno before its snapshot.
    MarkerEndsEarly,
    /// A stream request ignores purged tombstones that the client may have missed.
    PurgeIsForgotten,
    /// Reads on a replica return documents in memory that are not on disk yet.
    ReplicasShowMemory,
    /// A crashed active continues its branch although it may have lost history.
    CrashedActiveKeepsItsBranch,
    /// A replica that moves to another branch keeps the streams of its old branch.
    BranchChangesUnderStreams,
    /// A stream whose cursor was dropped waits for the next write although memory has more for it.
    DroppedCursorWakesNobody,
    /// A snapshot that was cut short continues with a marker that starts after the last item sent.
    CutSnapshotStartsAnew,
    /// The seqnos in a reopened store replace those in memory while a vBucket is rolled back.
    ReopenedIsTakenAtItsWord,
}

lowtide_checkpoint::internal::fault_switch!(Fault);
