//! What the manager's lock guards.

use std::collections::VecDeque;
use std::sync::Arc;

use super::PERSISTENCE;
use super::config::{CheckpointConfig, Role};
use super::flush::FlushInProgress;
use super::rollbacks::Rollbacks;
use crate::account::{Account, Charge};
use crate::batch::{Batch, ReadLimit};
use crate::checkpoint::Checkpoint;
use crate::cursor::{Cursor, Cursors};
use crate::fault::{self, Fault};
use crate::garbage::Garbage;
use crate::index::KeyIndex;
use crate::queue::{Chunk, Queue, Remains};
use crate::quota::{Membership, Quota};
use crate::reclaimer::Reclaimer;
use crate::sync::Signal;
use crate::tail::Tail;
use crate::{CheckpointError, Seqno};

/// What is to be done once the lock is released.
#[derive(Debug, Default)]
pub(super) struct Aftermath {
    garbage: Garbage,
    /// Whoever waited for something that has come.
    wake: Vec<Arc<Signal>>,
}

impl Aftermath {
    /// Wakes who is to be woken, and frees what is to be freed, or has the reclaimer do it. Never under the manager's lock.
    pub(super) fn settle(self, reclaimer: Option<&Reclaimer>) {
        for signal in &self.wake {
            signal.raise();
        }
        if let Some(reclaimer) = reclaimer.filter(|_| !self.garbage.is_empty()) {
            reclaimer.give(self.garbage);
        }
    }
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) config: CheckpointConfig,
    pub(super) role: Role,
    pub(super) queue: Queue,
    /// Oldest first.
    pub(super) closed: VecDeque<Checkpoint>,
    /// The one that takes items; there always is one.
    pub(super) open: Checkpoint,
    pub(super) index: KeyIndex,
    pub(super) cursors: Cursors,
    pub(super) persistence: Option<Cursor>,
    pub(super) flush: Option<FlushInProgress>,
    pub(super) flushes: u64,
    /// The last seqno queued.
    pub(super) high: Seqno,
    /// The highest visible seqno queued.
    pub(super) visible: Seqno,
    /// The highest seqno that was live when it was expelled or removed: below it memory has gaps.
    pub(super) highest_gone: Seqno,
    pub(super) deduplicated: u64,
    pub(super) expelled: u64,
    pub(super) expelled_bytes: u64,
    pub(super) removed: u64,
    pub(super) removed_bytes: u64,
    pub(super) cleared: u64,
    pub(super) checkpoints_created: u64,
    pub(super) account: Account,
    pub(super) membership: Option<Membership>,
    /// Subscribers that found nothing to read; each is woken once when something comes.
    pub(super) idle: Vec<Arc<Signal>>,
    pub(super) wake_ups: u64,
    /// Rises with every change that readers must look at under the lock, but for those of the queue's layout.
    pub(super) changes: u64,
    pub(super) dropped: u64,
    pub(super) rollbacks: Rollbacks,
    index_charge: Charge,
    aftermath: Aftermath,
}

