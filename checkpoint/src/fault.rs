//! Faults that tests switch on, one at a time, to prove that a model or the simulator notices them.
//!
//! They exist only under `--cfg checkpoint_loom` or the feature `faults`. Otherwise [`is`] is
//! always `false` and compiles to nothing. A model that passes with its fault switched on tests the
//! wrong thing. `loom-tests` runs each model both ways, and `tests/replication` finds the faults
//! that only a whole cluster shows.

/// A deliberate error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(checkpoint_loom),
    allow(dead_code, reason = "some are looked for in the models' code only")
)]
pub enum Fault {
    /// A batch leaves out items that were superseded at any time, not only up to its end.
    BatchForgetsItsEnd,
    /// Expelling goes up to the highest cursor.
    ExpelToTheHighest,
    /// Expelling finds the lowest cursor in one critical section and evicts in the next.
    ExpelInTwoSteps,
    /// The key index is not reset when its checkpoint is closed.
    IndexOutlivesItsCheckpoint,
    /// The starting place of a flush in progress keeps nothing.
    FlushHoldsNothing,
    /// A rollback does not make the flush in progress void.
    ClearKeepsTheFlush,
    /// Recovery drops a cursor in one critical section and evicts its items in the next.
    DropInTwoSteps,
    /// Finding nothing and arming the wake-up are two critical sections.
    ArmInTwoSteps,
    /// A wait set finds nothing in one critical section and leaves the waker in the next.
    WakerInTwoSteps,
    /// Accounts add by a load and a store.
    ChargeByHalves,
    /// Quotas add by a load and a store.
    QuotaByHalves,
    /// The length of a run is raised before its value is written.
    LengthBeforeValue,
    /// Items are published before the epoch is stored.
    ItemsBeforeEpoch,
    /// A reader at the tail loads the epoch before it loads the items.
    EpochLookedAtFirst,
    /// A subscription does not check again for a rollback after a read.
    RollbackLookedForFirst,
    /// A reclaimer that found nothing lowers its signal after it has released the lock.
    ReclaimerLowersLate,
    /// A reader publishes that it has read one item more than it has.
    ProgressTooFar,
    /// A poll that finds another thread inside the manager treats that as nothing to read.
    BusyTakenForEmpty,
    /// The branch of a promoted copy begins at its last seqno, although its snapshot is partial.
    BranchInsideASnapshot,
    /// The end of an active's commit counts as whole, even inside a snapshot that it received
    /// before.
    WhatAnActiveFlushesIsWhole,
    /// An active takes writes although the quota is used up.
    FullQuotaIsIgnored,
}

crate::internal::fault_switch::fault_switch!(Fault);
