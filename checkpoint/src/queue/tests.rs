use bytes::Bytes;

use super::*;
use crate::index::ENTRY_BYTES;
use crate::{Batch, Key, Operation, State};

fn item(seqno: u64, value_bytes: usize) -> Item {
    Item {
        seqno: Seqno(seqno),
        ..Item::mutation(
            Key::new(format!("k{seqno:05}").as_bytes()),
            vec![0; value_bytes].into(),
        )
    }
}

/// One critical section that queues an item.
fn push(queue: &mut Queue, item: Item) -> u64 {
    let position = queue.push(item);
    queue.publish();
    position
}

/// Takes out what is live at a position.
fn supersede(
    queue: &mut Queue,
    position: u64,
    by: Seqno,
) -> Option<(usize, SmallVec<[Remains; 2]>)> {
    let (at, _) = queue.live_item(position)?;
    queue.supersede(at, by)
}

/// `k00001` with its prefix.
const KEY_BYTES: usize = 7;

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

#[test]
fn a_position_names_one_item_for_ever() {
    let (mut queue, _) = queue_of(1..=100);
    let _ = queue.advance_base(37);
    push(&mut queue, item(101, 0));
    assert_eq!((queue.base(), queue.end()), (37, 101));
    for position in 37..101 {
        assert_eq!(queue.live_from(position), 101 - position as usize);
        assert_eq!(
            queue.live_item(position).map(|(_, item)| item.seqno),
            Some(Seqno(position + 1))
        );
    }
    for outside in [0, 36, 101, u64::MAX] {
        assert!(queue.slot(outside).is_none(), "position {outside}");
    }
}

#[test]
fn a_superseded_slot_is_a_hole_that_keeps_its_place() {
    let (mut queue, _) = queue_of(1..=40);
    assert!(supersede(&mut queue, 20, Seqno(41)).is_some());
    assert!(
        supersede(&mut queue, 20, Seqno(42)).is_none(),
        "once is enough"
    );
    assert!(
        supersede(&mut queue, 40, Seqno(42)).is_none(),
        "nothing is there"
    );
    assert!(queue.live_item(20).is_none());
    assert_eq!(
        queue.slot(20).map(Slot::item).map(|item| item.seqno),
        Some(Seqno(21))
    );
    assert_eq!(queue.first_live(20).map(|item| item.seqno), Some(Seqno(22)));
    assert_eq!(queue.last_live_seqno(0, 21), Some(Seqno(20)));
}

#[test]
fn seek_finds_the_first_position_beyond_a_seqno() {
    // Gaps, as a replica has them, over several chunks.
    let (mut queue, _) = queue_of((1..=60).map(|n| n * 10));
    let naive = |queue: &Queue, after: u64| {
        (queue.base()..queue.end())
            .find(|&at| {
                queue
                    .slot(at)
                    .map(Slot::item)
                    .is_some_and(|item| item.seqno.0 > after)
            })
            .unwrap_or(queue.end())
    };
    for base in [0, 1, 15, 16, 17, 59, 60] {
        let _ = queue.advance_base(base);
        for after in 0..=610 {
            assert_eq!(
                queue.seek(Seqno(after)),
                naive(&queue, after),
                "base {base}, after {after}"
            );
        }
    }
}

#[test]
fn seek_stops_before_a_vbucket_state_that_follows_the_seqno() {
    let (mut queue, _) = queue_of([1, 2]);
    push(
        &mut queue,
        Item {
            seqno: Seqno(3),
            ..Item::new(Operation::SetVBucketState(State::Replica), Key::new(b""))
        },
    );
    push(&mut queue, item(3, 0));
    assert_eq!(queue.seek(Seqno(2)), 2);
    assert_eq!(queue.seek(Seqno(3)), 4);
    assert_eq!(
        queue.last_live_seqno(0, 3),
        Some(Seqno(2)),
        "a state has no seqno of its own"
    );
}

#[test]
fn live_between_counts_any_range_exactly() {
    let (mut queue, _) = queue_of(1..=70);
    for position in (0..70).filter(|position| position % 3 == 0) {
        supersede(&mut queue, position, Seqno(100 + position));
    }
    let _ = queue.advance_base(5);
    for from in 5..=70 {
        for to in from..=70 {
            let mut expected = Totals::default();
            queue
                .live_items(from, to)
                .for_each(|(_, item)| expected.add(item.payload_bytes()));
            assert_eq!(queue.live_between(from, to), expected, "{from}..{to}");
        }
    }
    let one = queue.live_between(7, 8);
    assert_eq!(
        (one.items, one.bytes),
        (1, KEY_BYTES + SLOT_BYTES + ENTRY_BYTES)
    );
}

