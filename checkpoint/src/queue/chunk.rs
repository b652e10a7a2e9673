//! A chunk: a run of slots with rising positions, shared by `Arc` between the queue and its readers.
//!
//! A dense chunk has a slot for every position from its start on and is filled in order. When most of
//! its items are superseded, the queue replaces it with a sparse chunk. The sparse chunk holds only
//! the live items, at their positions.
//!
//! # Invariants
//! - Only a thread that holds the manager's lock changes a chunk. Any thread may read it.
//! - A reader outside the lock sees a consistent snapshot. It takes the high seqno E under the lock,
//!   or reads an end that was published when E was the high seqno.
//!   - Every slot below its batch's end was filled before that. The items are there.
//!   - A slot belongs to the snapshot at E exactly if no revision up to E superseded it. A
//!     `superseded_by` of at most E was stored before E was taken or published, and is visible. If
//!     it is greater than E, the reader may see 0 or that value, and delivers the slot either way.

use std::sync::Arc;

use super::append_only::{AppendOnly, Appender};
use super::cost::SLOT_BYTES;
use super::slot::Slot;
use crate::internal::invariant::Invariant;
use crate::internal::number::to_u64;
use crate::internal::sync::{AtomicU64, Link, Ordering};
use crate::memory::{Account, Charge};
use crate::model::Seqno;

/// A run of slots.
pub(crate) type Chunk = AppendOnly<Header, Slot>;

/// Fills a chunk. The queue owns it while the chunk is being filled.
pub(crate) type Filler = Appender<Header, Slot>;

/// The data of a chunk besides its slots.
#[derive(Debug)]
pub(crate) struct Header {
    start: u64,
    /// Position after the last slot that may be read without the lock. Maintained while the queue
    /// fills the chunk.
    published: Published,
    /// Position after the last slot, once the chunk is closed.
    closed_at: AtomicU64,
    /// Chunk that was begun after this one was closed.
    next: Link<Chunk>,
    /// Position of each slot of a sparse chunk, rising.
    positions: Option<Box<[u64]>>,
    charge: Charge,
}

/// The published end. It is on a cache line of its own, because readers poll it while the writer
/// fills slots.
#[derive(Debug)]
#[repr(align(64))]
struct Published(AtomicU64);

impl Header {
    fn new(start: u64, published: u64, positions: Option<Box<[u64]>>, charge: Charge) -> Self {
        let published = Published(AtomicU64::new(published));
        let closed_at = AtomicU64::new(u64::MAX);
        Self {
            start,
            published,
            closed_at,
            next: Link::new(),
            positions,
            charge,
        }
    }
}

/// A chunk that was rewritten, to be dropped outside the lock.
#[derive(Debug)]
pub(crate) enum RetiredChunk {
    /// A reader still holds it.
    Shared(Arc<Chunk>),
    /// No reader held it, and its live items were moved out.
    Owned {
        /// Emptied cells.
        emptied: Box<Chunk>,
        /// Superseded items.
        _dead: Vec<Slot>,
    },
}

impl RetiredChunk {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Shared(chunk) => chunk.bytes(),
            Self::Owned { emptied, .. } => emptied.bytes(),
        }
    }
}

/// The chunk in which a reader at the end of its chunk continues.
#[derive(Debug)]
pub(crate) enum NextChunk {
    /// None yet: its chunk is the newest, or more of it is about to be published.
    NotYet,
    /// This chunk.
    Ready(Arc<Chunk>),
    /// A chunk that has left the queue.
    Gone,
}

impl Chunk {
    /// Creates an empty dense chunk.
    pub(crate) fn dense(start: u64, capacity: usize, account: &Account) -> Filler {
        let charge = account.charge(capacity * SLOT_BYTES);
        Self::with_capacity(Header::new(start, start, None, charge), capacity)
    }

    /// Creates a sparse chunk with the live items of `chunk` up to position `filled`.
    ///
    /// Items are moved if there is no other holder. Otherwise keys and values are shared, and
    /// charged to both chunks while both exist.
    pub(crate) fn without_dead(
        chunk: Arc<Self>,
        filled: u64,
        account: &Account,
    ) -> (Arc<Self>, RetiredChunk) {
        let live = || {
            chunk
                .entries(chunk.start(), filled)
                .filter(|(_, slot)| slot.is_live())
        };
        let positions: Box<[u64]> = live().map(|(position, _)| position).collect();
        let payload: usize = live().map(|(_, slot)| slot.item().payload_bytes()).sum();
        let charge = account.charge(positions.len() * (SLOT_BYTES + size_of::<u64>()) + payload);
        let header = Header::new(chunk.start(), filled, Some(positions), charge);
        match Arc::try_unwrap(chunk) {
            Ok(mut chunk) => {
                let (live, dead): (Vec<_>, Vec<_>) =
                    chunk.take().into_iter().partition(Slot::is_live);
                (
                    Arc::new(Self::full(header, live)),
                    RetiredChunk::Owned {
                        emptied: Box::new(chunk),
                        _dead: dead,
                    },
                )
            }
            Err(chunk) => {
                let live = chunk.as_slice().iter().filter(|slot| slot.is_live());
                let copied = live.map(|slot| Slot::new(slot.item().clone()));
                (
                    Arc::new(Self::full(header, copied)),
                    RetiredChunk::Shared(chunk),
                )
            }
        }
    }

