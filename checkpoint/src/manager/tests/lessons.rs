//! Mistakes of earlier checkpoint managers, one test each, unless another test covers the mistake.

use super::*;
use crate::memory::{Quota, QuotaConfig};

#[test]
fn key_queued_again_after_expelling_costs_no_more() {
    let manager = active();
    let reader = cursor(&manager, "reader");
    let round = || {
        set(&manager, "a");
        read(&manager, reader);
        manager.expel();
        (
            manager.stats().index_bytes,
            manager.checkpoints()[0].overhead_bytes,
        )
    };
    let first = round();
    for _ in 0..if cfg!(miri) { 10 } else { 1_000 } {
        assert_eq!(round(), first);
    }
    assert_eq!(
        manager.stats().open_checkpoint_id,
        1,
        "nothing grew that would have closed it"
    );
}

#[test]
fn register_after_expelling_needs_no_backfill_for_replaced_items() {
    let manager = active();
    let reader = cursor(&manager, "reader");
    set(&manager, "a");
    read(&manager, reader);
    assert_eq!(manager.expel(), 1);
    set(&manager, "b");
    set(&manager, "b");
    // The first resident item is 3, but nothing live is missing above 1.
    assert!(
        !manager
            .register("late", Seqno(1), CursorOptions::new())
            .expect("1 was queued")
            .backfill
    );
    assert!(
        manager
            .register("later", Seqno(0), CursorOptions::new())
            .expect("0 is below every seqno")
            .backfill
    );
}

#[test]
fn register_above_the_high_seqno_is_refused() {
    let manager = active();
    let refused = |after: u64, high: u64| {
        let got = manager
            .register("ahead", Seqno(after), CursorOptions::new())
            .map(drop);
        assert_eq!(
            got,
            Err(CheckpointError::NotQueuedYet {
                seqno: Seqno(after),
                high: Seqno(high)
            })
        );
        assert_eq!(manager.stats().cursors, 0);
    };
    refused(1, 0);
    set(&manager, "a");
    refused(2, 1);
    manager.expel();
    refused(2, 1);
    manager.close();
    refused(2, 1);
    assert_eq!(
        manager
            .register("there", Seqno(1), CursorOptions::new())
            .expect("1 was queued")
            .next,
        Seqno(2)
    );
}

#[test]
fn every_kind_of_write_is_refused_at_a_full_quota() {
    let quota = Quota::new(QuotaConfig {
        limit_bytes: 4 << 10,
        ..QuotaConfig::default()
    })
    .expect("valid");
    let config = CheckpointConfig {
        quota: Some(quota),
        ..CheckpointConfig::in_memory()
    };
    let manager = CheckpointManager::new(config, Seqno::ZERO);
    let _reader = cursor(&manager, "reader");
    let written = (0..).find(|n| manager.queue(mutation(&format!("k{n}"), 500)).is_err());
    let (diagram, stats) = (manager.to_string(), manager.stats());
    for operation in [
        Operation::Mutation,
        Operation::Deletion,
        Operation::Expiration,
        Operation::Prepare,
        Operation::Commit,
        Operation::Abort,
        Operation::SystemEvent,
    ] {
        let refused = manager.queue(Item::new(operation, Key::new(b"k0")));
        assert!(
            matches!(refused, Err(CheckpointError::NoMemory { .. })),
            "{operation:?}: {refused:?}"
        );
    }
    assert_eq!(
        (manager.to_string(), manager.stats()),
        (diagram, stats),
        "{written:?} writes fitted"
    );
}

#[test]
fn duplicate_prepare_on_a_replica_opens_a_new_checkpoint() {
    let config = CheckpointConfig {
        role: Role::Replica,
        ..CheckpointConfig::in_memory()
    };
    let replica = CheckpointManager::new(config, Seqno::ZERO);
    let _reader = cursor(&replica, "reader");
    replica
        .snapshot(SnapshotMarker::new(
            SnapshotType::Memory,
            Seqno(1),
            Seqno(9),
        ))
        .expect("valid");
    for seqno in [2, 4, 6] {
        let item = Item {
            history: true,
            ..Item::new(Operation::Prepare, Key::new(b"a"))
        };
        replica
            .queue(Item {
                seqno: Seqno(seqno),
                ..item
            })
            .expect("inside");
    }
    assert_eq!((replica.stats().items, replica.stats().checkpoints), (3, 3));
    assert_sound(&replica);
}

#[test]
fn vbucket_state_does_not_count_as_the_item_with_its_seqno() {
    let manager = active();
    let reader = cursor(&manager, "reader");
    set(&manager, "a");
    manager
        .queue(Item::new(
            Operation::SetVBucketState(State::Active),
            Key::new(b""),
        ))
        .expect("a state");
    read(&manager, reader);
    set(&manager, "b");
    // The state carried 2, the seqno of the next item, which the reader has not seen.
    let info = &manager.cursors()[0];
    assert_eq!((info.seqno, info.remaining), (Seqno(1), 1));
}

#[test]
#[cfg_attr(miri, ignore = "too many steps")]
fn diagram_during_writes_is_of_one_moment() {
    let manager = active();
    let writer = {
        let manager = manager.clone();
        std::thread::spawn(move || {
            (0..500).for_each(|n| {
                set(&manager, &format!("k{n}"));
            })
        })
    };
    for _ in 0..100 {
        let diagram = manager.to_string();
        let (range, items) = diagram
            .split_once(" | (0)")
            .expect("one checkpoint and its dummy");
        let last = range.rsplit_once('-').map(|(_, end)| end.to_owned());
        let count = items.matches(" | ").count().to_string();
        assert_eq!(
            last.as_deref(),
            Some(count.as_str()),
            "as many items as its range has seqnos"
        );
    }
    writer.join().expect("it ends");
}
