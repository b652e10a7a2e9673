//! Tests of the queue: one file per theme, and the helpers that they share.

use smallvec::SmallVec;

use super::chunk::RetiredChunk;
use super::queue::Queue;
use crate::manager::CursorBatch;
use crate::memory::Account;
use crate::model::{Item, Key, Seqno};

mod batches;
mod chunks;
mod positions;
mod rewriting;

/// Bytes of the key `k00001` with its prefix.
const KEY_BYTES: usize = 7;

fn item(seqno: u64, value_bytes: usize) -> Item {
    Item {
        seqno: Seqno(seqno),
        ..Item::mutation(
            Key::new(format!("k{seqno:05}").as_bytes()),
            vec![0; value_bytes].into(),
        )
    }
}

/// Queues an item in one critical section.
fn push(queue: &mut Queue, item: Item) -> u64 {
    let position = queue.push(item).expect("there is room");
    queue.publish();
    position
}

/// Supersedes the live item at a position.
fn supersede(
    queue: &mut Queue,
    position: u64,
    by: Seqno,
) -> Option<(usize, SmallVec<[RetiredChunk; 2]>)> {
    let (at, _) = queue.live_item(position)?;
    queue.supersede(at, by)
}

fn queue_of(seqnos: impl IntoIterator<Item = u64>) -> (Queue, Account) {
    let account = Account::new(None);
    let mut queue = Queue::new(account.clone(), 0);
    for seqno in seqnos {
        push(&mut queue, item(seqno, 0));
    }
    (queue, account)
}

fn seqnos(queue: &Queue) -> Vec<u64> {
    queue
        .live_items(queue.base(), queue.end())
        .map(|(_, item)| item.seqno.0)
        .collect()
}

fn capacities(queue: &Queue) -> Vec<u64> {
    queue
        .segments
        .iter()
        .map(|segment| segment.chunk.capacity() as u64)
        .collect()
}

/// Reads the positions `from..to` as a batch at the high seqno `end`.
fn batch(queue: &Queue, from: u64, to: u64, end: u64) -> CursorBatch {
    CursorBatch {
        chunks: queue.chunks(from, to),
        from,
        to,
        end: Seqno(end),
        ranges: SmallVec::new(),
        more: false,
        last: Seqno(0),
    }
}
