//! The tail: a subscription that reads without the lock, and a cursor that does not.
//!
//! Polled at the same moments, both must return the same items, in batches with the same ranges
//! (C25).

use bytes::Bytes;
use lowtide_checkpoint::{
    CheckpointConfig, CheckpointManager, CursorOptions, Item, Key, Operation, Quota, QuotaConfig,
    ReadLimit, Role, Seqno, SnapshotMarker, SnapshotType, State, Subscription, SubscriptionEvent,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// Operations queued in one critical section, as `(kind, key)`.
    Queue(Vec<(u8, u8)>),
    Close,
    Expel,
    /// A change of role and back, or on a replica a marker, which may extend.
    ChangeSnapshot,
    Read,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let queue = prop::collection::vec((0..8_u8, 0..40_u8), 1..30).prop_map(Step::Queue);
    let step = prop_oneof![
        6 => queue,
        1 => Just(Step::Close),
        3 => Just(Step::Expel),
        1 => Just(Step::ChangeSnapshot),
        8 => Just(Step::Read),
    ];
    prop::collection::vec(step, 1..120)
}

fn item(kind: u8, key: u8) -> Item {
    let key = Key::new(&[key]);
    let value = Bytes::from_static(b"value");
    match kind {
        0 => Item::new(Operation::SetVBucketState(State::Active), Key::new(b"")),
        1 => Item {
            history: true,
            ..Item::mutation(key, value)
        },
        2 => Item::new(Operation::Prepare, key),
        3 => Item::deletion(key),
        _ => Item::mutation(key, value),
    }
}

/// Items as `operation key seqno`, ranges, and the reader's seqno; `None` if there was nothing.
type Answer = Option<(Vec<String>, Vec<String>, Seqno)>;

fn answer(batch: &lowtide_checkpoint::CursorBatch) -> Answer {
    let items = batch
        .items()
        .map(|item| format!("{} {} {}", item.operation.name(), item.key, item.seqno));
    let ranges = batch.ranges().iter().map(|range| format!("{range:?}"));
    (!batch.is_empty()).then(|| (items.collect(), ranges.collect(), batch.last_seqno()))
}

fn poll(subscription: &mut Subscription) -> Answer {
    let (mut items, mut ranges, mut last) = (Vec::new(), Vec::new(), None);
    // Several reads may be needed. Their batches follow one another in one checkpoint.
    loop {
        match subscription
            .poll(ReadLimit::NONE)
            .expect("its name is not taken over")
        {
            SubscriptionEvent::Batch(batch) => {
                let (more_items, more_ranges, seqno) =
                    answer(&batch).expect("a batch is never empty");
                items.extend(more_items);
                if last.is_some() {
                    ranges.pop();
                }
                ranges.extend(more_ranges);
                last = Some(seqno);
                if !batch.more() {
                    return last.map(|last| (items, ranges, last));
                }
            }
            SubscriptionEvent::Idle => return last.map(|last| (items, ranges, last)),
            other => panic!("nothing was dropped: {other:?}"),
        }
    }
}

proptest! {
    #[test]
    #[cfg_attr(miri, ignore = "too many steps")]
    fn tail_reads_match_reads_under_the_lock(
        steps in steps(),
        max_bytes in prop_oneof![Just(None), (500..5_000_usize).prop_map(Some)],
        replica in any::<bool>(),
    ) {
        let quota = Quota::new(QuotaConfig::default().with_limit_bytes(1 << 30)).expect("valid");
        let role = if replica { Role::Replica } else { Role::Active };
        let config = CheckpointConfig::in_memory().with_role(role).with_max_bytes(max_bytes).with_quota(Some(quota.clone()));
        let manager = CheckpointManager::new(config, Seqno::ZERO);
        let mut end = 0;
        if replica {
            manager.snapshot(SnapshotMarker::new(SnapshotType::Memory, Seqno(1), Seqno(60))).expect("the first");
            end = 60;
        }
        let mut subscription = manager.subscribe("subscriber", Seqno::ZERO).expect("valid");
        let cursor = manager.register("cursor", Seqno::ZERO, CursorOptions::new()).expect("valid").cursor;
        for step in steps {
            match step {
                Step::Queue(operations) => {
                    let mut high = manager.high_seqno().0;
                    let mut items = Vec::new();
                    for (kind, key) in operations {
                        let mut item = item(kind, key);
                        if replica && kind != 0 {
                            if high == end {
                                break;
                            }
                            high += 1;
                            item.seqno = Seqno(high);
                        }
                        items.push(item);
                    }
                    manager.queue_all(items, &mut Vec::new()).expect("all in order");
                }
                Step::Close => manager.close(),
                Step::Expel => {
                    manager.expel();
                }
                Step::ChangeSnapshot if replica => {
                    if manager.high_seqno().0 == end {
                        let marker = SnapshotMarker::new(SnapshotType::Memory, Seqno(end + 1), Seqno(end + 50));
                        manager.snapshot(SnapshotMarker { extend: end % 100 == 60, ..marker }).expect("complete");
                        end += 50;
                    }
                }
                Step::ChangeSnapshot => {
                    manager.set_role(Role::Replica);
                    manager.set_role(Role::Active);
                }
                Step::Read => {
                    let batch = manager.read(cursor, ReadLimit::NONE).expect("registered");
                    let again = manager.read(cursor, ReadLimit::NONE).expect("registered");
                    let expected = answer(&batch);
                    // A cursor would need two reads if kinds differ. A poll stops there, too.
                    prop_assert!(again.is_empty());
                    prop_assert_eq!(poll(&mut subscription), expected);
                }
            }
            prop_assert_eq!(manager.check(), Vec::<String>::new());
        }
        let cursors = manager.cursors();
        let batch = manager.read(cursor, ReadLimit::NONE).expect("registered");
        prop_assert_eq!(poll(&mut subscription), answer(&batch));
        prop_assert_eq!(manager.cursors().len(), cursors.len());
        let places: Vec<_> = manager.cursors().iter().map(|cursor| cursor.seqno).collect();
        prop_assert_eq!(places[0], places[1]);
        drop(batch);
        manager.expel();
        prop_assert_eq!(manager.stats().items, 0, "both have read everything");
        drop(subscription);
        manager.expel();
        prop_assert_eq!(manager.stats().queue_bytes + manager.stats().reader_bytes, 0);
        drop(manager);
        prop_assert_eq!(quota.used_bytes(), 0);
    }
}
