//! Rewriting: memory for live items only, with every position kept (C20).

use super::*;
use crate::queue::cost::SLOT_BYTES;
use crate::queue::rewrite::{DEAD_SLOTS_MAX, STALE_NUMBERS_MAX};

#[test]
#[cfg_attr(miri, ignore = "too many steps")]
fn hot_key_costs_memory_for_live_items_only() {
    let (mut queue, account) = queue_of([]);
    // One key that is never replaced, then one that is replaced by every write.
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
        queue.live_counts.len() <= 2 * 3 + STALE_NUMBERS_MAX,
        "{} numbers",
        queue.live_counts.len()
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
fn dead_slots_stay_near_the_number_of_live_slots() {
    // Chunks that are no longer written once most of each is dead, and a key that is written on.
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
fn rewritten_chunk_keeps_every_position() {
    // As many dead slots as tolerated come first, so that every later chunk is rewritten when half
    // of it is dead.
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
    let rewritten: usize = rewritten.map(|(_, retired)| retired.len()).sum();
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
            // Nothing is live between the position found and its place in a dense chunk.
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
fn reader_of_a_rewritten_chunk_keeps_the_old_one() {
    let (mut queue, account) = queue_of(1..=32);
    let batch = batch(&queue, 0, 16, 32);
    for position in 0..16 {
        drop(supersede(&mut queue, position, Seqno(33 + position)));
    }
    assert_eq!(queue.first_live(0).map(|item| item.seqno), Some(Seqno(17)));
    assert_eq!(batch.items().count(), 16);
    assert!(account.total() > queue.bytes());
    drop(batch);
    assert_eq!(account.total(), queue.bytes());
}
