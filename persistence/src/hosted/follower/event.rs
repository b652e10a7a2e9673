//! The events of a follower, and its items.
//!
//! Items from memory are not copied: they stay in the chunks of the queue, which the event keeps.

use std::sync::Arc;

use lowtide_checkpoint::{
    CursorBatch, FailoverLog, Item, ResumePoint, Seqno, SnapshotMarker, State,
};

use crate::hosted::backfill::BackfillStep;

/// The next action of a follower.
#[derive(Debug)]
pub enum FollowerTurn {
    /// Something for the reader.
    Event(FollowerEvent),
    /// A step for the host to run, whose outcome it returns with
    /// [`FollowerMachine::backfilled`](crate::FollowerMachine::backfilled).
    Backfill(BackfillStep),
    /// Nothing now. The follower's number is raised in its wait set once there may be something from
    /// memory. If it waits for a step of its host, it continues with the outcome.
    Idle,
}

/// Something that happened to the vBucket, in the order of its history.
#[derive(Debug)]
#[non_exhaustive]
pub enum FollowerEvent {
    /// The branches of the history that follows, for a reader that is a copy. Only a follower that was
    /// created with [`FollowerMachine::with_branches`](crate::FollowerMachine::with_branches) has it:
    /// before the first snapshot, and whenever the vBucket has begun another branch.
    Branches(FailoverLog),
    /// A snapshot begins, or continues up to another end. All items of its range follow, except those
    /// that the reader has. A replica takes it with `VBucket::receive_marker`.
    Snapshot(SnapshotMarker),
    /// Items of the snapshot. A replica takes each with `VBucket::receive`.
    Items(FollowerItems),
    /// The snapshot is complete: the reader's documents are the vBucket's at this seqno. A reader
    /// that stores the point together with its documents can continue from it later.
    SnapshotEnd(ResumePoint),
    /// Items after this seqno are no longer part of the history.
    ///
    /// The reader discards everything after it. If it is not whole there, it goes further back: to an
    /// earlier [`FollowerEvent::SnapshotEnd`], or to the start. It passes that point to
    /// [`FollowerMachine::resume_from`](crate::FollowerMachine::resume_from). Otherwise the follower
    /// continues after `to`.
    RolledBack {
        /// Last seqno that the reader may keep.
        to: Seqno,
    },
    /// The vBucket changed to this state, and still serves the follower.
    StateChanged(State),
    /// The vBucket changed to this state, and serves no reader: the end. The new active serves the
    /// reader, or this vBucket once it serves again, from [`FollowerMachine::resume_point`].
    ///
    /// [`FollowerMachine::resume_point`]: crate::FollowerMachine::resume_point
    Ended(State),
}

/// Items of one snapshot, ascending by seqno, in any name space. None is a vBucket state.
#[derive(Debug)]
pub struct FollowerItems(Source);

#[derive(Debug)]
enum Source {
    Memory(CursorBatch),
    /// Items of a batch between two changes of state.
    Part {
        batch: Arc<CursorBatch>,
        /// Number of operations in the batch before the part.
        skip: usize,
        take: usize,
        last: Seqno,
    },
    Owned {
        items: Vec<Item>,
        are_from_disk: bool,
    },
}

/// Returns the operations of a batch, which has vBucket states between them.
pub(super) fn operations(batch: &CursorBatch) -> impl Iterator<Item = &Item> {
    let is_operation = |item: &&Item| item.operation.namespace().is_some();
    batch.items().filter(is_operation)
}

impl FollowerItems {
    pub(super) fn of_batch(batch: CursorBatch) -> Self {
        Self(Source::Memory(batch))
    }

    pub(super) fn of_part(batch: &Arc<CursorBatch>, skip: usize, take: usize, last: Seqno) -> Self {
        Self(Source::Part {
            batch: Arc::clone(batch),
            skip,
            take,
            last,
        })
    }

    pub(super) fn of_slice(items: Vec<Item>) -> Self {
        Self::received(items, true)
    }

    /// Returns items that came by a way of the caller's own; `None` if they do not ascend by seqno, or
    /// one is a vBucket state.
    #[must_use]
    pub fn new(items: Vec<Item>, are_from_disk: bool) -> Option<Self> {
        let ascend = items.is_sorted_by(|one, next| one.seqno < next.seqno);
        let is_operation =
            |item: &Item| item.operation.namespace().is_some() && item.seqno > Seqno::ZERO;
        (ascend && items.iter().all(is_operation)).then(|| Self::received(items, are_from_disk))
    }

    pub(super) fn received(items: Vec<Item>, are_from_disk: bool) -> Self {
        Self(Source::Owned {
            items,
            are_from_disk,
        })
    }

    /// Returns the items.
    pub fn iter(&self) -> impl Iterator<Item = &Item> {
        let (batch, skip, take, slice) = match &self.0 {
            Source::Memory(batch) => (Some(batch), 0, usize::MAX, [].as_slice()),
            Source::Part {
                batch, skip, take, ..
            } => (Some(batch.as_ref()), *skip, *take, [].as_slice()),
            Source::Owned { items, .. } => (None, 0, 0, items.as_slice()),
        };
        let in_memory = batch.into_iter().flat_map(operations);
        in_memory.skip(skip).take(take).chain(slice)
    }

    /// Returns the seqno of the last item.
    #[must_use]
    pub fn last_seqno(&self) -> Seqno {
        match &self.0 {
            Source::Memory(batch) => batch.last_seqno(),
            Source::Part { last, .. } => *last,
            Source::Owned { items, .. } => items.last().map_or(Seqno::ZERO, |item| item.seqno),
        }
    }

    /// Returns whether the items were read from disk, by the follower that delivers them.
    #[must_use]
    pub fn are_from_disk(&self) -> bool {
        matches!(
            self.0,
            Source::Owned {
                are_from_disk: true,
                ..
            }
        )
    }
}
