//! Queueing: refused items, and several items in one call.

use super::*;
use crate::manager::operations::Effect;

#[test]
fn checkpoint_without_a_size_is_closed_at_the_default() {
    let manager = CheckpointManager::new(CheckpointConfig::persistent(), Seqno::ZERO);
    let value = Bytes::from(vec![0; ItemLimits::DEFAULT.value_bytes_max]);
    let set = |name: &str| {
        let item = Item::mutation(Key::new(name.as_bytes()), value.clone());
        manager.queue(item).expect("not refused");
        manager.stats().checkpoints
    };
    assert_eq!(["a", "b", "c", "d", "e"].map(set), [1, 1, 1, 1, 2]);
}

#[test]
fn refused_item_changes_nothing() {
    let replica = CheckpointManager::new(
        CheckpointConfig {
            role: Role::Replica,
            ..CheckpointConfig::in_memory()
        },
        Seqno(5),
    );
    replica
        .snapshot(SnapshotMarker::new(
            SnapshotType::Memory,
            Seqno(6),
            Seqno(9),
        ))
        .expect("valid");
    replica
        .queue(Item {
            seqno: Seqno(7),
            ..mutation("a", 1)
        })
        .expect("inside");
    let (diagram, stats) = (replica.to_string(), replica.stats());
    let refused = [
        (
            7,
            CheckpointError::OutOfOrder {
                seqno: Seqno(7),
                high: Seqno(7),
            },
        ),
        (
            10,
            CheckpointError::OutOfRange {
                seqno: Seqno(10),
                start: Seqno(6),
                end: Seqno(9),
            },
        ),
    ];
    for (seqno, error) in refused {
        assert_eq!(
            replica.queue(Item {
                seqno: Seqno(seqno),
                ..mutation("b", 1)
            }),
            Err(error)
        );
    }
    let state = Item::new(Operation::SetVBucketState(State::Active), Key::new(b""));
    replica
        .queue(Item {
            seqno: Seqno(8),
            ..state
        })
        .expect_err("a vBucket state has no seqno of its own");
    assert_eq!((replica.to_string(), replica.stats()), (diagram, stats));
}

#[test]
fn queue_all_stops_at_the_first_refused_item() {
    let manager = CheckpointManager::new(CheckpointConfig::in_memory(), Seqno::ZERO);
    let refused = Item {
        seqno: Seqno(7),
        ..mutation("c", 1)
    };
    let mut queued = Vec::new();
    let items = [
        mutation("a", 1),
        mutation("a", 2),
        refused,
        mutation("d", 1),
    ];
    assert!(matches!(
        manager.queue_all(items, &mut queued),
        Err(CheckpointError::InvalidArgument(_))
    ));
    let queued: Vec<_> = queued
        .iter()
        .map(|queued| (queued.seqno.0, queued.effect))
        .collect();
    assert_eq!(queued, [(1, Effect::New), (2, Effect::Replaced)]);
    assert_eq!((manager.high_seqno(), manager.stats().items), (Seqno(2), 1));
}
