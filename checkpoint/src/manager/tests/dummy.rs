//! The dummy: its seqno after expelling.

use super::*;

#[test]
fn dummy_is_the_lowest_seqno_of_the_cursors_on_it() {
    // Nothing was sent between 1 and 9. Consumers that have everything up to 1 and up to 4 therefore
    // stand at the same position.
    for order in [[4, 1], [1, 4]] {
        let config = CheckpointConfig {
            role: Role::Replica,
            ..CheckpointConfig::in_memory()
        };
        let replica = CheckpointManager::new(config, Seqno::ZERO);
        replica
            .snapshot(SnapshotMarker::new(
                SnapshotType::Memory,
                Seqno(1),
                Seqno(9),
            ))
            .expect("valid");
        for (seqno, key) in [(1, "a"), (9, "b")] {
            replica
                .queue(Item {
                    seqno: Seqno(seqno),
                    ..mutation(key, 1)
                })
                .expect("inside");
        }
        for after in order {
            replica
                .register(&format!("c{after}"), Seqno(after), CursorOptions::new())
                .expect("queued");
        }
        assert_eq!(replica.expel(), 1);
        assert!(
            replica
                .to_string()
                .starts_with("2 open   memory 1-9 | (1) | "),
            "{replica}"
        );
    }
}

#[test]
fn dummy_after_expelling_is_the_same_with_a_rewritten_chunk() {
    // The second round replaces all items of the first chunk, so that chunk leaves the queue.
    let manager = CheckpointManager::new(CheckpointConfig::in_memory(), Seqno::ZERO);
    for round in 0..2 {
        for key in 0..16 {
            manager
                .queue(mutation(&format!("k{key}"), round))
                .expect("active");
        }
    }
    manager
        .register("reader", Seqno(9), CursorOptions::new())
        .expect("9 was replaced, not expelled");
    assert_eq!(manager.expel(), 0);
    let diagram = manager.to_string();
    assert!(
        diagram.starts_with("1 open   memory 1-32 | (9) | mutation k0 @17"),
        "{diagram}"
    );
}
