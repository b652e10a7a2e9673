//! The index of one vBucket, its figures, and its pinned views.
//!
//! A vBucket has one index that is written. A rollback replaces it by another one, and a drop ends
//! it. An index that is not written any more lives as long as a snapshot of it, and releases its
//! records then.
//!
//! # Invariants
//!
//! - What a view shows depends on its high seqno and on what was purged alone, and never changes
//!   (L11). Everything that a pinned view shows is in the index or in its overlay.
//! - A purged tombstone is shown in no view taken after the purge. It is not removed while a
//!   restart could find an older record of its key, or while a pinned view shows it (L12).
//! - A collection's highest seqno is that of a slot (L40): neither a purge nor a rollback takes it
//!   away (L41).
//! - Figures count exactly what a view taken now shows.

mod audit;
mod image_coverage;
mod initial_state;
mod lazy_index;
mod lazy_load;
mod log_tail;
mod pins;
mod purge;
mod relocate;
mod view;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use lowtide_checkpoint::internal::{Invariant, checked_invariant};
use lowtide_checkpoint::{VBucketState, Vbid};

pub(in crate::logstor) use self::image_coverage::ImageCoverage;
pub(in crate::logstor) use self::initial_state::InitialState;
pub(in crate::logstor) use self::lazy_index::{LazyIndex, Lookup};
use self::lazy_load::LoadState;
pub(in crate::logstor) use self::pins::Ancestors;
pub(in crate::logstor) use self::relocate::RecordId;
pub(in crate::logstor) use self::view::View;
use super::record_reader::{ViewRows, segment_lost};
use crate::contract::EngineError;
use crate::logstor::format::{
    CollectionHighSeqnos, Fingerprint, Location, PurgedTombstones, to_u64, to_usize,
};
use crate::logstor::index::{KeyIndex, ReferenceCounts, ReferenceTally, Slot};
use crate::logstor::log::{Lineage, Log, Segment, SegmentTable};
use crate::sync::{Mutex, MutexGuard, TryMutex, ranks};

/// The index of a vBucket.
#[derive(Debug)]
pub(in crate::logstor) struct VBucketIndex {
    pub(in crate::logstor) vb: Vbid,
    pub(in crate::logstor) lineage: Lineage,
    log: Arc<Log>,
    ancestors: Ancestors,
    /// Held while the index is loaded. Taken before `inner`.
    loading: TryMutex<()>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Whether `index` is complete.
    load_state: LoadState,
    index: KeyIndex,
    /// Indexes of what was committed while the vBucket is loaded, before `index`; newest last.
    frozen: Vec<Arc<KeyIndex>>,
    pins: BTreeMap<u64, View>,
    next_pin: u64,
    high: u64,
    high_seqnos: Arc<CollectionHighSeqnos>,
    purged: Arc<PurgedTombstones>,
    state: Option<Arc<VBucketState>>,
    /// Location of the state's record; `None` if the state is in the manifest.
    state_at: Option<Location>,
    revision: u64,
    items: u64,
    deleted: u64,
    /// Purged tombstones that still have a slot, by seqno.
    purged_pending: BTreeMap<u64, Fingerprint>,
    /// Purged tombstones without a slot, by seqno, with the number of their records on disk, which
    /// no slot counts.
    reclaimed_tombstones: BTreeMap<u64, u32>,
}

/// The change of a vBucket by a commit.
#[derive(Debug)]
pub(in crate::logstor) struct CommittedChange {
    pub(in crate::logstor) high: u64,
    pub(in crate::logstor) state: Arc<VBucketState>,
    pub(in crate::logstor) state_at: Location,
    pub(in crate::logstor) revision: u64,
    /// Slots ascending by seqno, each key once.
    pub(in crate::logstor) slots: Vec<Slot>,
    pub(in crate::logstor) high_seqnos: CollectionHighSeqnos,
}