#[test]
fn the_base_never_goes_back_nor_beyond_the_end() {
    let (mut queue, _) = queue_of(1..=20);
    let _ = queue.advance_base(18);
    let _ = queue.advance_base(3);
    assert_eq!(queue.base(), 18);
    let _ = queue.advance_base(1000);
    assert_eq!((queue.base(), queue.end()), (20, 20));
    assert_eq!(push(&mut queue, item(21, 0)), 20, "positions go on");
    assert_eq!(seqnos(&queue), [21]);
}

#[test]
fn whole_chunks_leave_and_the_cut_one_stays() {
    let (mut queue, _) = queue_of(1..=48);
    assert_eq!(
        capacities(&queue),
        [16, 32],
        "the second twice the first, as that was filled"
    );
    let freed = queue.advance_base(31);
    assert_eq!(
        freed.iter().map(|chunk| chunk.start()).collect::<Vec<_>>(),
        [0]
    );
    assert_eq!(queue.advance_base(32).len(), 0);
    // The last one leaves too when nothing of it is needed, full or not.
    let freed = queue.advance_base(48);
    assert_eq!((freed.len(), queue.bytes()), (1, 0));
}

#[test]
#[cfg_attr(miri, ignore = "too many steps")]
fn chunks_grow_with_what_is_queued_and_stay_a_small_share_of_it() {
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
    // A queue that was long and is short again is cheap again.
    let (mut queue, _) = queue_of(1..=90_000);
    let _ = queue.advance_base(90_000);
    push(&mut queue, item(90_001, 0));
    assert_eq!(
        queue.bytes(),
        CHUNK_SLOTS_MIN as usize * SLOT_BYTES + KEY_BYTES
    );
}

