//! Cursors: the progress of each consumer.
//!
//! A cursor is a position in the queue: its consumer has everything below it. A handle is a slot and
//! a generation, so that a stale handle cannot touch a newer cursor in the same slot.
//!
//! # Invariants
//! - The table always knows its lowest position.
//! - A handle works for its own cursor only (C14).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use slab::Slab;

use super::config::CursorOptions;
use crate::fault::{self, Fault};
use crate::internal::invariant::{Invariant, checked_invariant};
use crate::internal::sync::{AtomicU64, Ordering};
use crate::model::Seqno;

/// A registered cursor's handle. Copying it does not make a second cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    slot: usize,
    generation: u64,
}

/// The result of registering a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registration {
    /// New cursor.
    pub cursor: Cursor,
    /// First seqno that the consumer can read from memory.
    pub next: Seqno,
    /// Whether the consumer must fetch items before `next` from disk first.
    pub backfill: bool,
}

/// One cursor's figures.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CursorInfo {
    /// Name.
    pub name: Arc<str>,
    /// Last seqno that the consumer has processed.
    pub seqno: Seqno,
    /// Whether memory recovery may drop the cursor.
    pub droppable: bool,
    /// Checkpoint that the cursor stands in.
    pub checkpoint_id: u64,
    /// Number of items ahead of the cursor.
    pub remaining: usize,
    /// Number of reads under the manager's lock, including those that found nothing. A subscription
    /// that keeps up reads most of its items without the lock.
    pub reads: u64,
}

/// The position that a cursor's owner has reached without the manager's lock. It is on a cache line
/// of its own because it is written with every batch.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Progress(AtomicU64);

impl Progress {
    /// Publishes that the owner has everything below `position`. Only the owner calls this, and
    /// positions only rise.
    pub(crate) fn advance_to(&self, position: u64) {
        self.0.store(
            position + u64::from(fault::is(Fault::ProgressTooFar)),
            Ordering::Release,
        );
    }

    fn position(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// One cursor, as the table stores it.
#[derive(Debug)]
pub(super) struct CursorState {
    pub(super) name: Arc<str>,
    pub(super) position: u64,
    pub(super) seqno: Seqno,
    pub(super) droppable: bool,
    pub(super) reads: u64,
    generation: u64,
    /// Progress of an owner that may read without the lock.
    progress: Option<Arc<Progress>>,
}

impl CursorState {
    /// Returns the position that the owner has published, if it is beyond the table's.
    pub(super) fn unsynced_position(&self) -> Option<u64> {
        self.progress
            .as_ref()
            .map(|progress| progress.position())
            .filter(|&position| position > self.position)
    }
}

/// All cursors of a manager, found by handle, by name and by position.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    slots: Slab<CursorState>,
    by_name: BTreeMap<Arc<str>, usize>,
    /// `(position, seqno, slot)`. Of several cursors at one position, the one with the lowest seqno
    /// comes first.
    by_position: BTreeSet<(u64, Seqno, usize)>,
    generations: u64,
}

impl Cursors {
    /// Registers a cursor under `name`, replacing any cursor of that name in the same step.
    pub(super) fn insert(
        &mut self,
        name: &str,
        position: u64,
        seqno: Seqno,
        options: CursorOptions,
    ) -> Cursor {
        if let Some(&slot) = self.by_name.get(name) {
            self.remove_slot(slot);
        }
        self.generations += 1;
        let name = Arc::<str>::from(name);
        let generation = self.generations;
        let slot = self.slots.insert(CursorState {
            name: Arc::clone(&name),
            position,
            seqno,
            droppable: options.droppable,
            reads: 0,
            generation,
            progress: None,
        });
        self.by_name.insert(name, slot);
        self.by_position.insert((position, seqno, slot));
        Cursor { slot, generation }
    }

    /// Removes a cursor. Returns whether it was still registered.
    pub(super) fn remove(&mut self, cursor: Cursor) -> bool {
        let live = self.get(cursor).is_some();
        if live {
            self.remove_slot(cursor.slot);
        }
        live
    }

    pub(super) fn get(&self, cursor: Cursor) -> Option<&CursorState> {
        self.slots
            .get(cursor.slot)
            .filter(|state| state.generation == cursor.generation)
    }