impl VBucketIndex {
    pub(in crate::logstor) fn new(
        vb: Vbid,
        lineage: Lineage,
        log: Arc<Log>,
        ancestors: Ancestors,
        initial: InitialState,
    ) -> Self {
        let InitialState {
            high,
            high_seqnos,
            purged,
            state,
            state_at,
            revision,
            slots,
            lazy,
            damage,
            reclaimed_tombstones,
        } = initial;
        let load_state = match (damage, lazy) {
            (Some(damage), _) => LoadState::Damaged(damage),
            (None, Some(lazy)) => LoadState::Lazy(Arc::new(lazy)),
            (None, None) => LoadState::Loaded,
        };
        let mut inner = Inner {
            load_state,
            high,
            high_seqnos,
            purged,
            state,
            state_at,
            revision,
            reclaimed_tombstones,
            ..Inner::default()
        };
        if let Some(location) = state_at {
            ReferenceCounts(&log.segments.uses()).add(location);
        }
        inner.insert_initial(slots, &log.segments);
        Self {
            vb,
            lineage,
            log,
            ancestors,
            loading: TryMutex::new(ranks::LOADING, ()),
            inner: Mutex::new(ranks::VBUCKET_INDEX, inner),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    pub(in crate::logstor) fn epoch(&self) -> u32 {
        self.lineage.epoch()
    }

    pub(in crate::logstor) fn high(&self) -> u64 {
        self.lock().high
    }

    /// Returns the revision of the state committed last.
    pub(in crate::logstor) fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// Leaves this many revisions.
    #[cfg(test)]
    pub(in crate::logstor) fn leave_revisions(&self, count: u64) {
        self.lock().revision = u64::MAX - count;
    }

    /// Applies a change that is durable.
    pub(in crate::logstor) fn apply(&self, change: CommittedChange) {
        let CommittedChange {
            high,
            state,
            state_at,
            revision,
            slots,
            high_seqnos,
        } = change;
        let mut inner = self.lock();
        checked_invariant!(
            high >= inner.high && slots.iter().all(|slot| slot.seqno > inner.high),
            "E1",
            "a batch has higher seqnos than its vBucket"
        );
        checked_invariant!(
            revision > inner.revision,
            "L49",
            "revisions of a state rise"
        );
        let uses = self.log.segments.uses();
        let counts = ReferenceCounts(&uses);
        inner.index.reserve(slots.len());
        for slot in slots {
            inner.insert_slot(slot, counts);
        }
        counts.add(state_at);
        if let Some(before) = inner.state_at.replace(state_at) {
            counts.remove(before);
        }
        inner.high = high;
        inner.merge_high_seqnos(&high_seqnos);
        inner.state = Some(state);
        inner.revision = revision;
        self.require_sound(&inner);
    }

    /// Finds the revision of a key in a view.
    ///
    /// # Errors
    /// [`EngineError::Internal`] if the segment of its record is not in use.
    pub(in crate::logstor) fn find(
        &self,
        fingerprint: Fingerprint,
        view: &View,
    ) -> Result<Option<(Slot, Arc<Segment>)>, EngineError> {
        let inner = self.lock();
        let slot = inner.index.get_at(fingerprint, view.high());
        slot.filter(|slot| view.shows(slot))
            .map(|slot| self.with_segment(slot))
            .transpose()
    }

    /// Returns a slot with the segment of its record, held. The caller holds the lock of the index,
    /// so that nothing frees the segment before.
    fn with_segment(&self, slot: Slot) -> Result<(Slot, Arc<Segment>), EngineError> {
        let segment = self.log.segments.get(slot.location.segment);
        // A key without its segment must not pass for an absent one.
        let segment = segment.ok_or_else(|| segment_lost(&self.log.context))?;
        Ok((slot, segment))
    }

    /// Returns the first `count` rows of a view with a seqno in `from..=to`, ascending.
    pub(in crate::logstor) fn rows(
        &self,
        view: &View,
        from: u64,
        to: u64,
        count: usize,
    ) -> ViewRows {
        let inner = self.lock();
        let uses = self.log.segments.uses();
        let mut rows = ViewRows::default();
        let mut last = u32::MAX;
        let mut left = count;
        rows.slots.reserve_exact(count.min(inner.index.len()));
        inner.index.walk_at(from, view.high(), |slot| {
            if left == 0 || slot.seqno > to {
                return ControlFlow::Break(());
            }
            if !view.shows(slot) {
                return ControlFlow::Continue(());
            }
            left -= 1;
            let id = slot.location.segment;
            if id != last {
                last = id;
                if let Some(segment) = uses.get(to_usize(id)).and_then(Option::as_ref) {
                    rows.segments
                        .entry(id)
                        .or_insert_with(|| Arc::clone(segment));
                }
            }
            rows.slots.push(*slot);
            ControlFlow::Continue(())
        });
        rows
    }

    /// Counts the rows of a view with a seqno in `from..=to`: O(keys).
    pub(in crate::logstor) fn count(&self, view: &View, from: u64, to: u64) -> u64 {
        let inner = self.lock();
        let shown = inner.index.iter_at(from, view.high());
        let counted = shown
            .take_while(|slot| slot.seqno <= to)
            .filter(|slot| view.shows(slot))
            .count();
        to_u64(counted)
    }

    /// Returns the memory of the index, and while it is loaded, of those that hold what was
    /// committed meanwhile.
    pub(in crate::logstor) fn memory_bytes(&self) -> usize {
        let inner = self.lock();
        let frozen = inner.frozen.iter().map(|index| index.memory_bytes());
        inner.index.memory_bytes() + frozen.sum::<usize>()
    }

    /// Returns all slots.
    pub(in crate::logstor) fn slots(&self) -> Vec<Slot> {
        self.lock().index.iter_at(0, u64::MAX).collect()
    }
}

impl Inner {
    /// Inserts the first slots, each key once. Nothing is pinned yet, so a purged tombstone that is
    /// the last record of its key needs no slot.
    fn insert_initial(&mut self, slots: Vec<Slot>, segments: &SegmentTable) {
        self.index.reserve(slots.len());
        let mut tally = ReferenceTally::default();
        for slot in slots {
            if slot.tombstone && self.purged.hides(slot.seqno) && slot.other_copies == 0 {
                self.reclaimed_tombstones.insert(slot.seqno, 1);
                continue;
            }
            tally.add(slot.location);
            self.index.push(slot);
            self.count_slot(&slot);
        }
        // Before the index is shared.
        tally.count(ReferenceCounts(&segments.uses()));
    }

    fn insert_slot(&mut self, slot: Slot, counts: ReferenceCounts<'_>) {
        let Self { index, pins, .. } = self;
        // All pins are below the new seqno.
        let old = index.insert(slot, counts, |seqno| {
            pins.values().any(|pin| seqno <= pin.high())
        });
        if let Some(old) = old
            && self.purged_pending.remove(&old.seqno).is_none()
        {
            self.take_off(old.tombstone, 1);
        }
        self.count_slot(&slot);
    }

    /// Takes tombstones or other items off the figures.
    fn take_off(&mut self, are_tombstones: bool, count: u64) {
        let figure = self.figure(are_tombstones);
        // 0 is closer to the truth than a figure that has wrapped.
        *figure = figure
            .checked_sub(count)
            .expected("L9", "what is taken off a figure was counted")
            .unwrap_or(0);
    }

    /// Returns the number of tombstones or of other items.
    fn figure(&mut self, are_tombstones: bool) -> &mut u64 {
        if are_tombstones {
            &mut self.deleted
        } else {
            &mut self.items
        }
    }

    fn count_slot(&mut self, slot: &Slot) {
        if slot.tombstone && self.purged.hides(slot.seqno) {
            self.purged_pending.insert(slot.seqno, slot.fingerprint);
        } else {
            *self.figure(slot.tombstone) += 1;
        }
    }
}

impl Drop for VBucketIndex {
    fn drop(&mut self) {
        let inner = self.inner.get_mut();
        let uses = self.log.segments.uses();
        let counts = ReferenceCounts(&uses);
        inner
            .index
            .locations()
            .chain(inner.state_at)
            .for_each(|location| counts.remove(location));
    }
}
