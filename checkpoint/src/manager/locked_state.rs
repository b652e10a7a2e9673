//! The data that the manager's lock guards, and the steps that several operations share.
//!
//! The operations are methods of [`LockedState`] in `operations/`. Keeping the fields apart from
//! them lets every operation see all data without importing another operation.

use std::collections::VecDeque;
use std::sync::Arc;

use super::checkpoint::Checkpoint;
use super::config::{CheckpointConfig, CursorOptions, PERSISTENCE, Role};
use super::cursors::{Cursor, Cursors};
use super::deferred::Deferred;
use super::rollback_log::RollbackLog;
use crate::fault::{self, Fault};
use crate::internal::invariant::{Invariant, Violation};
use crate::internal::number::to_u64;
use crate::internal::sync::Signal;
use crate::memory::{Account, Charge, Membership, Quota};
use crate::model::{Operation, Seqno};
use crate::queue::{Chunk, KeyIndex, Queue, RetiredChunk};

/// The place where the flush in progress would start again.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlushInProgress {
    pub(super) token: u64,
    pub(super) backup_position: u64,
    pub(super) backup_seqno: Seqno,
}

/// Everything that the manager's lock guards.
#[derive(Debug)]
pub(super) struct LockedState {
    pub(super) config: CheckpointConfig,
    pub(super) role: Role,
    pub(super) queue: Queue,
    /// Closed checkpoints, oldest first.
    pub(super) closed: VecDeque<Checkpoint>,
    /// Checkpoint that takes items. There always is one.
    pub(super) open: Checkpoint,
    pub(super) index: KeyIndex,
    pub(super) cursors: Cursors,
    pub(super) persistence: Option<Cursor>,
    pub(super) flush: Option<FlushInProgress>,
    /// Number of flushes begun, which also names each of them.
    pub(super) flushes: u64,
    /// Last seqno queued.
    pub(super) high: Seqno,
    /// Highest visible seqno queued.
    pub(super) visible: Seqno,
    /// Highest seqno that was live when it was evicted, by expelling or with its checkpoint. Below
    /// it, memory has gaps.
    pub(super) highest_evicted: Seqno,
    pub(super) deduplicated: u64,
    pub(super) expelled: u64,
    pub(super) expelled_bytes: u64,
    pub(super) removed: u64,
    pub(super) removed_bytes: u64,
    pub(super) cleared: u64,
    pub(super) checkpoints_created: u64,
    pub(super) account: Account,
    pub(super) membership: Option<Membership>,
    /// Signals of subscribers that found nothing to read. Each is raised once when there is more.
    pub(super) idle: Vec<Arc<Signal>>,
    pub(super) wake_ups: u64,
    /// Rises with every change that readers must look at under the lock, except layout changes of
    /// the queue.
    pub(super) changes: u64,
    /// Number of cursors that memory recovery dropped.
    pub(super) dropped: u64,
    pub(super) rollbacks: RollbackLog,
    /// Invariant that a write found violated. Every later write is refused with it.
    pub(super) violation: Option<Violation>,
    index_charge: Charge,
    deferred: Deferred,
}

impl LockedState {
    /// Creates the state of a manager with one empty open checkpoint, whose last seqno is `high`.
    pub(super) fn new(config: CheckpointConfig, high: Seqno) -> Self {
        let account = Account::new(config.quota.clone());
        let queue = Queue::new(account.clone(), 0);
        let mut cursors = Cursors::default();
        let persistence = config.persistence.then(|| {
            cursors.insert(
                PERSISTENCE,
                queue.base(),
                high,
                CursorOptions::new().with_droppable(false),
            )
        });
        Self {
            role: config.role,
            closed: VecDeque::new(),
            open: Checkpoint::assigned(1, high, high, queue.end()),
            queue,
            index: KeyIndex::new(0),
            cursors,
            persistence,
            flush: None,
            flushes: 0,
            high,
            visible: high,
            highest_evicted: high,
            deduplicated: 0,
            expelled: 0,
            expelled_bytes: 0,
            removed: 0,
            removed_bytes: 0,
            cleared: 0,
            checkpoints_created: 1,
            membership: config.quota.as_ref().map(Quota::join),
            idle: Vec::new(),
            wake_ups: 0,
            changes: 0,
            dropped: 0,
            rollbacks: RollbackLog::default(),
            violation: None,
            index_charge: account.charge(0),
            account,
            deferred: Deferred::default(),
            config,
        }
    }

    /// Returns all checkpoints, oldest first.
    pub(super) fn checkpoints(&self) -> impl DoubleEndedIterator<Item = &Checkpoint> {
        self.closed.iter().chain([&self.open])
    }

    /// Returns all checkpoints, oldest first, each with the position after its last item.
    pub(super) fn checkpoints_and_ends(&self) -> impl Iterator<Item = (&Checkpoint, u64)> {
        let ends = self.checkpoints().skip(1).map(|next| next.first);
        self.checkpoints().zip(ends.chain([self.queue.end()]))
    }

    /// Returns the number of resident items.
    pub(super) fn resident_items(&self) -> usize {
        self.checkpoints()
            .map(|checkpoint| checkpoint.live.items)
            .sum()
    }

    /// Returns the oldest checkpoint.
    pub(super) fn oldest(&self) -> &Checkpoint {
        self.closed.front().unwrap_or(&self.open)
    }

    pub(super) fn oldest_mut(&mut self) -> &mut Checkpoint {
        self.closed.front_mut().unwrap_or(&mut self.open)
    }

    /// Returns the position after the last item of the oldest checkpoint.
    pub(super) fn oldest_end(&self) -> u64 {
        match (self.closed.front(), self.closed.get(1)) {
            (Some(_), Some(next)) => next.first,
            (Some(_), None) => self.open.first,
            (None, _) => self.queue.end(),
        }
    }

