//! Positions: lookup, search, totals and the base.

use super::*;
use crate::model::{Operation, State};
use crate::queue::cost::{ENTRY_BYTES, SLOT_BYTES};
use crate::queue::slot::Slot;
use crate::queue::totals::Totals;

#[test]
fn position_names_one_item_forever() {
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
fn superseded_slot_keeps_its_position() {
    let (mut queue, _) = queue_of(1..=40);
    assert!(supersede(&mut queue, 20, Seqno(41)).is_some());
    assert!(
        supersede(&mut queue, 20, Seqno(42)).is_none(),
        "an item is superseded once"
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
fn seek_returns_first_position_beyond_a_seqno() {
    // Gaps between seqnos, as on a replica, over several chunks.
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
fn seek_stops_before_a_following_vbucket_state() {
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
        "a vBucket state has no seqno of its own"
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
fn base_never_falls_or_passes_the_end() {
    let (mut queue, _) = queue_of(1..=20);
    let _ = queue.advance_base(18);
    let _ = queue.advance_base(3);
    assert_eq!(queue.base(), 18);
    let _ = queue.advance_base(1000);
    assert_eq!((queue.base(), queue.end()), (20, 20));
    assert_eq!(push(&mut queue, item(21, 0)), 20, "positions go on");
    assert_eq!(seqnos(&queue), [21]);
}