impl Inner {
    pub(super) fn new(config: CheckpointConfig, high: Seqno) -> Self {
        let account = Account::new(config.quota.clone());
        let queue = Queue::new(account.clone(), 0);
        let mut cursors = Cursors::default();
        let persistence = config
            .persistence
            .then(|| cursors.insert(PERSISTENCE, queue.base(), high, false));
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
            highest_gone: high,
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
            rollbacks: Rollbacks::default(),
            index_charge: account.charge(0),
            account,
            aftermath: Aftermath::default(),
            config,
        }
    }

    /// All checkpoints, oldest first.
    pub(super) fn checkpoints(&self) -> impl DoubleEndedIterator<Item = &Checkpoint> {
        self.closed.iter().chain([&self.open])
    }

    /// The oldest checkpoint.
    pub(super) fn front(&self) -> &Checkpoint {
        self.closed.front().unwrap_or(&self.open)
    }

    pub(super) fn front_mut(&mut self) -> &mut Checkpoint {
        self.closed.front_mut().unwrap_or(&mut self.open)
    }

    /// The position after the last item of the oldest checkpoint.
    pub(super) fn front_end(&self) -> u64 {
        match (self.closed.front(), self.closed.get(1)) {
            (Some(_), Some(next)) => next.first,
            (Some(_), None) => self.open.first,
            (None, _) => self.queue.end(),
        }
    }

    /// The lowest place anybody still needs: a cursor's, or where a flush in progress would start again. O(log cursors)
    /// for each that has read on by itself and was lowest till now.
    pub(super) fn lowest(&mut self) -> Option<(u64, Seqno)> {
        while let Some((cursor, _)) = self
            .cursors
            .first()
            .filter(|(_, state)| state.ahead().is_some())
        {
            self.catch_up(cursor);
        }
        let flush = self
            .flush
            .as_ref()
            .filter(|_| !fault::is(Fault::FlushHoldsNothing));
        let backup = flush.map(|flush| (flush.backup_position, flush.backup_seqno));
        [self.cursors.lowest(), backup].into_iter().flatten().min()
    }

    /// Takes notice of how far the cursor's owner has read by itself.
    pub(super) fn catch_up(&mut self, cursor: Cursor) {
        let Some(state) = self.cursors.get(cursor) else {
            return;
        };
        let Some(position) = state.ahead() else {
            return;
        };
        let seqno = self.processed_at(position, state.seqno);
        self.cursors.set(cursor, position, seqno);
    }

    /// Takes notice of how far everybody has read.
    pub(super) fn catch_up_all(&mut self) {
        for cursor in self.cursors.all_ahead() {
            self.catch_up(cursor);
        }
    }

    /// The last seqno processed by whoever has read everything below `position`, having been at `before` so far.
    pub(super) fn processed_at(&self, position: u64, before: Seqno) -> Seqno {
        let last = position
            .checked_sub(1)
            .and_then(|last| self.queue.slot(last))
            .map(|slot| slot.item());
        last.map_or(before, |item| match item.operation {
            crate::Operation::SetVBucketState(_) => item.seqno.prev(),
            _ => item.seqno,
        })
    }

    /// Removes closed checkpoints at the front in which nobody stands.
    pub(super) fn remove_unreferenced(&mut self) {
        let lowest = self.lowest().map_or(u64::MAX, |(position, _)| position);
        while !self.closed.is_empty() && self.front_end() <= lowest {
            self.give_up(self.front_end());
            if let Some(checkpoint) = self.closed.pop_front() {
                self.removed += checkpoint.live.items as u64;
                self.removed_bytes += checkpoint.live.bytes as u64;
            }
        }
    }

    /// Gives up the queue below `to`, remembering what was live there.
    pub(super) fn give_up(&mut self, to: u64) {
        if let Some(seqno) = self.queue.last_live_seqno(self.queue.base(), to) {
            self.highest_gone = self.highest_gone.max(seqno);
        }
        let freed = self.queue.advance_base(to);
        self.discard(freed);
    }

    /// Keeps chunks that left the queue until the critical section is over.
    pub(super) fn discard(&mut self, chunks: impl IntoIterator<Item = Arc<Chunk>>) {
        self.aftermath.garbage.chunks.extend(chunks);
    }

    /// The same for what is left of rewritten chunks.
    pub(super) fn discard_remains(&mut self, remains: impl IntoIterator<Item = Remains>) {
        self.aftermath.garbage.remains.extend(remains);
    }

    /// A fresh index for a checkpoint that has no item yet.
    pub(super) fn reset_index(&mut self) {
        let old = std::mem::replace(&mut self.index, KeyIndex::new(self.queue.end()));
        self.aftermath.garbage.indexes.push(old);
    }

    /// Forgets what the index knows, none of which is in the queue any more.
    pub(super) fn forget_index(&mut self) {
        let table = self.index.forget(self.queue.end());
        if !table.is_empty() {
            self.discard_table(Some(table));
        }
    }

    /// Keeps a table the index no longer needs until the critical section is over.
    pub(super) fn discard_table(&mut self, table: Option<Box<[u64]>>) {
        self.aftermath.garbage.tables.extend(table);
    }

    pub(super) fn index_bytes(&self) -> usize {
        self.index_charge.bytes()
    }

    /// A fresh queue. Its positions go on after the old one's, so that whoever was still reading that is behind them.
    pub(super) fn reset_queue(&mut self) {
        let fresh = Queue::new(self.account.clone(), self.queue.end());
        let old = std::mem::replace(&mut self.queue, fresh);
        self.changes += old.layout();
        self.aftermath.garbage.queues.push(old);
    }

    /// Reads; if there is nothing, `signal`, if given, is raised once something is queued, or the cursor is gone. The
    /// tail is there if the cursor stands where its owner can read on without the lock.
    pub(super) fn read_or_arm(
        &mut self,
        cursor: Cursor,
        limit: ReadLimit,
        signal: Option<&Arc<Signal>>,
    ) -> Result<(Batch, Option<Tail>), CheckpointError> {
        let batch = self.read(cursor, limit)?;
        if let (true, Some(signal)) = (batch.is_empty(), signal) {
            self.arm(signal);
        }
        Ok((batch, self.tail(cursor)))
    }

    fn tail(&self, cursor: Cursor) -> Option<Tail> {
        let position = self.cursors.get(cursor)?.position;
        let chunk = self
            .queue
            .newest()
            .filter(|_| position == self.queue.end())?;
        Some(Tail {
            chunk,
            position,
            epoch: self.epoch(),
            open: self.open.clone(),
        })
    }

    /// Has `signal` raised when something is queued. It is lowered under the lock, so nothing queued later is missed.
    pub(super) fn arm(&mut self, signal: &Arc<Signal>) {
        signal.lower();
        if !self.idle.iter().any(|armed| Arc::ptr_eq(armed, signal)) {
            self.idle.push(Arc::clone(signal));
        }
    }

    /// Something other than items at the end has changed that readers may want to know: they look under the lock.
    pub(super) fn note_change(&mut self) {
        self.changes += 1;
        self.wake_idle();
    }

    /// Wakes every idle subscriber, once.
    pub(super) fn wake_idle(&mut self) {
        if self.idle.is_empty() {
            return;
        }
        self.wake_ups += self.idle.len() as u64;
        self.aftermath.wake.append(&mut self.idle);
    }

    /// Rises with everything that readers must look at under the lock, in the order in which it happened.
    pub(super) fn epoch(&self) -> u64 {
        self.changes + self.queue.layout()
    }

    /// Ends the critical section, but for what readers without the lock will see of it.
    pub(super) fn settle(&mut self) -> Aftermath {
        self.index_charge.resize(self.index.bytes());
        std::mem::take(&mut self.aftermath)
    }
}
