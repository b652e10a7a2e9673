//! The part of a store that its handle, its threads and its followers share.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Instant;

use lowtide_checkpoint::internal::sync::Signal;
use lowtide_checkpoint::{
    CheckpointConfig, ItemLimits, MemoryState, Quota, Reclaimer, Seqno, Vbid,
};

use super::command::Command;
use super::engine::slot::{EngineSlot, Generation};
use super::error::StoreError;
use super::host::{Host, micros_since};
use super::partition::{Lead, Partition, Partitions};
use super::report::health::HealthWatch;
use super::report::observer::{StoreEvent, StoreObserver};
use super::report::stats::EventCounts;
use super::shard::Shard;
use crate::contract::{Budget, EngineError};
use crate::disk::Disk;
use crate::hosted::CacheBudget;
use crate::hosted::recover_memory;
use crate::hosted::waiting::followers::Followers;
use crate::hosted::waiting::gate::Gate;
use crate::hosted::waiting::inbox::Inbox;
use crate::hosted::waiting::persisted::WaitEnd;
use crate::sync::{Mutex, ranks};

/// Memory that is not needed any more and is not freed before there is more of it. A thread is woken
/// to free it, which costs as much as a small flush.
const FREED_TOGETHER_BYTES: usize = 256 << 10;

/// Entries that are examined under one lock when documents are evicted: a writer waits no longer.
const EVICTED_TOGETHER: usize = 256;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) host: Arc<dyn Host>,
    pub(super) slot: EngineSlot,
    /// The engine's, which do not change when it is reopened.
    pub(super) limits: ItemLimits,
    pub(super) partitions: Partitions,
    pub(super) inboxes: Vec<Inbox<Command, Shard>>,
    pub(super) quota: Quota,
    pub(super) reclaimer: Reclaimer,
    pub(super) cache: CacheBudget,
    pub(super) health: Arc<HealthWatch>,
    pub(super) upkeep_budget: Budget,
    /// Raised when the threads are to end.
    pub(super) stop: Signal,
    /// Raised when the engine may have upkeep to do.
    pub(super) upkeep_due: Signal,
    /// Raised when memory should be recovered, or can be freed.
    pub(super) memory_due: Signal,
    /// Raised when a filter of keys should be filled; never if the engine needs none.
    pub(super) filters_due: Signal,
    pub(super) needs_filters: bool,
    /// Those that wait for memory.
    memory_waiters: Mutex<Vec<Arc<Signal>>>,
    pub(super) observer: Arc<dyn StoreObserver>,
    pub(super) counts: EventCounts,
    gate: Gate,
    pub(super) followers: Followers,
    /// This store, for threads that wait for a write.
    pub(super) leader: Weak<dyn Lead>,
}

/// The parts of [`Shared`] that [`Store::open`](super::Store::open) makes.
#[derive(Debug)]
pub(super) struct SharedParts {
    pub(super) dir: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) host: Arc<dyn Host>,
    pub(super) slot: EngineSlot,
    pub(super) limits: ItemLimits,
    /// Whether the engine reads the disk to learn that a key is absent.
    pub(super) needs_filters: bool,
    pub(super) flushers: usize,
    pub(super) quota: Quota,
    pub(super) cache: CacheBudget,
    pub(super) health: Arc<HealthWatch>,
    pub(super) upkeep_budget: Budget,
    pub(super) observer: Arc<dyn StoreObserver>,
}

impl Shared {
    pub(super) fn new(parts: SharedParts) -> Arc<Self> {
        Arc::new_cyclic(|itself: &Weak<Self>| Self {
            dir: parts.dir,
            disk: parts.disk,
            host: parts.host,
            slot: parts.slot,
            limits: parts.limits,
            partitions: Partitions::new(),
            inboxes: (0..parts.flushers).map(|_| Inbox::default()).collect(),
            quota: parts.quota,
            reclaimer: Reclaimer::new(),
            cache: parts.cache,
            health: parts.health,
            upkeep_budget: parts.upkeep_budget,
            stop: Signal::new(),
            upkeep_due: Signal::new(),
            memory_due: Signal::new(),
            filters_due: Signal::new(),
            needs_filters: parts.needs_filters,
            memory_waiters: Mutex::new(ranks::MEMORY_WAITERS, Vec::new()),
            observer: parts.observer,
            counts: EventCounts::default(),
            gate: Gate::default(),
            followers: Followers::new(),
            leader: itself.clone(),
        })
    }

    /// Returns the configuration of a vBucket's manager.
    pub(super) fn checkpoint_config(&self) -> CheckpointConfig {
        CheckpointConfig::persistent()
            .with_quota(self.quota.clone())
            .with_reclaimer(self.reclaimer.clone())
            .with_limits(self.limits)
    }

    pub(super) fn partition(&self, vb: Vbid) -> Result<Arc<Partition>, StoreError> {
        self.partitions
            .get(vb)
            .ok_or(StoreError::UnknownVBucket { vb })
    }

    /// Returns an error if the store is closed. A write asks under the lock of its vBucket's
    /// documents (R8).
    pub(super) fn require_open(&self) -> Result<(), StoreError> {
        if self.gate.is_open() {
            Ok(())
        } else {
            Err(StoreError::Closed)
        }
    }

