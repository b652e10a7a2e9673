//! Slots in the order of their seqnos, in chunks.
//!
//! A slot is appended at the end, and keeps its number until its chunk is rewritten without its
//! dead slots.
//!
//! # Invariants
//!
//! Chunks, and slots in them, ascend by seqno. A chunk that is not the last has fewer dead slots
//! than a quarter. A number identifies one slot (L9). A number that identifies none marks the index
//! as broken for good: every change of it checks that (L48).

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use lowtide_checkpoint::internal::violated;

use crate::logstor::format::{Fingerprint, Location, to_u32, to_usize};

/// Slots of a chunk; a power of two.
const CHUNK: usize = 1024;
const CHUNK_BITS: u32 = CHUNK.trailing_zeros();
/// Highest number of a chunk: with it every slot has a number of 32 bits.
const CHUNK_NUMBER_MAX: u32 = u32::MAX >> CHUNK_BITS;

/// The newest revision of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct Slot {
    pub(in crate::logstor) fingerprint: Fingerprint,
    pub(in crate::logstor) seqno: u64,
    pub(in crate::logstor) location: Location,
    /// Other records of the key on disk, at least.
    pub(in crate::logstor) other_copies: u16,
    pub(in crate::logstor) tombstone: bool,
    /// Its key has a newer slot, or none.
    pub(super) dead: bool,
}

impl Slot {
    pub(in crate::logstor) fn new(
        fingerprint: Fingerprint,
        seqno: u64,
        location: Location,
        tombstone: bool,
    ) -> Self {
        Self {
            fingerprint,
            seqno,
            location,
            other_copies: 0,
            tombstone,
            dead: false,
        }
    }
}

#[derive(Debug, Default)]
struct Chunk {
    slots: Vec<Slot>,
    dead: usize,
}

impl Chunk {
    /// Returns `true` if a quarter of the slots are dead: such a chunk is rewritten.
    fn is_sparse(&self) -> bool {
        self.dead * 4 >= self.slots.len()
    }
}

#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Chunks by number; some are empty.
    chunks: Vec<Chunk>,
    /// Numbers of chunks in the order of their seqnos.
    order: Vec<u32>,
    empty: Vec<u32>,
    /// A number that identifies no slot was used.
    is_broken: AtomicBool,
}

const fn chunk_of(id: u32) -> usize {
    to_usize(id >> CHUNK_BITS)
}

const fn place_of(id: u32) -> usize {
    to_usize(id) & (CHUNK - 1)
}

fn id_of(chunk: u32, place: usize) -> u32 {
    chunk << CHUNK_BITS | to_u32(place)
}

impl Slots {
    /// Returns the slot with a number. `None` breaks the index.
    #[inline]
    pub(super) fn get(&self, id: u32) -> Option<&Slot> {
        let slot = self
            .chunks
            .get(chunk_of(id))
            .and_then(|chunk| chunk.slots.get(place_of(id)));
        if slot.is_none() {
            self.mark_broken();
        }
        slot
    }

    /// Marks the index as contradicting itself, which the next change of it reports.
    #[cold]
    pub(super) fn mark_broken(&self) {
        self.is_broken.store(true, Ordering::Relaxed);
        let _violation = violated("L9", "a number leads to its slot");
    }

    /// Returns whether a number was used that identifies no slot.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    /// Marks it as broken.
    #[cfg(test)]
    pub(super) fn break_it(&self) {
        self.is_broken.store(true, Ordering::Relaxed);
    }

    /// Same as [`Slots::get`], to change the slot.
    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Slot> {
        self.get(id)?;
        self.chunks
            .get_mut(chunk_of(id))
            .and_then(|chunk| chunk.slots.get_mut(place_of(id)))
    }

    /// Appends a slot with a higher seqno than any. Returns its number.
    pub(super) fn push(&mut self, slot: Slot) -> u32 {
        let last = self.order.last().copied();
        let room = last.filter(|&last| self.slots_of(last).len() < CHUNK);
        let number = room.unwrap_or_else(|| self.new_chunk());
        let place = self.slots_of(number).len();
        match self.chunks.get_mut(to_usize(number)) {
            Some(chunk) => chunk.slots.push(slot),
            None => self.mark_broken(),
        }
        id_of(number, place)
    }

    fn slots_of(&self, number: u32) -> &[Slot] {
        self.chunks
            .get(to_usize(number))
            .map_or(&[], |chunk| &chunk.slots)
    }

    /// Rewrites the last chunk if it is full and a quarter of its slots are dead: a key that is new
    /// fills it without killing one. Calls `moved` same as [`Slots::kill`].
    #[inline]
    pub(super) fn make_room(&mut self, moved: impl FnMut(Fingerprint, u32, u32)) {
        let Some(&last) = self.order.last() else {
            return;
        };
        let is_due = self
            .chunks
            .get(to_usize(last))
            .is_some_and(|chunk| chunk.slots.len() >= CHUNK && chunk.is_sparse());
        if is_due {
            self.rewrite(last, moved);
        }
    }

