//! Loading of a vBucket's index while gets and commits proceed.
//!
//! A vBucket is loaded, or lazy ([`LazyIndex`]: its state when the store was opened), or damaged.
//!
//! Loading builds an index of the lazy state, and replays on top of it what was committed, in the
//! order of seqnos and by the rule of commits (L39). The replay proceeds in rounds: the current
//! index is frozen, and commits go to a new one. Gets read all of them, newest first. Only what the
//! last round leaves is replayed under the lock.
//!
//! # Invariants
//!
//! While a vBucket is not loaded:
//!
//! - The index, with the frozen ones, has what was committed since the store was opened, and
//!   nothing else. A key in it was overwritten, and any other key is what it was then. So a get
//!   reads the index first, then the lazy state. Both were true while it held the lock (L38).
//! - Of its records, those in these indexes and the state are counted as live, no others. Items and
//!   tombstones are not counted. Counts are used only once every vBucket is loaded, and nothing is
//!   freed or moved before (L23). So a commit has nothing to take off for the record it supersedes,
//!   and loading corrects all counts.
//! - No view of it is pinned, and it was not purged or rolled back: each of these loads it first.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::lazy_index::{LazyIndex, Lookup};
use super::{Inner, VBucketIndex};
use crate::contract::EngineError;
use crate::failure::Damage;
use crate::fault::{self, Fault};
use crate::logstor::format::Fingerprint;
use crate::logstor::index::{KeyIndex, ReferenceCounts, Slot};
use crate::logstor::log::SegmentTable;

/// Slots below which the rest is replayed under the lock. Tests and models have few.
const SLOTS_LOCKED: usize = if cfg!(any(test, checkpoint_loom)) {
    1
} else {
    512
};
/// Rounds, at most. What is committed in one round is replayed in the next, in less time.
const ROUNDS_MAX: u32 = 12;
/// Slots that are replayed while the table of segments is locked: a caller that needs a segment
/// waits for them.
const SLOTS_AT_ONCE: usize = 512;

/// Completeness of an index.
#[derive(Debug, Default)]
pub(super) enum LoadState {
    /// It is complete.
    #[default]
    Loaded,
    /// It lacks the state at which the store was opened.
    Lazy(Arc<LazyIndex>),
    /// It can't be read.
    Damaged(Damage),
}

impl VBucketIndex {
    /// Loads the index, if it is not loaded. One thread at a time does so; gets and commits don't
    /// wait. If the vBucket turns out to be unreadable, `quarantine` is called with its segments
    /// first.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: it is not loaded then; [`EngineError::Corrupt`]: it will never be.
    pub(in crate::logstor) fn load(
        &self,
        quarantine: impl FnOnce(BTreeSet<u32>),
    ) -> Result<(), EngineError> {
        if self.lazy()?.is_none() {
            return Ok(());
        }
        let _alone = self.loading.lock();
        self.load_locked(quarantine)
    }

    /// Same as [`VBucketIndex::load`], but returns immediately if another thread is loading it.
    ///
    /// # Errors
    /// Same as [`VBucketIndex::load`].
    pub(in crate::logstor::vbucket) fn try_load(
        &self,
        quarantine: impl FnOnce(BTreeSet<u32>),
    ) -> Result<(), EngineError> {
        match self.loading.try_lock() {
            Some(_alone) => self.load_locked(quarantine),
            None => {
                if fault::is(Fault::BusyTakenForLoaded) {
                    self.lock().load_state = LoadState::Loaded;
                }
                Ok(())
            }
        }
    }

    fn load_locked(&self, quarantine: impl FnOnce(BTreeSet<u32>)) -> Result<(), EngineError> {
        let Some(from) = self.lazy()? else {
            return Ok(());
        };
        let (slots, high_seqnos) = match from.load(&self.log.context).map_err(Damage::of) {
            Ok(loaded) => loaded,
            Err(Err(error)) => return Err(error),
            Err(Ok(damage)) => {
                quarantine(from.segments());
                // A caller that sees the damage relies on the quarantine.
                let error = damage.error();
                self.lock().load_state = LoadState::Damaged(damage);
                return Err(error);
            }
        };
        let segments = &self.log.segments;
        let purged = Arc::clone(&self.lock().purged);
        let mut loaded = Inner {
            purged,
            ..Inner::default()
        };
        loaded.insert_initial(slots, segments);
        loaded.merge_high_seqnos(&high_seqnos);
        for round in 1.. {
            loaded.index.reserve(SLOTS_LOCKED * 2);
            let frozen = {
                let mut inner = self.lock();
                if inner.index.len() < SLOTS_LOCKED || round == ROUNDS_MAX {
                    let left = inner.install_loaded(loaded, segments);
                    drop(inner);
                    // Its memory is freed outside the lock.
                    drop((left, from));
                    break;
                }
                let frozen = Arc::new(std::mem::take(&mut inner.index));
                inner.frozen.push(Arc::clone(&frozen));
                frozen
            };
            loaded.index.reserve(frozen.len());
            loaded.replay(&frozen, segments);
        }
        Ok(())
    }