    /// Refuses writes from now on, and waits for those that are being taken. Returns whether the
    /// gate was open.
    pub(super) fn close_gate(&self) -> bool {
        self.gate.close(|| {
            for partition in self.partitions.all() {
                drop(partition.documents());
            }
        })
    }

    /// Records what is durable in a vBucket's documents.
    pub(super) fn documents_persisted(&self, partition: &Partition, seqno: Seqno) {
        let mut documents = partition.documents();
        documents.persisted(seqno);
        if self.needs_filters && documents.needs_filter() {
            self.filters_due.raise();
        }
    }

    /// Tells a vBucket's flusher of a change, and the memory thread if memory is short. The caller
    /// still holds the vBucket's documents (R8).
    pub(super) fn changed(&self, partition: &Partition) {
        if let Some(inbox) = self.inboxes.get(partition.shard) {
            inbox.mark(partition.id(), &partition.dirty);
        }
        if self.quota.state() != MemoryState::Available {
            self.memory_due.raise();
        }
    }

    /// Has the memory thread free what a flush has left, once that is worth waking it.
    pub(super) fn flushed(&self) {
        let has_garbage = self.reclaimer.pending_bytes() >= FREED_TOGETHER_BYTES;
        if has_garbage || self.is_memory_wanted() || self.cache.is_exceeded() {
            self.memory_due.raise();
        }
    }

    /// Returns whether memory is short, or a thread waits for some.
    pub(super) fn is_memory_wanted(&self) -> bool {
        self.quota.state() != MemoryState::Available || !self.memory_waiters.lock().is_empty()
    }

    /// Recovers memory down to the quota's lower mark, as far as possible, and frees what is not
    /// needed any more.
    pub(super) fn recover_memory(&self) {
        let partitions = self.partitions.all();
        let vbuckets = partitions.iter().map(|partition| &partition.vbucket);
        let recovery = recover_memory(&self.quota, vbuckets);
        // What a dropped cursor had left to read may wait for its flush, and is freed after that.
        if recovery.freed_bytes > 0 || !recovery.cursors_dropped.is_empty() {
            self.observe(&StoreEvent::MemoryRecovered {
                recovery: &recovery,
                quota: self.quota.stats(),
            });
        }
        self.reclaimer.reclaim();
        self.evict();
        self.memory_changed();
    }

    /// Evicts documents down to the limit of all vBuckets. An operation evicts those of its own
    /// vBucket only, which leaves what idle ones have.
    fn evict(&self) {
        for partition in self.partitions.all() {
            // Two rounds evict whatever can be: the first spares what was used.
            let mut left = 2 * partition.documents().stats().entries;
            while left > 0 && self.cache.is_exceeded() {
                partition.documents().evict(EVICTED_TOGETHER);
                left = left.saturating_sub(EVICTED_TOGETHER);
            }
        }
    }

    /// Wakes those that wait for memory, if there is any.
    fn memory_changed(&self) {
        if self.quota.state() == MemoryState::Full {
            return;
        }
        let woken = std::mem::take(&mut *self.memory_waiters.lock());
        woken.iter().for_each(|signal| signal.raise());
    }

    /// Waits until the quota is not used up. `sleep` waits for the signal, and returns whether to go
    /// on waiting. Returns whether there is memory.
    pub(super) fn wait_for_memory(
        &self,
        sleep: impl Fn(&Signal) -> bool,
    ) -> Result<bool, StoreError> {
        let signal = Arc::new(Signal::new());
        loop {
            self.require_open()?;
            signal.lower();
            // Registered before the look: memory that is freed after it wakes this thread.
            self.memory_waiters.lock().push(Arc::clone(&signal));
            if self.quota.state() == MemoryState::Full {
                self.recover_memory();
            }
            if self.quota.state() != MemoryState::Full {
                return Ok(true);
            }
            if !sleep(&signal) {
                return Ok(self.quota.state() != MemoryState::Full);
            }
        }
    }

    /// Wakes all threads and tasks that wait for something that will not come any more.
    pub(super) fn end_waiting(&self) {
        for partition in self.partitions.all() {
            partition.persisted.end(WaitEnd::Closed);
        }
        let woken = std::mem::take(&mut *self.memory_waiters.lock());
        woken.iter().for_each(|signal| signal.raise());
        self.followers.wake();
    }

    /// Replaces an engine that failed. See [`EngineSlot::reopen`].
    pub(super) fn reopen(
        &self,
        seen: Generation,
        error: impl Into<Arc<EngineError>>,
    ) -> Result<(), StoreError> {
        let begun = Instant::now();
        let is_mine = self.slot.reopen(seen, error.into(), |error| {
            self.observe(&StoreEvent::Reopening { error });
        })?;
        if is_mine {
            let micros = micros_since(begun);
            self.observe(&StoreEvent::Reopened { micros });
        }
        Ok(())
    }

    /// Counts an event and passes it to the store's observer.
    pub(super) fn observe(&self, event: &StoreEvent<'_>) {
        self.counts.count(event);
        self.observer.observe(event);
    }
}
