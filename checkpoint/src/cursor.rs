//! Cursors: how far each consumer has read.
//!
//! A cursor is a position in the queue: everything below it the consumer has. A handle is a slot and a generation, so
//! that one kept too long can't touch the cursor that came after. The table always knows the lowest position.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use slab::Slab;

use crate::Seqno;
use crate::fault::{self, Fault};
use crate::sync::{AtomicU64, Ordering};

/// A registered cursor, as its owner holds it. Copying it does not make a second cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    slot: usize,
    generation: u64,
}

/// What a consumer learns when it registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The new cursor.
    pub cursor: Cursor,
    /// The first seqno it can get from memory.
    pub next: Seqno,
    /// Whether something between the seqno it has and `next` must be fetched from disk first.
    pub backfill: bool,
}

/// One cursor's figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorInfo {
    /// Its name.
    pub name: Arc<str>,
    /// The last seqno it has processed.
    pub seqno: Seqno,
    /// Whether memory recovery may drop it.
    pub droppable: bool,
    /// The checkpoint it stands in.
    pub checkpoint_id: u64,
    /// Items that lie ahead of it.
    pub remaining: usize,
    /// How often it was read under the manager's lock, also where there was nothing to read. A subscription that keeps up
    /// reads most of its items without it.
    pub reads: u64,
}

/// How far the owner of a cursor has read without the manager's lock. On a cache line of its own: it is written with
/// every batch.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Progress(AtomicU64);

impl Progress {
    /// The owner has everything below `position`. Only the owner says so, and positions only rise.
    pub(crate) fn come_to(&self, position: u64) {
        self.0.store(
            position + u64::from(fault::is(Fault::ProgressTooFar)),
            Ordering::Release,
        );
    }

    fn position(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

#[derive(Debug)]
pub(crate) struct CursorState {
    pub(crate) name: Arc<str>,
    pub(crate) position: u64,
    pub(crate) seqno: Seqno,
    pub(crate) droppable: bool,
    pub(crate) reads: u64,
    generation: u64,
    /// Of a cursor whose owner may read without the lock.
    progress: Option<Arc<Progress>>,
}

impl CursorState {
    /// Where its owner says it is, if that is further than the table knows.
    pub(crate) fn ahead(&self) -> Option<u64> {
        self.progress
            .as_ref()
            .map(|progress| progress.position())
            .filter(|&position| position > self.position)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Cursors {
    slots: Slab<CursorState>,
    by_name: BTreeMap<Arc<str>, usize>,
    /// Position, seqno, slot: of several at one place the one that has processed least comes first.
    by_position: BTreeSet<(u64, Seqno, usize)>,
    generations: u64,
}

impl Cursors {
    /// Registers a cursor under `name`; one that had the name is gone in the same step.
    pub(crate) fn insert(
        &mut self,
        name: &str,
        position: u64,
        seqno: Seqno,
        droppable: bool,
    ) -> Cursor {
        if let Some(&slot) = self.by_name.get(name) {
            self.remove_slot(slot);
        }
        self.generations += 1;
        let (name, generation) = (Arc::<str>::from(name), self.generations);
        let slot = self.slots.insert(CursorState {
            name: Arc::clone(&name),
            position,
            seqno,
            droppable,
            reads: 0,
            generation,
            progress: None,
        });
        self.by_name.insert(name, slot);
        self.by_position.insert((position, seqno, slot));
        Cursor { slot, generation }
    }

    /// Forgets a cursor. Returns whether it was still registered.
    pub(crate) fn remove(&mut self, cursor: Cursor) -> bool {
        let live = self.get(cursor).is_some();
        if live {
            self.remove_slot(cursor.slot);
        }
        live
    }

    pub(crate) fn get(&self, cursor: Cursor) -> Option<&CursorState> {
        self.slots
            .get(cursor.slot)
            .filter(|state| state.generation == cursor.generation)
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<Cursor> {
        let &slot = self.by_name.get(name)?;
        self.slots.get(slot).map(|state| Cursor {
            slot,
            generation: state.generation,
        })
    }

    /// Moves a cursor that was read; O(log cursors).
    pub(crate) fn set(&mut self, cursor: Cursor, position: u64, seqno: Seqno) {
        self.move_to(cursor, position, seqno, 1);
    }

    /// Moves a cursor back to where it was; O(log cursors).
    pub(crate) fn put_back(&mut self, cursor: Cursor, position: u64, seqno: Seqno) {
        self.move_to(cursor, position, seqno, 0);
    }

    fn move_to(&mut self, cursor: Cursor, position: u64, seqno: Seqno, reads: u64) {
        let Some(state) = self
            .slots
            .get_mut(cursor.slot)
            .filter(|state| state.generation == cursor.generation)
        else {
            return;
        };
        state.reads += reads;
        if (state.position, state.seqno) == (position, seqno) {
            return;
        }
        self.by_position
            .remove(&(state.position, state.seqno, cursor.slot));
        state.position = position;
        state.seqno = seqno;
        self.by_position.insert((position, seqno, cursor.slot));
    }

    /// From now on the cursor's owner may read without the lock, and say in this how far.
    pub(crate) fn follow(&mut self, cursor: Cursor) -> Option<Arc<Progress>> {
        let state = self
            .slots
            .get_mut(cursor.slot)
            .filter(|state| state.generation == cursor.generation)?;
        let progress = Arc::new(Progress(AtomicU64::new(state.position)));
        state.progress = Some(Arc::clone(&progress));
        Some(progress)
    }

    /// The cursor that is furthest behind, as far as the table knows; O(1).
    pub(crate) fn first(&self) -> Option<(Cursor, &CursorState)> {
        let &(_, _, slot) = self.by_position.first()?;
        self.slots.get(slot).map(|state| {
            (
                Cursor {
                    slot,
                    generation: state.generation,
                },
                state,
            )
        })
    }

    /// Every cursor whose owner is further than the table knows.
    pub(crate) fn all_ahead(&self) -> Vec<Cursor> {
        let ahead = self
            .slots
            .iter()
            .filter(|(_, state)| state.ahead().is_some());
        ahead
            .map(|(slot, state)| Cursor {
                slot,
                generation: state.generation,
            })
            .collect()
    }

    /// Puts every cursor at one place.
    pub(crate) fn set_all(&mut self, position: u64, seqno: Seqno) {
        self.by_position.clear();
        for (slot, state) in &mut self.slots {
            state.position = position;
            state.seqno = seqno;
            self.by_position.insert((position, seqno, slot));
        }
    }

    /// Position and seqno of the cursor that is furthest behind; O(log cursors).
    pub(crate) fn lowest(&self) -> Option<(u64, Seqno)> {
        self.by_position
            .first()
            .map(|&(position, seqno, _)| (position, seqno))
    }

    /// All of them, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &CursorState> {
        self.by_name
            .values()
            .filter_map(|&slot| self.slots.get(slot))
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether its three tables agree.
    pub(crate) fn is_consistent(&self) -> bool {
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
        if let Some(state) = self.slots.try_remove(slot) {
            self.by_name.remove(&state.name);
            self.by_position
                .remove(&(state.position, state.seqno, slot));
        }
    }
}
