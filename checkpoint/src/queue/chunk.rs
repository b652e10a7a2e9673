//! A chunk: a run of slots with rising positions, shared by `Arc` between the queue and the batches read from it.
//!
//! A dense chunk has a slot for every position from its start on and is filled in order. When most of its items have
//! been superseded the queue puts a sparse one in its place, which holds only those that are live, at their positions.
//!
//! What always holds: a slot's item is written once and never moves or changes; `superseded_by` goes once from 0 to the
//! seqno of the revision that replaced it. Both are written only by whoever holds the manager's lock; both may be read
//! without it.
//!
//! Why a reader outside the lock sees a consistent snapshot: it took E, the high seqno, under the lock, or looked at an end
//! that was published when E was. Every slot below its batch's end was filled before that, so the item is there. A slot is
//! part of the snapshot at E exactly if nothing superseded it up to E: if `superseded_by` is at most E it was stored before
//! E was taken or published, hence is visible; if it is greater, the reader may see 0 or that value, and delivers the slot
//! either way.

use std::sync::Arc;

use super::append_only::{AppendOnly, Appender};
use crate::account::{Account, Charge};
use crate::fault::{self, Fault};
use crate::sync::{AtomicU64, Link, Ordering};
use crate::{Item, Seqno};

/// Bytes a queued item costs beyond its key and value in a dense chunk.
pub(crate) const SLOT_BYTES: usize = size_of::<Slot>();

#[derive(Debug)]
pub(crate) struct Slot {
    item: Item,
    superseded_by: AtomicU64,
}

impl Slot {
    pub(crate) fn new(item: Item) -> Self {
        Self {
            item,
            superseded_by: AtomicU64::new(0),
        }
    }

    /// Whether no newer revision has taken its place. Exact under the lock.
    pub(crate) fn is_live(&self) -> bool {
        self.superseded_by.load(Ordering::Relaxed) == 0
    }

    /// Whether a snapshot taken when `end` was the high seqno contains it.
    pub(crate) fn is_live_at(&self, end: Seqno) -> bool {
        let superseded_by = self.superseded_by.load(Ordering::Relaxed);
        superseded_by == 0 || (superseded_by > end.0 && !fault::is(Fault::BatchForgetsItsEnd))
    }

    pub(crate) fn item(&self) -> &Item {
        &self.item
    }
}

pub(crate) type Chunk = AppendOnly<Header, Slot>;

/// Fills a chunk. The queue has it as long as it does.
pub(crate) type Filler = Appender<Header, Slot>;

#[derive(Debug)]
pub(crate) struct Header {
    start: u64,
    /// The position after the last slot that may be read without the lock, as long as the queue still fills the chunk.
    published: Published,
    /// The position after the last slot there will be, once nothing more is put into it.
    closed_at: AtomicU64,
    /// The chunk that was begun after this one was closed.
    next: Link<Chunk>,
    /// Of a sparse chunk: each slot's position, rising.
    positions: Option<Box<[u64]>>,
    charge: Charge,
}

/// On a cache line of its own: readers look at it while the writer fills slots.
#[derive(Debug)]
#[repr(align(64))]
struct Published(AtomicU64);

impl Header {
    fn new(start: u64, published: u64, positions: Option<Box<[u64]>>, charge: Charge) -> Self {
        let (published, closed_at) = (
            Published(AtomicU64::new(published)),
            AtomicU64::new(u64::MAX),
        );
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

/// What is left of a chunk that was rewritten, to be dropped outside the lock.
#[derive(Debug)]
pub(crate) enum Remains {
    /// Somebody still reads it.
    Shared(Arc<Chunk>),
    /// Nobody does.
    Owned {
        /// The places the items were in.
        emptied: Box<Chunk>,
        /// What was superseded.
        _dead: Vec<Slot>,
    },
}

impl Remains {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Shared(chunk) => chunk.bytes(),
            Self::Owned { emptied, .. } => emptied.bytes(),
        }
    }
}

/// Where readers who have come to the end of a chunk go on.
#[derive(Debug)]
pub(crate) enum Following {
    /// It is the newest, or more of it is about to be published.
    NotYet,
    /// In this chunk.
    In(Arc<Chunk>),
    /// In a chunk that has left the queue.
    Gone,
}

impl Chunk {
    /// An empty dense chunk.
    pub(crate) fn dense(start: u64, capacity: usize, account: &Account) -> Filler {
        let charge = account.charge(capacity * SLOT_BYTES);
        Self::with_capacity(Header::new(start, start, None, charge), capacity)
    }