    /// Returns the lowest place still needed: a cursor's, or the backup of a flush in progress.
    ///
    /// O(log cursors) for each cursor that was lowest and has read further without the lock.
    pub(super) fn lowest(&mut self) -> Option<(u64, Seqno)> {
        while let Some((cursor, _)) = self
            .cursors
            .first()
            .filter(|(_, state)| state.unsynced_position().is_some())
        {
            self.sync_progress(cursor);
        }
        let flush = self
            .flush
            .as_ref()
            .filter(|_| !fault::is(Fault::FlushHoldsNothing));
        let backup = flush.map(|flush| (flush.backup_position, flush.backup_seqno));
        [self.cursors.lowest(), backup].into_iter().flatten().min()
    }

    /// Syncs a cursor with the position that its owner published without the lock.
    pub(super) fn sync_progress(&mut self, cursor: Cursor) {
        let Some(state) = self.cursors.get(cursor) else {
            return;
        };
        let Some(position) = state.unsynced_position() else {
            return;
        };
        let seqno = self.processed_at(position, state.seqno);
        self.cursors.set_position(cursor, position, seqno);
    }

    /// Syncs every cursor with the position that its owner published.
    pub(super) fn sync_all_progress(&mut self) {
        for cursor in self.cursors.all_unsynced() {
            self.sync_progress(cursor);
        }
    }

    /// Returns the last seqno processed by a reader that has everything below `position` and was at
    /// `before` until now.
    ///
    /// A reader without the lock may get a lower one: a rewrite may have removed its last item, which
    /// was replaced since. Only reports and ties between cursors use it, positions decide the rest.
    pub(super) fn processed_at(&self, position: u64, before: Seqno) -> Seqno {
        let last = position
            .checked_sub(1)
            .and_then(|last| self.queue.slot(last))
            .map(|slot| slot.item());
        last.map_or(before, |item| match item.operation {
            Operation::SetVBucketState(_) => item.seqno.prev(),
            _ => item.seqno,
        })
    }

    /// Removes the oldest checkpoints while they are closed and no cursor stands in them.
    pub(super) fn remove_unreferenced(&mut self) {
        let lowest = self.lowest().map_or(u64::MAX, |(position, _)| position);
        while !self.closed.is_empty() && self.oldest_end() <= lowest {
            self.evict(self.oldest_end());
            if let Some(checkpoint) = self
                .closed
                .pop_front()
                .expected("C5", "the oldest of the closed checkpoints is there")
            {
                self.removed += to_u64(checkpoint.live.items);
                self.removed_bytes += to_u64(checkpoint.live.bytes);
            }
        }
    }

    /// Evicts the queue below `to` and records the highest seqno that was live there.
    pub(super) fn evict(&mut self, to: u64) {
        if let Some(seqno) = self.queue.last_live_seqno(self.queue.base(), to) {
            self.highest_evicted = self.highest_evicted.max(seqno);
        }
        let freed = self.queue.advance_base(to);
        self.discard(freed);
    }

    /// Keeps chunks that left the queue until the critical section ends.
    pub(super) fn discard(&mut self, chunks: impl IntoIterator<Item = Arc<Chunk>>) {
        self.deferred.garbage.chunks.extend(chunks);
    }

    /// Keeps rewritten chunks until the critical section ends.
    pub(super) fn discard_retired(&mut self, retired: impl IntoIterator<Item = RetiredChunk>) {
        self.deferred.garbage.retired.extend(retired);
    }

    /// Keeps a table that the index no longer needs until the critical section ends.
    pub(super) fn discard_table(&mut self, table: Option<Box<[u64]>>) {
        self.deferred.garbage.tables.extend(table);
    }

    /// Installs a new index for a checkpoint that has no item yet.
    pub(super) fn reset_index(&mut self) {
        let old = std::mem::replace(&mut self.index, KeyIndex::new(self.queue.end()));
        self.deferred.garbage.indexes.push(old);
    }

    /// Clears the index, none of whose entries is in the queue any more.
    pub(super) fn clear_index(&mut self) {
        let table = self.index.clear(self.queue.end());
        if !table.is_empty() {
            self.discard_table(Some(table));
        }
    }

    pub(super) fn index_bytes(&self) -> usize {
        self.index_charge.bytes()
    }

    /// Installs a new queue. Its positions continue after the old one's, so a reader of the old
    /// queue is behind them.
    pub(super) fn reset_queue(&mut self) {
        let fresh = Queue::new(self.account.clone(), self.queue.end());
        let old = std::mem::replace(&mut self.queue, fresh);
        self.changes += old.layout();
        self.deferred.garbage.queues.push(old);
    }

    /// Records a change that is not an item at the end, and wakes idle readers: they must look under
    /// the lock.
    pub(super) fn record_change(&mut self) {
        self.changes += 1;
        self.wake_idle();
    }

    /// Wakes every idle subscriber, once.
    pub(super) fn wake_idle(&mut self) {
        if self.idle.is_empty() {
            return;
        }
        self.wake_ups += to_u64(self.idle.len());
        self.deferred.wake.append(&mut self.idle);
    }

    /// Returns the epoch. It rises with every change that readers must look at under the lock, in
    /// the order of the changes.
    pub(super) fn epoch(&self) -> u64 {
        self.changes + self.queue.layout()
    }

    /// Ends the critical section, except for publishing to readers without the lock. Returns the
    /// work that is left for after the lock is released.
    pub(super) fn take_deferred(&mut self) -> Deferred {
        self.index_charge.resize(self.index.bytes());
        std::mem::take(&mut self.deferred)
    }
}