    /// Returns the lazy state, unless the vBucket is loaded.
    fn lazy(&self) -> Result<Option<Arc<LazyIndex>>, EngineError> {
        match &self.lock().load_state {
            LoadState::Loaded => Ok(None),
            LoadState::Lazy(from) => Ok(Some(Arc::clone(from))),
            LoadState::Damaged(damage) => Err(damage.error()),
        }
    }

    /// Finds a key's newest record, whether the vBucket is loaded or not. Purged tombstones count
    /// as absent.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] if the vBucket is known to be unreadable.
    pub(in crate::logstor) fn newest(&self, of: Fingerprint) -> Result<Lookup, EngineError> {
        let (from, purged) = {
            let inner = self.lock();
            match (&inner.load_state, inner.committed(of)) {
                (LoadState::Damaged(damage), _) => return Err(damage.error()),
                (_, Some(slot)) if slot.tombstone && inner.purged.hides(slot.seqno) => {
                    return Ok(Lookup::Absent);
                }
                (_, Some(slot)) => {
                    if fault::is(Fault::SegmentTakenLate) {
                        drop(inner);
                    }
                    let (slot, segment) = self.with_segment(slot)?;
                    return Ok(Lookup::Found(slot, segment));
                }
                (LoadState::Loaded, None) => return Ok(Lookup::Absent),
                (LoadState::Lazy(from), None) => (Arc::clone(from), Arc::clone(&inner.purged)),
            }
        };
        let mut found = from.find(of)?;
        if let (true, Lookup::Found(slot, _)) = (fault::is(Fault::SegmentTakenLate), &found) {
            let slot = *slot;
            drop((from, found));
            let (slot, segment) = self.with_segment(slot)?;
            found = Lookup::Found(slot, segment);
        }
        let is_hidden =
            matches!(&found, Lookup::Found(slot, _) if slot.tombstone && purged.hides(slot.seqno));
        Ok(if is_hidden { Lookup::Absent } else { found })
    }

    /// Returns the bytes of a key's newest record; 0 if there is none, or it is not in memory.
    pub(in crate::logstor) fn newest_bytes(&self, of: Fingerprint) -> u32 {
        self.lock()
            .committed(of)
            .map_or(0, |slot| slot.location.len)
    }

    /// Returns the damage of the vBucket, if it is known to be unreadable.
    pub(in crate::logstor) fn damage(&self) -> Option<Damage> {
        match &self.lock().load_state {
            LoadState::Damaged(damage) => Some(damage.clone()),
            LoadState::Loaded | LoadState::Lazy(_) => None,
        }
    }

    /// Returns whether it is to be loaded.
    pub(in crate::logstor::vbucket) fn is_lazy(&self) -> bool {
        matches!(self.lock().load_state, LoadState::Lazy(_))
    }
}

impl Inner {
    /// Installs the loaded index, and replays commits made since the last round. Returns the
    /// temporary indexes, so that the caller frees them outside the lock.
    fn install_loaded(
        &mut self,
        loaded: Self,
        segments: &SegmentTable,
    ) -> (KeyIndex, Vec<Arc<KeyIndex>>) {
        let Self {
            index,
            high_seqnos,
            items,
            deleted,
            purged_pending,
            reclaimed_tombstones,
            ..
        } = loaded;
        self.load_state = LoadState::Loaded;
        let front = std::mem::replace(&mut self.index, index);
        self.items = items;
        self.deleted = deleted;
        self.purged_pending = purged_pending;
        self.reclaimed_tombstones = reclaimed_tombstones;
        self.replay(&front, segments);
        // Highest seqnos of commits are merged already.
        self.merge_high_seqnos(&high_seqnos);
        (front, std::mem::take(&mut self.frozen))
    }

    /// Replays the slots of an index that commits went to.
    fn replay(&mut self, front: &KeyIndex, segments: &SegmentTable) {
        let slots: Vec<Slot> = front.iter_at(0, u64::MAX).collect();
        for slots in slots.chunks(SLOTS_AT_ONCE) {
            let uses = segments.uses();
            let counts = ReferenceCounts(&uses);
            for slot in slots {
                if fault::is(Fault::CommitsBesideLoadLost) {
                    return;
                }
                self.insert_slot(*slot, counts);
                // It was counted when it was committed.
                counts.remove(slot.location);
            }
        }
    }

    /// Returns the newest record of a key that was committed since the store was opened. Once
    /// loaded, the newest of all.
    fn committed(&self, of: Fingerprint) -> Option<Slot> {
        let frozen = || self.frozen.iter().rev().find_map(|index| index.get(of));
        self.index.get(of).or_else(frozen)
    }
}