    /// A sparse chunk with what is live in `chunk` up to position `filled`, and what is left of that. Items are moved if
    /// nobody else holds it; else keys and values are shared, and charged to both while both are there.
    pub(crate) fn without_dead(
        chunk: Arc<Self>,
        filled: u64,
        account: &Account,
    ) -> (Arc<Self>, Remains) {
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
                    Remains::Owned {
                        emptied: Box::new(chunk),
                        _dead: dead,
                    },
                )
            }
            Err(chunk) => {
                let live = chunk.as_slice().iter().filter(|slot| slot.is_live());
                let copied = live.map(|slot| Slot::new(slot.item().clone()));
                (Arc::new(Self::full(header, copied)), Remains::Shared(chunk))
            }
        }
    }

    /// Where it starts: no slot has a lower position.
    pub(crate) fn start(&self) -> u64 {
        self.header().start
    }

    /// Of a dense chunk: the position after its last slot.
    pub(crate) fn dense_end(&self) -> u64 {
        self.start() + self.capacity() as u64
    }

    /// Bytes it keeps alive: slots, keys, values.
    pub(crate) fn bytes(&self) -> usize {
        self.header().charge.bytes()
    }

    /// Notes what an item that is put into it keeps alive; still to be charged to the account.
    pub(crate) fn note(&self, payload: usize) {
        self.header().charge.note(payload);
    }

    /// Lets readers without the lock see the slots below `end`. Everything they may look at was written before.
    pub(crate) fn publish(&self, end: u64) {
        self.header().published.0.store(end, Ordering::Release);
    }

    /// Nothing more is put into it: `end` is the position after its last slot.
    pub(crate) fn close(&self, end: u64) {
        self.header().closed_at.store(end, Ordering::Release);
    }

    /// Lets readers who have come to its end find the chunk begun after it, which it does not keep alive.
    pub(crate) fn link(&self, next: &Arc<Self>) {
        self.header().next.set(next);
    }

    /// Where whoever has read everything below `position` goes on.
    pub(crate) fn following(&self, position: u64) -> Following {
        if position != self.header().closed_at.load(Ordering::Acquire) {
            return Following::NotYet;
        }
        match self.header().next.get() {
            None => Following::NotYet,
            Some(None) => Following::Gone,
            Some(Some(next)) => Following::In(next),
        }
    }

    /// The position after the last slot that was published.
    pub(crate) fn published(&self) -> u64 {
        self.header().published.0.load(Ordering::Acquire)
    }

    /// The filled slot at `position`, by its index.
    pub(crate) fn find(&self, position: u64) -> Option<(usize, &Slot)> {
        let index = match &self.header().positions {
            None => usize::try_from(position.checked_sub(self.start())?).ok()?,
            Some(positions) => positions.binary_search(&position).ok()?,
        };
        self.as_slice().get(index).map(|slot| (index, slot))
    }

    /// Marks the item in a slot as replaced by the revision with seqno `by`. Returns the bytes of its key and value if it
    /// was live.
    pub(crate) fn supersede(&self, index: usize, by: Seqno) -> Option<usize> {
        let slot = self.as_slice().get(index).filter(|slot| slot.is_live())?;
        slot.superseded_by.store(by.0, Ordering::Relaxed);
        Some(slot.item().payload_bytes())
    }

    /// The filled slots with positions in `from..to`, in order.
    pub(crate) fn slots(&self, from: u64, to: u64) -> &[Slot] {
        let slots = self.as_slice();
        slots
            .get(self.index(from).min(slots.len())..self.index(to).min(slots.len()))
            .unwrap_or(&[])
    }

    /// The slots with positions in `from..to`, in order, each with its position.
    pub(crate) fn entries(
        &self,
        from: u64,
        to: u64,
    ) -> impl DoubleEndedIterator<Item = (u64, &Slot)> {
        let first = self.index(from);
        let slots = self.slots(from, to).iter().enumerate();
        slots.map(move |(offset, slot)| (self.position(first + offset), slot))
    }

    /// The position after the last slot in `from..to` whose seqno is at most `after`, `from` or the chunk's start if
    /// there is none.
    pub(crate) fn seek(&self, from: u64, to: u64, after: Seqno) -> u64 {
        let slots = self.slots(from, to);
        let count = slots.partition_point(|slot| slot.item().seqno <= after);
        match count.checked_sub(1) {
            Some(last) => self.position(self.index(from) + last) + 1,
            None => from.max(self.start()),
        }
    }

    /// The index of the first slot at or after `position`.
    fn index(&self, position: u64) -> usize {
        match &self.header().positions {
            None => position
                .saturating_sub(self.start())
                .min(self.capacity() as u64) as usize,
            Some(positions) => positions.partition_point(|&at| at < position),
        }
    }

    fn position(&self, index: usize) -> u64 {
        match &self.header().positions {
            None => self.start() + index as u64,
            Some(positions) => positions.get(index).copied().unwrap_or(u64::MAX),
        }
    }
}
