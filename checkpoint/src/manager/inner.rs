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
use crate::index::KeyIndex;
use crate::queue::{Chunk, Queue};
use crate::quota::{Membership, Quota};
use crate::sync::Signal;
use crate::{CheckpointError, Seqno};

/// What left the manager inside a critical section, to be dropped after it.
#[derive(Debug, Default)]
pub(super) struct Garbage {
    chunks: Vec<Arc<Chunk>>,
    indexes: Vec<KeyIndex>,
    queues: Vec<Queue>,
    /// Whoever waited for something that has come.
    wake: Vec<Arc<Signal>>,
}

impl Garbage {
    /// Drops what it holds and wakes who is to be woken. Never under the manager's lock.
    pub(super) fn dispose(self) {
        for signal in &self.wake {
            signal.raise();
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
    /// Rises with everything that a reader may want to know.
    pub(super) changes: u64,
    pub(super) dropped: u64,
    pub(super) rollbacks: Rollbacks,
    index_charge: Charge,
    garbage: Garbage,
}

impl Inner {
    pub(super) fn new(config: CheckpointConfig, high: Seqno) -> Self {
        let account = Account::new(config.quota.clone());
        let queue = Queue::new(account.clone());
        let mut cursors = Cursors::default();
        let persistence = config.persistence.then(|| cursors.insert(PERSISTENCE, queue.base(), high, false));
        Self {
            role: config.role,
            closed: VecDeque::new(),
            open: Checkpoint::assigned(1, high, high, queue.end()),
            queue,
            index: KeyIndex::new(),
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
            garbage: Garbage::default(),
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

    /// The lowest place anybody still needs: a cursor's, or where a flush in progress would start again.
    pub(super) fn lowest(&self) -> Option<(u64, Seqno)> {
        let backup = self.flush.as_ref().map(|flush| (flush.backup_position, flush.backup_seqno));
        [self.cursors.lowest(), backup].into_iter().flatten().min()
    }

    /// The last seqno processed by whoever has read everything below `position`, having been at `before` so far.
    pub(super) fn processed_at(&self, position: u64, before: Seqno) -> Seqno {
        let last =
            position.checked_sub(1).and_then(|last| self.queue.slot(last)).and_then(|slot| slot.item());
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
        self.garbage.chunks.extend(chunks);
    }

    /// A fresh index for a checkpoint that has no item yet.
    pub(super) fn reset_index(&mut self) {
        let old = std::mem::replace(&mut self.index, KeyIndex::new());
        self.garbage.indexes.push(old);
        self.charge_index();
    }

    pub(super) fn charge_index(&mut self) {
        self.index_charge.resize(self.index.bytes());
    }

    pub(super) fn index_bytes(&self) -> usize {
        self.index_charge.bytes()
    }

    /// A fresh queue; positions start again at 0.
    pub(super) fn reset_queue(&mut self) {
        let old = std::mem::replace(&mut self.queue, Queue::new(self.account.clone()));
        self.garbage.queues.push(old);
    }

    /// Reads; if there is nothing, `signal` is raised once something is queued, or the cursor is gone.
    pub(super) fn read_or_arm(
        &mut self,
        cursor: Cursor,
        limit: ReadLimit,
        signal: &Arc<Signal>,
    ) -> Result<Batch, CheckpointError> {
        let batch = self.read(cursor, limit)?;
        if batch.is_empty() {
            self.arm(signal);
        }
        Ok(batch)
    }

    /// Has `signal` raised when something is queued. It is lowered under the lock, so nothing queued later is missed.
    pub(super) fn arm(&mut self, signal: &Arc<Signal>) {
        signal.lower();
        if !self.idle.iter().any(|armed| Arc::ptr_eq(armed, signal)) {
            self.idle.push(Arc::clone(signal));
        }
    }

    /// Wakes every idle subscriber, once.
    pub(super) fn wake_idle(&mut self) {
        self.changes += 1;
        self.wake_ups += self.idle.len() as u64;
        self.garbage.wake.append(&mut self.idle);
    }

    pub(super) fn take_garbage(&mut self) -> Garbage {
        std::mem::take(&mut self.garbage)
    }
}
