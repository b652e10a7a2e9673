//! One branch of a vBucket's history: its index, its figures, and who has pinned it. Commits go in, views come out.
//!
//! A vBucket has one branch that is written; a rollback makes another one of it, and a drop ends it. A branch nobody
//! writes any more lives as long as a snapshot of it does, and lets go of its records then. What always holds:
//!
//! - What a view shows depends on its high seqno and what was purged alone, and never changes (L11): whatever a pinned
//!   view shows is in the index or in its overlay.
//! - A tombstone that is hidden is shown to no view taken after the purge, and not given up while a restart could find an
//!   older record of its key, or a pinned view shows it (L12).
//! - A collection's highest seqno is that of a slot (L40): neither a purge nor a rollback takes that away (L41).
//! - Figures count exactly what a view taken now shows.

mod load;
mod purge;
mod relocate;
mod tail;
mod unloaded;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Weak};

use lowtide_checkpoint::{Seqno, VBucketState, Vbid};

use crate::contract::VBucketInfo;
use crate::sync::{Mutex, MutexGuard, TryMutex};

use super::damage::Damage;
use super::fingerprint::Fingerprint;
use super::highs::CollectionHighs;
use super::index::{Index, Live, Slot, Tally};
use super::log::Log;
use super::manifest::Lineage;
use super::purged::Purged;
use super::segment::{Location, Segment};
use super::segments::Segments;

use self::load::Base;
pub(super) use self::relocate::Name;
pub(super) use self::unloaded::{Known, Lookup, Unloaded};

/// One branch.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) vb: Vbid,
    pub(super) lineage: Lineage,
    log: Arc<Log>,
    /// What it was rolled back from, and to which seqno.
    parent: Option<(Weak<Branch>, u64)>,
    /// Held by who loads it. Taken before `inner`.
    loading: TryMutex<()>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// What the index is to be seen with.
    base: Base,
    index: Index,
    /// What was committed before that, while the branch is loaded; newest last.
    frozen: Vec<Arc<Index>>,
    pins: BTreeMap<u64, View>,
    next_pin: u64,
    high: u64,
    highs: Arc<CollectionHighs>,
    purged: Arc<Purged>,
    state: Option<Arc<VBucketState>>,
    /// Where the state's record is; it may be in the manifest instead.
    state_at: Option<Location>,
    revision: u64,
    items: u64,
    deleted: u64,
    /// Tombstones that are hidden and still have a slot, by seqno.
    hidden: BTreeMap<u64, Fingerprint>,
    /// Tombstones that were given up, by seqno, and how many records of each are still on the disk, counted by no slot.
    given_up: BTreeMap<u64, u32>,
}

/// What is shown to a reader.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) info: VBucketInfo,
    pub(super) state: Option<Arc<VBucketState>>,
    /// Of then.
    highs: Arc<CollectionHighs>,
    purged: Arc<Purged>,
}

impl View {
    fn shows(&self, slot: &Slot) -> bool {
        !(slot.tombstone && self.purged.hides(slot.seqno))
    }

    pub(super) const fn high(&self) -> u64 {
        self.info.high.0
    }
}

/// A branch as it begins.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    pub(super) high: u64,
    /// Of what there is in `slots`.
    pub(super) highs: Arc<CollectionHighs>,
    pub(super) purged: Arc<Purged>,
    pub(super) state: Option<Arc<VBucketState>>,
    pub(super) state_at: Option<Location>,
    pub(super) revision: u64,
    /// Ascending by seqno, each key once.
    pub(super) slots: Vec<Slot>,
    /// Where the slots come from when they are needed; then there are none here.
    pub(super) unloaded: Option<Unloaded>,
    /// Why it can't be read; then there is nothing else.
    pub(super) damage: Option<Damage>,
    /// Tombstones that were given up before, with their records.
    pub(super) given_up: BTreeMap<u64, u32>,
}

/// What a commit brings.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) high: u64,
    pub(super) state: Arc<VBucketState>,
    pub(super) state_at: Location,
    pub(super) revision: u64,
    /// Ascending by seqno, each key once.
    pub(super) slots: Vec<Slot>,
    pub(super) highs: CollectionHighs,
}

/// Rows of a view, and the segments they are in, held so that they can be read.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) slots: Vec<Slot>,
    pub(super) segments: BTreeMap<u32, Arc<Segment>>,
}

