//! The events of a subscription: everything that a poll can return.
//!
//! An enum makes a consumer handle backfills and rollbacks: it cannot read past them.

use crate::manager::CursorBatch;
use crate::model::{Seqno, State};

/// The next event of a subscription.
#[derive(Debug)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "it is moved once a read; a box would cost each read an allocation"
)]
pub enum SubscriptionEvent {
    /// Items from memory.
    Batch(CursorBatch),
    /// Seqnos that memory no longer has: fetch them from disk, then continue.
    Backfill(Backfill),
    /// The vBucket was rolled back below a seqno that was delivered or named in a
    /// [`SubscriptionEvent::Backfill`].
    ///
    /// The reader must discard everything after this seqno. If it is not whole there, it must go
    /// further back, to 0 or to the end of an earlier batch: a batch lacks items that were replaced
    /// inside it. It reports the place with [`Subscription::resume_from`]. Until then, this is the
    /// only event.
    ///
    /// [`Subscription::resume_from`]: crate::Subscription::resume_from
    RolledBack(Seqno),
    /// No event now, or the manager is busy.
    Idle,
    /// The subscription was stopped.
    Stopped,
    /// The vBucket no longer serves readers: it changed to this state.
    Ended(State),
}

/// Seqnos to fetch from disk, both ends included.
///
/// Revisions that a newer one replaced are not on disk, and not needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backfill {
    /// First seqno that may be missing.
    pub from: Seqno,
    /// Last seqno before memory continues.
    pub to: Seqno,
}
