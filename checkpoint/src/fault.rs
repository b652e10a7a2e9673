//! Faults that loom's models and the simulator's tests switch on, one at a time, to see that they notice.
//!
//! Under `--cfg checkpoint_loom` or the feature `faults` only: without them [`is`] is `false` and nothing of this is compiled
//! in. A model that passes with its fault switched on looks at the wrong thing; `loom-tests` runs each of them both ways,
//! and `tests/replication` looks for those that only a whole cluster shows.

/// What can be made wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(checkpoint_loom),
    allow(dead_code, reason = "some are looked for in the models' code only")
)]
pub enum Fault {
    /// A batch leaves out what was replaced at any time, not just up to its end.
    BatchForgetsItsEnd,
    /// Expelling goes up to the highest cursor.
    ExpelToTheHighest,
    /// Expelling looks for the lowest cursor in one critical section and gives up in the next.
    ExpelInTwoSteps,
    /// The key index is not reset when its checkpoint is closed.
    IndexOutlivesItsCheckpoint,
    /// The place where a flush in progress began holds nothing back.
    FlushHoldsNothing,
    /// A rollback does not make the flush in progress void.
    ClearKeepsTheFlush,
    /// Recovery drops a cursor in one critical section and gives up what it held in the next.
    DropInTwoSteps,
    /// Finding nothing and arming the wake-up are two critical sections.
    ArmInTwoSteps,
    /// Accounts add by a load and a store.
    ChargeByHalves,
    /// The same for quotas.
    QuotaByHalves,
    /// A run's length is raised before its value is written.
    LengthBeforeValue,
    /// Items are published before the epoch is stored.
    ItemsBeforeEpoch,
    /// A reader at the tail looks at the epoch before it looks at the items.
    EpochLookedAtFirst,
    /// After a read nobody looks again whether there was a rollback.
    RollbackLookedForFirst,
    /// A reclaimer that found nothing gets ready to be woken after it has let go of the lock.
    ReclaimerLowersLate,
    /// A reader says that it has read one item more than it has.
    ProgressTooFar,
    /// A poll that finds another thread inside the manager takes it for having nothing to read.
    BusyTakenForEmpty,
    /// A promoted copy's branch begins with its last seqno, though it has half a snapshot.
    BranchInsideASnapshot,
    /// Whatever an active's commit ends with is whole, also in the middle of a snapshot that it received before.
    WhatAnActiveFlushesIsWhole,
    /// An active takes writes though the quota is used up.
    FullQuotaIsIgnored,
}

#[cfg(any(checkpoint_loom, feature = "faults"))]
std::thread_local! {
    static ON: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

/// Switches a fault on for this thread, on which loom runs all threads of a model and the simulator all its nodes;
/// `None` switches off what was on.
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