impl Branch {
    pub(super) fn new(
        vb: Vbid,
        lineage: Lineage,
        log: Arc<Log>,
        parent: Option<(Weak<Self>, u64)>,
        beginning: Beginning,
    ) -> Self {
        let Beginning {
            high,
            highs,
            purged,
            state,
            state_at,
            revision,
            ..
        } = beginning;
        let Beginning {
            slots,
            unloaded,
            damage,
            given_up,
            ..
        } = beginning;
        let base = match (damage, unloaded) {
            (Some(damage), _) => Base::Lost(damage),
            (None, Some(unloaded)) => Base::Unloaded(Arc::new(unloaded)),
            (None, None) => Base::Whole,
        };
        let mut inner = Inner {
            base,
            high,
            highs,
            purged,
            state,
            state_at,
            revision,
            given_up,
            ..Inner::default()
        };
        if let Some(location) = state_at {
            Live(&log.segments.table()).add(location);
        }
        inner.begin_with(slots, &log.segments);
        Self {
            vb,
            lineage,
            log,
            parent,
            loading: TryMutex::default(),
            inner: Mutex::new(inner),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    pub(super) fn epoch(&self) -> u32 {
        self.lineage.epoch()
    }

    pub(super) fn high(&self) -> u64 {
        self.lock().high
    }

    /// Of the state committed last.
    pub(super) fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// Leaves so many revisions, for tests.
    #[cfg(test)]
    pub(super) fn leave_revisions(&self, count: u64) {
        self.lock().revision = u64::MAX - count;
    }

    /// Takes in what was made durable.
    pub(super) fn apply(&self, change: Change) {
        let Change {
            high,
            state,
            state_at,
            revision,
            slots,
            highs,
        } = change;
        let mut inner = self.lock();
        let table = self.log.segments.table();
        let live = Live(&table);
        inner.index.reserve(slots.len());
        for slot in slots {
            inner.take_in(slot, live);
        }
        live.add(state_at);
        if let Some(before) = inner.state_at.replace(state_at) {
            live.remove(before);
        }
        inner.high = high;
        inner.take_in_highs(&highs);
        inner.state = Some(state);
        inner.revision = revision;
        self.require_sound(&inner);
    }

    /// What there is now.
    pub(super) fn view(&self) -> View {
        self.lock().view()
    }

    /// What there is now, kept until it is unpinned.
    pub(super) fn pin(&self) -> (u64, View) {
        let mut inner = self.lock();
        let (number, view) = (inner.next_pin, inner.view());
        inner.next_pin += 1;
        inner.pins.insert(number, view.clone());
        (number, view)
    }

    pub(super) fn unpin(&self, number: u64) {
        let mut inner = self.lock();
        inner.pins.remove(&number);
        let table = self.log.segments.table();
        let live = Live(&table);
        if inner.index.history_len() > 0 {
            let Inner { index, pins, .. } = &mut *inner;
            index.trim_history(live, |from, to| {
                pins.values()
                    .any(|pin| from <= pin.high() && pin.high() < to)
            });
        }
        inner.give_up_hidden(live);
    }

    /// A key's newest revision in a view.
    pub(super) fn find(
        &self,
        fingerprint: Fingerprint,
        view: &View,
    ) -> Option<(Slot, Arc<Segment>)> {
        let inner = self.lock();
        let slot = inner
            .index
            .get_at(fingerprint, view.high())
            .filter(|slot| view.shows(slot))?;
        Some((slot, self.log.segments.get(slot.location.segment)?))
    }

    /// The first so many rows of a view with a seqno in `from..=to`, ascending.
    pub(super) fn rows(&self, view: &View, from: u64, to: u64, count: usize) -> Rows {
        let inner = self.lock();
        let table = self.log.segments.table();
        let mut rows = Rows::default();
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
                if let Some(segment) = table.get(id as usize).and_then(Option::as_ref) {
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

    /// How many rows of a view have a seqno in `from..=to`: O(keys).
    pub(super) fn count(&self, view: &View, from: u64, to: u64) -> u64 {
        let inner = self.lock();
        let shown = inner.index.iter_at(from, view.high());
        shown
            .take_while(|slot| slot.seqno <= to)
            .filter(|slot| view.shows(slot))
            .count() as u64
    }

    /// Bytes its index takes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.lock().index.memory_bytes()
    }

    /// Every slot, for who counts for himself.
    pub(super) fn slots(&self) -> Vec<Slot> {
        self.lock().index.iter_at(0, u64::MAX).collect()
    }

    /// Every place it refers to, for tests that count themselves.
    #[cfg(test)]
    pub(super) fn references(&self) -> Vec<Location> {
        let inner = self.lock();
        inner.index.references().chain(inner.state_at).collect()
    }

    /// How many records there are of tombstones that were given up, for tests that count themselves.
    #[cfg(test)]
    pub(super) fn given_up(&self) -> BTreeMap<u64, u32> {
        self.lock().given_up.clone()
    }

    /// Everything it knows, for tests that compare.
    #[cfg(test)]
    pub(super) fn dump(&self) -> String {
        let inner = self.lock();
        let mut dump = format!(
            "{} {:?} high {} of {:?}",
            self.vb, self.lineage, inner.high, inner.highs
        );
        dump += &format!(" {:?}", inner.purged);
        dump += &format!(
            " revision {} at {:?}: {:?}\n",
            inner.revision, inner.state_at, inner.state
        );
        dump += &format!(
            "{} items, {} deleted, hidden {:?}",
            inner.items, inner.deleted, inner.hidden
        );
        dump += &format!(", given up {:?}\n", inner.given_up);
        for slot in inner.index.iter_at(0, u64::MAX) {
            dump += &format!("{slot:?}\n");
        }
        dump
    }

    /// What is wrong with it, a line each.
    pub(super) fn check(&self) -> Vec<String> {
        let inner = self.lock();
        let mut wrong = inner.index.check();
        let view = inner.view();
        let (mut items, mut deleted) = (0, 0);
        for slot in inner
            .index
            .iter_at(0, u64::MAX)
            .filter(|slot| view.shows(slot))
        {
            *(if slot.tombstone {
                &mut deleted
            } else {
                &mut items
            }) += 1;
        }
        if (items, deleted) != (inner.items, inner.deleted) {
            wrong.push(format!(
                "{items} items and {deleted} tombstones, counted as {} and {}",
                inner.items, inner.deleted
            ));
        }
        if inner.items + inner.deleted + inner.hidden.len() as u64 != inner.index.len() as u64 {
            wrong.push(format!(
                "{} keys, {} of them hidden",
                inner.index.len(),
                inner.hidden.len()
            ));
        }
        wrong
    }
}

impl Inner {
    /// The purge seqno of a state is what is told: of a purge here, or of one where the items came from.
    fn view(&self) -> View {
        let told = self
            .state
            .as_ref()
            .map_or(0, |state| state.purge_seqno.0)
            .max(self.purged.upto);
        let info = VBucketInfo {
            high: Seqno(self.high),
            purge: Seqno(told),
            items: self.items,
            deleted: self.deleted,
        };
        let state = self
            .state
            .as_ref()
            .map(|state| match state.purge_seqno.0 == told {
                true => Arc::clone(state),
                false => Arc::new(VBucketState {
                    purge_seqno: Seqno(told),
                    ..(**state).clone()
                }),
            });
        View {
            info,
            state,
            highs: Arc::clone(&self.highs),
            purged: Arc::clone(&self.purged),
        }
    }

    /// Its first slots, each key once. Nobody has pinned anything: what is hidden and the last record of its key is given up.
    fn begin_with(&mut self, slots: Vec<Slot>, segments: &Segments) {
        self.index.reserve(slots.len());
        let mut tally = Tally::default();
        for slot in slots {
            if slot.tombstone && self.purged.hides(slot.seqno) && slot.stale == 0 {
                self.given_up.insert(slot.seqno, 1);
                continue;
            }
            tally.add(slot.location);
            self.index.push(slot);
            self.count_in(&slot);
        }
        // Before anybody else has the index.
        tally.count(Live(&segments.table()));
    }

    fn take_in(&mut self, slot: Slot, live: Live<'_>) {
        let Self { index, pins, .. } = self;
        // All pins are below the new seqno.
        let old = index.insert(slot, live, |seqno| {
            pins.values().any(|pin| seqno <= pin.high())
        });
        if let Some(old) = old
            && self.hidden.remove(&old.seqno).is_none()
        {
            *(if old.tombstone {
                &mut self.deleted
            } else {
                &mut self.items
            }) -= 1;
        }
        self.count_in(&slot);
    }

    fn count_in(&mut self, slot: &Slot) {
        if slot.tombstone && self.purged.hides(slot.seqno) {
            self.hidden.insert(slot.seqno, slot.fingerprint);
        } else {
            *(if slot.tombstone {
                &mut self.deleted
            } else {
                &mut self.items
            }) += 1;
        }
    }
}

impl Drop for Branch {
    fn drop(&mut self) {
        let inner = self.inner.get_mut();
        let table = self.log.segments.table();
        let live = Live(&table);
        inner
            .index
            .references()
            .chain(inner.state_at)
            .for_each(|location| live.remove(location));
    }
}
