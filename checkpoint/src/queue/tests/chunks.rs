//! Chunks: their sizes, when they are closed, and when they leave.

use bytes::Bytes;

use super::*;
use crate::queue::cost::SLOT_BYTES;
use crate::queue::queue::{
    CHUNK_BYTES, CHUNK_SHARE, CHUNK_SLOTS_BUSY, CHUNK_SLOTS_MAX, CHUNK_SLOTS_MIN,
};

#[test]
fn advance_base_frees_whole_chunks_only() {
    let (mut queue, _) = queue_of(1..=48);
    assert_eq!(
        capacities(&queue),
        [16, 32],
        "the second is twice the first, which was filled"
    );
    let freed = queue.advance_base(31);
    assert_eq!(
        freed.iter().map(|chunk| chunk.start()).collect::<Vec<_>>(),
        [0]
    );
    assert_eq!(queue.advance_base(32).len(), 0);
    // The last chunk leaves, too, when none of its items is needed, full or not.
    let freed = queue.advance_base(48);
    assert_eq!((freed.len(), queue.bytes()), (1, 0));
}

#[test]
#[cfg_attr(miri, ignore = "too many steps")]
fn chunk_size_grows_as_a_small_share_of_the_queue() {
    let (queue, _) = queue_of(1..=90_000);
    let capacities = capacities(&queue);
    assert!(capacities.is_sorted());
    assert_eq!(
        (capacities.first(), capacities.last()),
        (Some(&CHUNK_SLOTS_MIN), Some(&CHUNK_SLOTS_MAX))
    );
    for segment in &queue.segments {
        let (queued, slots) = (segment.chunk.start(), segment.chunk.capacity() as u64);
        assert!(
            slots <= CHUNK_SLOTS_BUSY.max(queued / CHUNK_SHARE * 2),
            "{slots} slots when {queued} queued"
        );
    }
    // A queue that was long and is short again is as cheap as before.
    let (mut queue, _) = queue_of(1..=90_000);
    let _ = queue.advance_base(90_000);
    push(&mut queue, item(90_001, 0));
    assert_eq!(
        queue.bytes(),
        CHUNK_SLOTS_MIN as usize * SLOT_BYTES + KEY_BYTES
    );
}

#[test]
fn chunk_of_large_values_is_closed_early() {
    let account = Account::new(None);
    let mut queue = Queue::new(account, 0);
    for seqno in 1..=6 {
        push(&mut queue, item(seqno, CHUNK_BYTES / 2));
    }
    let filled: Vec<_> = queue
        .segments
        .iter()
        .map(|segment| segment.filled)
        .collect();
    assert_eq!(
        filled,
        [2, 4, 6],
        "two of half the limit fill a chunk of 16"
    );
    // No query notices the slots that were never filled.
    assert_eq!(seqnos(&queue), [1, 2, 3, 4, 5, 6]);
    assert_eq!(queue.seek(Seqno(3)), 3);
    assert_eq!(queue.live_between(1, 5).items, 4);
    assert!(supersede(&mut queue, 2, Seqno(7)).is_some());
    assert_eq!(seqnos(&queue), [1, 2, 4, 5, 6]);
    assert_eq!(queue.advance_base(4).len(), 2);
    assert_eq!(seqnos(&queue), [5, 6]);
}

#[test]
fn memory_is_charged_when_queued_and_discharged_when_dropped() {
    let (mut queue, account) = queue_of([]);
    assert_eq!(
        (account.total(), queue.bytes()),
        (0, 0),
        "an idle vBucket costs nothing"
    );
    for seqno in 1..=40 {
        push(&mut queue, item(seqno, 100));
    }
    let expected = (16 + 32) * SLOT_BYTES + 40 * (100 + KEY_BYTES);
    assert_eq!((account.total(), queue.bytes()), (expected, expected));

    // A superseded item stays there for batches.
    supersede(&mut queue, 0, Seqno(41));
    assert_eq!(account.total(), expected);

    let freed = queue.advance_base(20);
    let chunk = 16 * SLOT_BYTES + 16 * (100 + KEY_BYTES);
    assert_eq!(
        (account.total(), queue.bytes()),
        (expected, expected - chunk)
    );
    drop(freed);
    assert_eq!(account.total(), expected - chunk);

    drop(queue);
    assert_eq!(account.total(), 0);
}

#[test]
fn queued_value_is_shared_not_copied() {
    let value = Bytes::from(vec![1; 1000]);
    let mut queue = Queue::new(Account::new(None), 0);
    let at = push(
        &mut queue,
        Item {
            seqno: Seqno(1),
            ..Item::mutation(Key::new(b"k"), value.clone())
        },
    );
    let queued = queue.live_item(at).and_then(|(_, item)| item.value.clone());
    assert_eq!(queued.map(|queued| queued.as_ptr()), Some(value.as_ptr()));
}
