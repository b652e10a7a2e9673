//! Faults that tests switch on, one at a time, to prove that loom's models and the simulator notice
//! them.
//!
//! Each is a bug that real stores have had. They exist only under `--cfg checkpoint_loom` or with
//! the feature `faults`. Without it [`is`] is `false`, and no fault is compiled in.

/// A fault that can be switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A compacted file is renamed without a sync of the directory.
    NamesAreNotSynced,
    /// Opening a store removes the older of a vBucket's files although the name of the newer may
    /// not be durable.
    NewRevisionIsNotMadeDurable,
    /// Opening a file accepts a commit whose last chunk was torn.
    TornCommitIsWhole,
    /// A commit is acknowledged without a sync of the file.
    AcknowledgedBeforeItIsDurable,
    /// A log segment is closed before its records are in the index.
    ClosedBeforeItIsIndexed,
    /// A moved record replaces the index's entry, even if that names another record by now.
    RelocatedAnyway,
    /// A log segment is freed while it is being read.
    FreedWhileRead,
    /// A reader takes hold of the segment only after it has unlocked the index.
    SegmentTakenLate,
    /// Commits made while an index was loaded are not applied to it.
    CommitsBesideLoadLost,
    /// A commit that finds another thread loading a branch treats it as loaded.
    BusyTakenForLoaded,
    /// A segment that is being written to counts as one that was last written to long ago.
    BusyTakenForOld,
    /// A block that is being read during eviction is no longer counted among the blocks kept.
    BusyBlockForgotten,
    /// A thread that waits until a write is persisted registers after it has released the lock under
    /// which it looked.
    WaiterRegistersLate,
    /// A flusher thread lowers its signal after it has released its inbox.
    InboxLowersLate,
    /// A flusher clears a vBucket's mark by a store that does not see what was queued before.
    MarkClearedBlindly,
    /// A thread that gives a shard back to its flusher does not look at what was marked meanwhile.
    LeaderLeavesMail,
    /// A store is closed without a look at the writes that are being taken.
    GateClosedBlindly,
    /// A failed engine call is retried after all other calls.
    FailedCallGoesLast,
    /// The answer of a fetch replaces a revision that was written meanwhile.
    LateFetchWins,
    /// An engine call does not wait for the flush of its vBucket.
    CallBesideItsFlush,
    /// The end of a store wakes those that wait for a write, and is not kept for those that look later.
    EndIsNotKept,
    /// A thread that waits until a write is persisted takes any wake-up for success.
    WakeUpTakenForPersisted,
}

lowtide_checkpoint::internal::fault_switch!(Fault);
