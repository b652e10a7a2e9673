//! Both sides of every limit of the format (E20): an item within it is stored and comes back, and
//! an item beyond it changes nothing.

use bytes::Bytes;
use lowtide_checkpoint::{Item, Key, Operation, Seqno};

use crate::contract::{Engine, EngineError};
use crate::couchstore::tests::support::{VB, commit, contents, open, set};
use crate::disk::{FaultyDisk, MemoryDisk};

const U48_MAX: u64 = (1 << 48) - 1;

fn key(collection: u32, len: usize) -> Key {
    Key::in_collection(collection, &vec![b'k'; len])
}

fn prepare(seqno: u64, key: Key) -> Item {
    let value = Some(Bytes::from_static(b"pending"));
    Item {
        seqno: Seqno(seqno),
        value,
        ..Item::new(Operation::Prepare, key)
    }
}

fn abort(seqno: u64, prepare_seqno: u64) -> Item {
    let prepare_seqno = Seqno(prepare_seqno);
    Item {
        seqno: Seqno(seqno),
        prepare_seqno,
        ..Item::new(Operation::Abort, Key::new(b"aborted"))
    }
}

#[test]
fn largest_item_within_the_limits_comes_back() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    // Prefixes count: one byte for the default collection, two for 0x1f4, one more for a prepare.
    let batch = [
        Item {
            key: key(0, 4093),
            ..set(1, "", b"1")
        },
        Item {
            key: key(0x1f4, 4092),
            ..set(2, "", b"2")
        },
        prepare(3, key(0, 4092)),
        Item {
            rev_seqno: U48_MAX,
            ..set(4, "revision", b"4")
        },
        abort(5, U48_MAX),
        set(U48_MAX, "last", b"6"),
    ];
    commit(&engine, VB, &batch).expect("committed");
    let expected: Vec<Item> = batch.to_vec();
    assert_eq!(
        contents(&engine, VB).into_values().collect::<Vec<_>>(),
        expected
    );
    engine.close().expect("closed");
    drop(engine);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(
        contents(&engine, VB).into_values().collect::<Vec<_>>(),
        expected
    );
    // There is no further seqno.
    assert!(matches!(
        commit(&engine, VB, &[set(U48_MAX + 1, "a", b"")]),
        Err(EngineError::TooLarge { .. })
    ));
}

#[test]
fn item_beyond_the_limits_changes_nothing() {
    let disk = FaultyDisk::new(MemoryDisk::new());
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    commit(&engine, VB, &[set(1, "a", b"1")]).expect("committed");
    let (before, ios) = (contents(&engine, VB), disk.io_count());
    let value = Some(Bytes::from(vec![0; 256 << 20]));
    for (item, what, size, limit) in [
        (
            Item {
                key: key(0, 4094),
                ..set(3, "", b"")
            },
            "key",
            4095,
            4094,
        ),
        (
            Item {
                key: key(0x1f4, 4093),
                ..set(3, "", b"")
            },
            "key",
            4095,
            4094,
        ),
        (prepare(3, key(0, 4093)), "key", 4095, 4094),
        (set(U48_MAX + 1, "b", b""), "seqno", U48_MAX + 1, U48_MAX),
        (
            Item {
                rev_seqno: U48_MAX + 1,
                ..set(3, "b", b"")
            },
            "revision",
            U48_MAX + 1,
            U48_MAX,
        ),
        (abort(3, U48_MAX + 1), "prepare seqno", U48_MAX + 1, U48_MAX),
        (
            Item {
                value,
                ..set(3, "b", b"")
            },
            "value",
            256 << 20,
            (256 << 20) - 9,
        ),
    ] {
        // The items before it in the batch are not written either.
        match commit(&engine, VB, &[set(2, "fits", b"2"), item]) {
            Err(EngineError::TooLarge {
                what: part,
                size: of,
                limit: over,
                ..
            }) => {
                assert_eq!((part, of, over), (what, size, limit));
            }
            other => panic!("{what}: {other:?}"),
        }
        assert_eq!(disk.io_count(), ios, "{what}");
    }
    assert_eq!(contents(&engine, VB), before);
    commit(&engine, VB, &[set(2, "fits", b"2")]).expect("goes on");
}
