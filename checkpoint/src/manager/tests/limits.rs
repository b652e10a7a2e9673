//! Limits: items at a limit are accepted, items beyond it refused, in every role (C30).

use super::*;

fn key(bytes: usize) -> Key {
    Key::new(&vec![b'k'; bytes - 1])
}

const SMALL: ItemLimits = ItemLimits {
    key_bytes_max: 10,
    value_bytes_max: 20,
    seqno_max: Seqno(30),
    rev_seqno_max: 40,
    reserved_collection_max: 2,
};

/// Returns one item for each limit, beyond it by one.
fn over() -> Vec<(&'static str, Item)> {
    let item = || Item::mutation(Key::new(b"k"), Bytes::new());
    vec![
        ("the key", Item::mutation(key(11), Bytes::new())),
        (
            "the value",
            Item::mutation(Key::new(b"k"), Bytes::from(vec![0; 21])),
        ),
        (
            "the revision",
            Item {
                rev_seqno: 41,
                ..item()
            },
        ),
        (
            "the prepare's seqno",
            Item {
                prepare_seqno: Seqno(31),
                ..Item::new(Operation::Abort, key(3))
            },
        ),
    ]
}

#[test]
fn item_at_a_limit_is_accepted_and_beyond_it_refused() {
    for role in [Role::Active, Role::Replica] {
        let config = CheckpointConfig {
            role,
            limits: SMALL,
            ..CheckpointConfig::in_memory()
        };
        let manager = CheckpointManager::new(config, Seqno(28));
        let seqno = |n: u64| {
            if role == Role::Active {
                Seqno::ZERO
            } else {
                Seqno(n)
            }
        };
        if role == Role::Replica {
            manager
                .snapshot(SnapshotMarker::new(
                    SnapshotType::Memory,
                    Seqno(29),
                    Seqno(99),
                ))
                .expect("it follows");
        }
        let before = manager.stats();
        for (what, item) in over() {
            let refused = manager
                .queue(Item {
                    seqno: seqno(29),
                    ..item
                })
                .expect_err(what);
            assert!(
                matches!(refused, CheckpointError::TooLarge { what: part, .. } if part == what),
                "{refused}"
            );
        }
        let reserved = Item {
            seqno: seqno(29),
            ..Item::deletion(Key::in_collection(2, b"k"))
        };
        let refused = manager.queue(reserved).expect_err("reserved");
        assert_eq!(
            refused,
            CheckpointError::ReservedCollection { collection: 2 }
        );
        assert_eq!(manager.stats(), before, "a refused item changes nothing");
        let full = Item {
            rev_seqno: 40,
            ..Item::mutation(key(10), Bytes::from(vec![0; 20]))
        };
        for n in [29, 30] {
            manager
                .queue(Item {
                    seqno: seqno(n),
                    ..full.clone()
                })
                .expect("at the limits");
        }
        let refused = manager
            .queue(Item {
                seqno: seqno(31),
                ..full
            })
            .expect_err("the seqno");
        assert_eq!(
            refused,
            CheckpointError::TooLarge {
                what: "the seqno",
                size: 31,
                limit: 30
            }
        );
    }
}