    /// Returns the start: no slot has a lower position.
    pub(crate) fn start(&self) -> u64 {
        self.header().start
    }

    /// Returns the position after the last slot of a dense chunk.
    pub(crate) fn dense_end(&self) -> u64 {
        self.start() + to_u64(self.capacity())
    }

    /// Returns the bytes that the chunk keeps alive: slots, keys, values.
    pub(crate) fn bytes(&self) -> usize {
        self.header().charge.bytes()
    }

    /// Records the payload of an item that is about to be appended. [`Account::add`] charges it
    /// later.
    pub(crate) fn record_payload(&self, payload: usize) {
        self.header().charge.add_uncharged(payload);
    }

    /// Publishes the slots below `end` to readers without the lock. All of them were written
    /// before.
    pub(crate) fn publish(&self, end: u64) {
        self.header().published.0.store(end, Ordering::Release);
    }

    /// Closes the chunk. `end` is the position after its last slot.
    pub(crate) fn close(&self, end: u64) {
        self.header().closed_at.store(end, Ordering::Release);
    }

    /// Links to the chunk begun after this one, without keeping it alive.
    pub(crate) fn link(&self, next: &Arc<Self>) {
        self.header().next.set(next);
    }

    /// Returns the chunk in which a reader continues that has everything below `position`.
    pub(crate) fn next_chunk(&self, position: u64) -> NextChunk {
        if position != self.header().closed_at.load(Ordering::Acquire) {
            return NextChunk::NotYet;
        }
        match self.header().next.get() {
            None => NextChunk::NotYet,
            Some(None) => NextChunk::Gone,
            Some(Some(next)) => NextChunk::Ready(next),
        }
    }

    /// Returns the position after the last published slot.
    pub(crate) fn published(&self) -> u64 {
        self.header().published.0.load(Ordering::Acquire)
    }

    /// Returns the filled slot at `position`, and its index.
    pub(crate) fn find(&self, position: u64) -> Option<(usize, &Slot)> {
        let index = match &self.header().positions {
            None => usize::try_from(position.checked_sub(self.start())?).ok()?,
            Some(positions) => positions.binary_search(&position).ok()?,
        };
        self.as_slice().get(index).map(|slot| (index, slot))
    }

    /// Marks the item in a slot as superseded by the revision with seqno `by`. Returns the bytes of
    /// its key and value, or `None` if it was not live.
    pub(crate) fn supersede(&self, index: usize, by: Seqno) -> Option<usize> {
        let slot = self.as_slice().get(index).filter(|slot| slot.is_live())?;
        slot.supersede(by);
        Some(slot.item().payload_bytes())
    }

    /// Returns the filled slots with positions in `from..to`, in order.
    pub(crate) fn slots(&self, from: u64, to: u64) -> &[Slot] {
        let slots = self.as_slice();
        slots
            .get(self.index(from).min(slots.len())..self.index(to).min(slots.len()))
            .unwrap_or(&[])
    }

    /// Returns the slots with positions in `from..to`, in order, each with its position.
    pub(crate) fn entries(
        &self,
        from: u64,
        to: u64,
    ) -> impl DoubleEndedIterator<Item = (u64, &Slot)> {
        let first = self.index(from);
        let slots = self.slots(from, to).iter().enumerate();
        slots.map(move |(offset, slot)| (self.position(first + offset), slot))
    }

    /// Returns the position after the last slot in `from..to` whose seqno is at most `after`.
    /// Returns `from` or the chunk's start if there is none.
    pub(crate) fn seek(&self, from: u64, to: u64, after: Seqno) -> u64 {
        let slots = self.slots(from, to);
        let count = slots.partition_point(|slot| slot.item().seqno <= after);
        match count.checked_sub(1) {
            Some(last) => self.position(self.index(from) + last) + 1,
            None => from.max(self.start()),
        }
    }

    /// Returns the index of the first slot at or after `position`.
    fn index(&self, position: u64) -> usize {
        match &self.header().positions {
            None => position
                .saturating_sub(self.start())
                .min(to_u64(self.capacity())) as usize,
            Some(positions) => positions.partition_point(|&at| at < position),
        }
    }

    fn position(&self, index: usize) -> u64 {
        match &self.header().positions {
            None => self.start() + to_u64(index),
            Some(positions) => positions
                .get(index)
                .copied()
                .expected("C20", "a sparse chunk knows the position of each slot")
                // Beyond every end, so that no cursor stops there.
                .unwrap_or(u64::MAX),
        }
    }
}