    fn new_chunk(&mut self) -> u32 {
        // The last chunk is not rewritten while it grows.
        if let Some(&last) = self.order.last()
            && let Some(chunk) = self.chunks.get_mut(to_usize(last))
        {
            chunk.slots.shrink_to_fit();
        }
        let number = self.empty.pop().unwrap_or_else(|| {
            self.chunks.push(Chunk::default());
            to_u32(self.chunks.len() - 1)
        });
        // Slots of a further chunk would have the numbers of others.
        if number > CHUNK_NUMBER_MAX {
            self.mark_broken();
        }
        self.order.push(number);
        number
    }

    /// Marks a slot as dead. Calls `moved` with the old and new number of each slot that is
    /// renumbered.
    pub(super) fn kill(&mut self, id: u32, moved: impl FnMut(Fingerprint, u32, u32)) {
        let is_last = self
            .order
            .last()
            .is_some_and(|&last| to_usize(last) == chunk_of(id));
        let Some(chunk) = self.chunks.get_mut(chunk_of(id)) else {
            self.mark_broken();
            return;
        };
        if let Some(slot) = chunk.slots.get_mut(place_of(id)).filter(|slot| !slot.dead) {
            slot.dead = true;
            chunk.dead += 1;
        }
        let is_growing = is_last && chunk.slots.len() < CHUNK;
        if chunk.is_sparse() && !is_growing {
            self.rewrite(id >> CHUNK_BITS, moved);
        }
    }

    /// Rewrites a chunk without its dead slots.
    fn rewrite(&mut self, number: u32, mut moved: impl FnMut(Fingerprint, u32, u32)) {
        let Some(chunk) = self.chunks.get_mut(to_usize(number)) else {
            self.mark_broken();
            return;
        };
        let mut kept = Vec::with_capacity(chunk.slots.len() - chunk.dead);
        for (place, slot) in chunk
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| !slot.dead)
        {
            moved(
                slot.fingerprint,
                id_of(number, place),
                id_of(number, kept.len()),
            );
            kept.push(*slot);
        }
        *chunk = Chunk {
            slots: kept,
            dead: 0,
        };
        if chunk.slots.is_empty() {
            self.order.retain(|&of| of != number);
            self.empty.push(number);
        }
    }

    /// Returns live slots from a seqno on, ascending.
    pub(super) fn iter_from(&self, from: u64) -> impl Iterator<Item = &Slot> {
        let chunks = self
            .order
            .iter()
            .skip(self.first_chunk(from))
            .map(|&number| self.slots_of(number));
        chunks.flat_map(move |slots| {
            let start = slots.partition_point(|slot| slot.seqno < from);
            slots.iter().skip(start).filter(|slot| !slot.dead)
        })
    }

    /// Visits live slots from a seqno on, ascending, until the visitor breaks off.
    pub(super) fn walk_from(
        &self,
        from: u64,
        mut visit: impl FnMut(&Slot) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for &number in self.order.iter().skip(self.first_chunk(from)) {
            let slots = self.slots_of(number);
            let start = if slots.first().is_some_and(|first| first.seqno < from) {
                slots.partition_point(|slot| slot.seqno < from)
            } else {
                0
            };
            for slot in slots.iter().skip(start).filter(|slot| !slot.dead) {
                visit(slot)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Returns the index of the first chunk, in the order of seqnos, that has a slot from a seqno
    /// on.
    fn first_chunk(&self, from: u64) -> usize {
        let ends_before = |number: &u32| {
            self.slots_of(*number)
                .last()
                .is_none_or(|last| last.seqno < from)
        };
        self.order.partition_point(ends_before)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let slots: usize = self.chunks.iter().map(|chunk| chunk.slots.capacity()).sum();
        slots * size_of::<Slot>()
            + self.chunks.capacity() * size_of::<Chunk>()
            + self.order.capacity() * 4
    }

    pub(super) fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for &number in &self.order {
            let Some(chunk) = self.chunks.get(to_usize(number)) else {
                wrong.push(format!("chunk {number} is not there"));
                continue;
            };
            let dead = chunk.slots.iter().filter(|slot| slot.dead).count();
            if dead != chunk.dead {
                wrong.push(format!(
                    "chunk {number} has {dead} dead slots and counts {}",
                    chunk.dead
                ));
            }
            if self.order.last() != Some(&number) && chunk.is_sparse() {
                wrong.push(format!(
                    "chunk {number} has {dead} dead slots of {}, and is not the last",
                    chunk.slots.len()
                ));
            }
        }
        wrong
    }
}