#[test]
fn a_chunk_of_large_values_is_closed_early() {
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
    // Nothing notices the slots that were never filled.
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

    // A superseded item still is there for batches.
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
fn a_batch_keeps_its_chunks_alive_and_charged() {
    let (mut queue, account) = queue_of(1..=20);
    let (from, to) = (3, 18);
    let batch = Batch {
        chunks: queue.chunks(from, to),
        from,
        to,
        end: Seqno(20),
        ranges: SmallVec::new(),
        more: false,
        last: Seqno(0),
    };
    // After the batch was taken: items in it are replaced, then all that was there goes.
    push(&mut queue, item(21, 0));
    assert!(supersede(&mut queue, 5, Seqno(21)).is_some());
    drop(queue.advance_base(21));
    assert_eq!(queue.bytes(), 0);
    assert_eq!(
        account.total(),
        (16 + 32) * SLOT_BYTES + 21 * KEY_BYTES,
        "both chunks"
    );
    let read: Vec<_> = batch.items().map(|item| item.seqno.0).collect();
    assert_eq!(read, (4..=18).collect::<Vec<_>>());
    drop(batch);
    assert_eq!(account.total(), 0);
}

#[test]
fn a_batch_leaves_out_what_was_replaced_before_its_end() {
    let (mut queue, _) = queue_of(1..=4);
    supersede(&mut queue, 1, Seqno(4));
    supersede(&mut queue, 2, Seqno(5));
    let batch = Batch {
        chunks: queue.chunks(0, 4),
        from: 0,
        to: 4,
        end: Seqno(4),
        ranges: SmallVec::new(),
        more: false,
        last: Seqno(0),
    };
    let read: Vec<_> = batch.items().map(|item| item.seqno.0).collect();
    assert_eq!(
        read,
        [1, 3, 4],
        "2 was replaced by 4, 3 by 5, which is not in the snapshot at 4"
    );
}

#[test]
fn values_are_shared_not_copied() {
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

#[test]
#[cfg_attr(miri, ignore = "too many steps")]
fn a_queue_costs_memory_for_what_is_live_not_for_what_was_written() {
    let (mut queue, account) = queue_of([]);
    // One key that nobody replaces, then one that is replaced all the time.
    push(&mut queue, item(1, 100));
    let mut hot = push(&mut queue, item(2, 100));
    for seqno in 3..=100_000 {
        drop(supersede(&mut queue, hot, Seqno(seqno)));
        hot = push(&mut queue, item(seqno, 100));
    }
    assert_eq!(seqnos(&queue), [1, 100_000]);
    assert!(
        queue.segments.len() <= 3,
        "{} segments",
        queue.segments.len()
    );
    assert!(
        queue.prefix.len() <= 2 * 3 + STALE_NUMBERS_MAX,
        "{} numbers",
        queue.prefix.len()
    );
    let bytes = account.total();
    assert!(
        bytes < 4_096 * (SLOT_BYTES + 100 + KEY_BYTES) * 3 / 2,
        "{bytes} bytes for two items and a chunk"
    );
    assert_eq!(bytes, queue.bytes());
    assert_eq!(
        (queue.live_from(0), queue.live_from(1), queue.live_from(hot)),
        (2, 1, 1)
    );
}

#[test]
#[cfg_attr(miri, ignore = "too many steps")]
fn what_is_dead_stays_within_what_is_live_and_a_bit() {
    // Chunks that are left alone once most of each is dead, and a key that is written on and on.
    let (mut queue, _) = queue_of(1..=20_000);
    for position in (0..20_000).filter(|position| position % 100 != 0) {
        drop(supersede(&mut queue, position, Seqno(30_000)));
    }
    assert!(
        queue.dead > queue.live && queue.dead <= queue.live + DEAD_SLOTS_MAX + 4_096,
        "{}",
        queue.dead
    );
    let mut hot = push(&mut queue, item(30_000, 0));
    for seqno in 30_001..31_000 {
        drop(supersede(&mut queue, hot, Seqno(seqno)));
        hot = push(&mut queue, item(seqno, 0));
    }
    assert!(
        queue.dead <= queue.live + DEAD_SLOTS_MAX + 64,
        "{} dead, {} live",
        queue.dead,
        queue.live
    );
    assert_eq!((queue.live, queue.live_from(0)), (201, 201));
}

#[test]
#[cfg_attr(miri, ignore = "too many steps")]
fn a_rewritten_chunk_keeps_every_position() {
    // Before them as many dead as may be, so that every chunk is rewritten when half of it is dead.
    let (mut queue, _) = queue_of([]);
    let before = DEAD_SLOTS_MAX as u64 * 3;
    for seqno in 1..=before {
        push(&mut queue, item(seqno, 0));
    }
    for position in (0..before).filter(|position| position % 2 == 0) {
        drop(supersede(&mut queue, position, Seqno(before)));
    }
    let end = before + 64;
    for seqno in before + 1..=end {
        push(&mut queue, item(seqno, 0));
    }
    let dead: Vec<u64> = (0..end)
        .filter(|position| position % 8 != 3 && position % 2 == 1)
        .collect();
    let rewritten = dead
        .iter()
        .filter_map(|&position| supersede(&mut queue, position, Seqno(end + 1)));
    let rewritten: usize = rewritten.map(|(_, remains)| remains.len()).sum();
    assert!(rewritten >= 3, "{rewritten} chunks were rewritten");
    let expected: Vec<u64> = (0..end)
        .filter(|position| {
            if *position < before {
                position % 8 == 3
            } else {
                position % 8 == 3 || position % 2 == 0
            }
        })
        .collect();
    let live: Vec<u64> = queue
        .live_items(0, end)
        .map(|(position, _)| position)
        .collect();
    assert_eq!(live, expected);
    for base in [0, 3, 4, 11, 12, 47, 500, before] {
        let _ = queue.advance_base(base);
        for from in (base..=end).step_by(1 + base as usize % 7) {
            let ahead = expected
                .iter()
                .filter(|&&position| position >= from)
                .count();
            assert_eq!(queue.live_from(from), ahead, "base {base}, from {from}");
            assert_eq!(
                queue.live_between(from, end).items,
                ahead,
                "base {base}, from {from}"
            );
            let first = queue.first_live(from).map(|item| item.seqno.0 - 1);
            assert_eq!(
                first,
                expected.iter().copied().find(|&position| position >= from)
            );
            // Between where it stands and where a dense chunk would have it there is nothing live.
            let at = queue.seek(Seqno(from));
            assert_eq!(
                queue.live_from(at),
                ahead,
                "base {base}, after {from}: {at}"
            );
        }
    }
}

#[test]
fn readers_of_a_rewritten_chunk_keep_the_old_one() {
    let (mut queue, account) = queue_of(1..=32);
    let chunks = queue.chunks(0, 16);
    let batch = Batch {
        chunks,
        from: 0,
        to: 16,
        end: Seqno(32),
        ranges: SmallVec::new(),
        more: false,
        last: Seqno(0),
    };
    for position in 0..16 {
        drop(supersede(&mut queue, position, Seqno(33 + position)));
    }
    assert_eq!(queue.first_live(0).map(|item| item.seqno), Some(Seqno(17)));
    assert_eq!(batch.items().count(), 16);
    assert!(account.total() > queue.bytes());
    drop(batch);
    assert_eq!(account.total(), queue.bytes());
}