    pub(super) fn by_name(&self, name: &str) -> Option<Cursor> {
        let &slot = self.by_name.get(name)?;
        let state = self
            .slots
            .get(slot)
            .expected("C4", "each name has a cursor")?;
        Some(Cursor {
            slot,
            generation: state.generation,
        })
    }

    /// Moves a cursor after a read, and counts the read; O(log cursors).
    pub(super) fn record_read(&mut self, cursor: Cursor, position: u64, seqno: Seqno) {
        self.move_to(cursor, position, seqno, 1);
    }

    /// Moves a cursor without a read under the lock; O(log cursors).
    pub(super) fn set_position(&mut self, cursor: Cursor, position: u64, seqno: Seqno) {
        self.move_to(cursor, position, seqno, 0);
    }

    fn move_to(&mut self, cursor: Cursor, position: u64, seqno: Seqno, reads: u64) {
        let Some(state) = self
            .slots
            .get_mut(cursor.slot)
            .filter(|state| state.generation == cursor.generation)
            .expected("C14", "a cursor that moves is registered")
        else {
            return;
        };
        state.reads += reads;
        if (state.position, state.seqno) == (position, seqno) {
            return;
        }
        let place = (state.position, state.seqno, cursor.slot);
        let was_there = self.by_position.remove(&place);
        checked_invariant!(was_there, "C4", "each cursor is found by its position");
        state.position = position;
        state.seqno = seqno;
        self.by_position.insert((position, seqno, cursor.slot));
    }

    /// Returns the progress through which the cursor's owner may publish reads without the lock.
    pub(super) fn track_progress(&mut self, cursor: Cursor) -> Option<Arc<Progress>> {
        let state = self
            .slots
            .get_mut(cursor.slot)
            .filter(|state| state.generation == cursor.generation)?;
        let progress = Arc::new(Progress(AtomicU64::new(state.position)));
        state.progress = Some(Arc::clone(&progress));
        Some(progress)
    }

    /// Returns the cursor that is furthest behind, as far as the table knows; O(1).
    pub(super) fn first(&self) -> Option<(Cursor, &CursorState)> {
        let &(_, _, slot) = self.by_position.first()?;
        let state = self
            .slots
            .get(slot)
            .expected("C4", "each position has a cursor")?;
        let generation = state.generation;
        Some((Cursor { slot, generation }, state))
    }

    /// Returns every cursor whose owner has published a position beyond the table's.
    pub(super) fn all_unsynced(&self) -> Vec<Cursor> {
        let unsynced = self
            .slots
            .iter()
            .filter(|(_, state)| state.unsynced_position().is_some());
        unsynced
            .map(|(slot, state)| Cursor {
                slot,
                generation: state.generation,
            })
            .collect()
    }

    /// Moves every cursor to one position.
    pub(super) fn set_all(&mut self, position: u64, seqno: Seqno) {
        self.by_position.clear();
        for (slot, state) in &mut self.slots {
            state.position = position;
            state.seqno = seqno;
            self.by_position.insert((position, seqno, slot));
        }
    }

    /// Returns the position and seqno of the cursor that is furthest behind; O(log cursors).
    pub(super) fn lowest(&self) -> Option<(u64, Seqno)> {
        self.by_position
            .first()
            .map(|&(position, seqno, _)| (position, seqno))
    }

    /// Returns all cursors, ordered by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &CursorState> {
        self.by_name.values().filter_map(|&slot| {
            self.slots
                .get(slot)
                .expected("C4", "each name has a cursor")
        })
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns whether the three tables agree.
    pub(super) fn is_consistent(&self) -> bool {
        self.by_name.len() == self.slots.len()
            && self.by_position.len() == self.slots.len()
            && self.slots.iter().all(|(slot, state)| {
                self.by_name.get(&state.name) == Some(&slot)
                    && self
                        .by_position
                        .contains(&(state.position, state.seqno, slot))
            })
    }

    fn remove_slot(&mut self, slot: usize) {
        // A cursor that is gone has nothing left to remove.
        if let Some(state) = self
            .slots
            .try_remove(slot)
            .expected("C4", "a cursor to remove is registered")
        {
            let place = (state.position, state.seqno, slot);
            let had_name = self.by_name.remove(&state.name).is_some();
            let had_place = self.by_position.remove(&place);
            checked_invariant!(
                had_name && had_place,
                "C4",
                "each cursor is found by its name and its position"
            );
        }
    }
}
