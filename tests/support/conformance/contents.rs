//! Round trips: items of every kind are read by key, by seqno and in slices as they were written;
//! forbidden items are refused.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{Cas, Datatype, DurabilityLevel, Item, Key, Namespace, Operation, Seqno};
use lowtide_persistence::disk::PowerLoss;
use lowtide_persistence::{Engine, EngineError, KeyRange, ScanLimit, Snapshot};

use super::{Contents, Open, VBS, apply, commit, contents, delete, fresh, set, state};

/// Checks that items of every kind come back as they were, by key, by seqno, and in slices; so do
/// states and figures.
pub(super) fn items_of_every_kind_come_back(open: Open<'_>) {
    let (disk, engine) = fresh(open);
    let key = |key: &[u8]| Key::in_collection(0x1f4, key);
    let full = |seqno, operation, name: &[u8]| Item {
        seqno: Seqno(seqno),
        cas: Cas(0x1122_3344_5566_7788),
        rev_seqno: 9,
        flags: 0x0200_0006,
        expiry: 1_700_000_000,
        datatype: Datatype::JSON,
        value: Some(Bytes::from_static(b"{\"a\":1}")),
        ..Item::new(operation, key(name))
    };
    let items = vec![
        full(1, Operation::Mutation, b"set"),
        Item {
            value: Some(Bytes::new()),
            datatype: Datatype::RAW,
            ..full(2, Operation::Mutation, b"empty")
        },
        Item {
            value: None,
            datatype: Datatype::RAW,
            ..full(3, Operation::Deletion, b"deleted")
        },
        Item {
            datatype: Datatype::XATTR,
            ..full(4, Operation::Deletion, b"with attributes")
        },
        Item {
            value: None,
            datatype: Datatype::RAW,
            ..full(5, Operation::Expiration, b"expired")
        },
        Item {
            durability: Some(DurabilityLevel::PersistToMajority),
            ..full(6, Operation::Prepare, b"set")
        },
        Item {
            durability: Some(DurabilityLevel::Majority),
            deleted: true,
            value: None,
            datatype: Datatype::RAW,
            ..full(7, Operation::Prepare, b"deleted")
        },
        Item {
            prepare_seqno: Seqno(4),
            value: None,
            datatype: Datatype::RAW,
            ..full(8, Operation::Abort, b"aborted")
        },
        full(9, Operation::SystemEvent, b"set"),
        full(0xffff_ffff_ffff, Operation::Mutation, &[0xff; 240]),
    ];
    let committed = commit(&*engine, VBS[0], &items).expect("committed");
    assert_eq!(
        (committed.high, committed.items),
        (Seqno(0xffff_ffff_ffff), items.len())
    );
    let check = |engine: &dyn Engine| {
        let found: Vec<Item> = contents(engine, VBS[0]).into_values().collect();
        assert_eq!(found, items);
        let snapshot = engine.snapshot(VBS[0]).expect("there");
        slices_add_up(&*snapshot, &items);
        visits_add_up(&*snapshot, &items);
        keys_add_up(&*snapshot, &items);
        counts_add_up(&*snapshot, &items);
        assert_eq!(snapshot.state(), Some(&state(0xffff_ffff_ffff)));
        assert_eq!(
            snapshot
                .get(Namespace::Committed, &key(b"aborted"))
                .expect("readable"),
            None
        );
        assert_eq!(
            snapshot
                .get(Namespace::Prepared, &key(b"empty"))
                .expect("readable"),
            None
        );
    };
    check(&*engine);
    assert_eq!(
        open(Arc::new(disk.clone()))
            .expect_err("open already")
            .kind(),
        "locked"
    );
    disk.crash(PowerLoss::DropUnsynced);
    drop(engine);
    check(&*open(Arc::new(disk.clone())).expect("opens"));
}

fn iterated(items: impl Iterator<Item = Result<Item, EngineError>>) -> Vec<Item> {
    items.collect::<Result<_, _>>().expect("readable")
}

fn slices_add_up(snapshot: &dyn Snapshot, expected: &[Item]) {
    for items in 1..=expected.len() + 1 {
        for bytes in [0, 1, 300, usize::MAX] {
            let (mut found, mut from) = (Vec::new(), Some(Seqno::ZERO));
            while let Some(at) = from {
                let slice = snapshot
                    .scan(at, Seqno::MAX, ScanLimit::new(items, bytes))
                    .expect("readable");
                assert!(!slice.items.is_empty() && slice.items.len() <= items);
                found.extend(slice.items);
                from = slice.next;
            }
            assert_eq!(found, expected);
        }
    }
    assert_eq!(iterated(snapshot.items(..)), expected);
    assert_eq!(iterated(snapshot.items(Seqno(2)..Seqno(5))), expected[1..4]);
    let between = snapshot
        .scan(Seqno(2), Seqno(4), ScanLimit::NONE)
        .expect("readable");
    assert_eq!(between.items, expected[1..4]);
}

/// Checks promise 9: a visit shows the items of a scan, until the visitor stops.
fn visits_add_up(snapshot: &dyn Snapshot, expected: &[Item]) {
    let seen = |from: u64, to: u64, most: usize| {
        let mut seen: Vec<Item> = Vec::new();
        let visited = snapshot.visit(Seqno(from), Seqno(to), &mut |item| {
            seen.push(item.to_item().expect("a whole key"));
            if seen.len() < most {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        visited.expect("readable");
        seen
    };
    for most in 1..=expected.len() + 1 {
        assert_eq!(
            seen(0, u64::MAX, most),
            expected[..most.min(expected.len())]
        );
    }
    assert_eq!(seen(2, 4, usize::MAX), expected[1..4]);
    assert!(seen(expected.last().expect("some").seqno.0 + 1, u64::MAX, 1).is_empty());
}

/// Checks promise 9: by key the same rows as by seqno, each name space by itself, in slices and
/// ranges.
fn keys_add_up(snapshot: &dyn Snapshot, items: &[Item]) {
    for namespace in [Namespace::Committed, Namespace::Prepared, Namespace::System] {
        let mut expected: Vec<&Item> = items
            .iter()
            .filter(|item| item.operation.namespace() == Some(namespace))
            .collect();
        expected.sort_by_key(|item| &item.key);
        for limit in 1..=expected.len() + 1 {
            for bytes in [0, 300, usize::MAX] {
                let (mut found, mut range) = (Vec::new(), Some(KeyRange::all(namespace)));
                while let Some(rest) = range {
                    let slice = snapshot
                        .scan_keys(&rest, ScanLimit::new(limit, bytes))
                        .expect("readable");
                    assert!(!slice.items.is_empty() && slice.items.len() <= limit);
                    found.extend(slice.items);
                    range = slice.next.map(|from| rest.with_from(from));
                }
                assert!(
                    found.iter().eq(expected.iter().copied()),
                    "{namespace:?} by {limit}"
                );
            }
        }
        let (first, last) = (
            expected.first().expect("some"),
            expected.last().expect("some"),
        );
        let between = KeyRange::all(namespace)
            .with_from(first.key.clone())
            .with_to(last.key.clone());
        assert!(
            iterated(snapshot.items_by_key(KeyRange::all(namespace)))
                .iter()
                .eq(expected.iter().copied()),
            "{namespace:?} one by one"
        );
        let slice = snapshot
            .scan_keys(&between, ScanLimit::NONE)
            .expect("readable");
        assert_eq!(
            (slice.items.len(), slice.next),
            (expected.len() - 1, None),
            "the end is not included"
        );
        for most in [1, 2, usize::MAX] {
            let mut keys = Vec::new();
            let visited = snapshot.visit_keys(namespace, &mut |key| {
                keys.push(key.clone());
                if keys.len() == most {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            visited.expect("readable");
            let expected = expected.iter().map(|item| &item.key).take(most);
            assert!(keys.iter().eq(expected), "{namespace:?}, {most} keys");
        }
        let nothing = between.with_from(last.key.clone());
        assert!(
            snapshot
                .scan_keys(&nothing, ScanLimit::NONE)
                .expect("readable")
                .items
                .is_empty()
        );
    }
}

/// Checks promise 9: a count is the length of a scan.
fn counts_add_up(snapshot: &dyn Snapshot, items: &[Item]) {
    for from in [0, 1, 2, 9, 10, 0xffff_ffff_ffff, u64::MAX] {
        for to in [0, 1, 5, 9, 10, 0xffff_ffff_ffff, u64::MAX] {
            let expected = items
                .iter()
                .filter(|item| from <= item.seqno.0 && item.seqno.0 <= to)
                .count();
            let counted = snapshot.count(Seqno(from), Seqno(to)).expect("readable");
            assert_eq!(counted, expected as u64, "{from}..={to}");
        }
    }
}

/// Checks promise 1: seqnos strictly rise, otherwise nothing changes; unknown vBuckets are refused.
pub(super) fn seqnos_rise(open: Open<'_>) {
    let (_, engine) = fresh(open);
    commit(&*engine, VBS[0], &[set(5, "a", b"1")]).expect("committed");
    let before = contents(&*engine, VBS[0]);
    for batch in [
        vec![set(5, "b", b"")],
        vec![set(4, "b", b"")],
        vec![set(7, "b", b""), set(7, "c", b"")],
        vec![set(8, "b", b""), delete(7, "a")],
    ] {
        let refused = commit(&*engine, VBS[0], &batch).expect_err("out of order");
        assert_eq!(refused.kind(), "out-of-order");
        assert_eq!(contents(&*engine, VBS[0]), before);
    }
    assert_eq!(
        commit(&*engine, VBS[1], &[]).expect_err("unknown").kind(),
        "unknown-vbucket"
    );
    commit(&*engine, VBS[0], &[set(6, "b", b"")]).expect("refusals leave no trace");
}

/// Checks promise 1: the later of two items with one key in one name space wins, in a batch and
/// across batches.
pub(super) fn last_item_of_a_key_wins(open: Open<'_>) {
    let (_, engine) = fresh(open);
    let prepare = Item {
        operation: Operation::Prepare,
        ..set(3, "a", b"prepared")
    };
    let first = vec![
        set(1, "a", b"1"),
        set(2, "b", b"2"),
        prepare,
        set(4, "a", b"4"),
    ];
    assert_eq!(
        commit(&*engine, VBS[0], &first).expect("committed").items,
        3
    );
    let expected = apply(&Contents::new(), &first);
    assert_eq!(expected.keys().copied().collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(contents(&*engine, VBS[0]), expected);
    let second = [delete(9, "b")];
    commit(&*engine, VBS[0], &second).expect("committed");
    assert_eq!(contents(&*engine, VBS[0]), apply(&expected, &second));
}

/// Checks that keys up to the promised capabilities fit, in every name space; a longer one is
/// refused without any change.
pub(super) fn keys_up_to_the_limit_are_taken(open: Open<'_>) {
    let (_, engine) = fresh(open);
    let limits = engine.capabilities().limits;
    let key = |bytes: usize| {
        Key::from_encoded([&[0][..], &vec![b'k'; bytes - 1]].concat().into()).expect("sound")
    };
    let operations = [
        Operation::Mutation,
        Operation::Prepare,
        Operation::SystemEvent,
    ];
    let items = |bytes, first: u64| {
        let seqnos = (first..).map(Seqno);
        operations
            .into_iter()
            .zip(seqnos)
            .map(move |(operation, seqno)| Item {
                seqno,
                value: Some(Bytes::new()),
                ..Item::new(operation, key(bytes))
            })
    };
    let taken: Vec<Item> = items(limits.key_bytes_max, 1).collect();
    assert_eq!(
        commit(&*engine, VBS[0], &taken).expect("committed").items,
        3
    );
    let before = contents(&*engine, VBS[0]);
    let long: Vec<Item> = items(limits.key_bytes_max + 1, 4).collect();
    let large = vec![0; limits.value_bytes_max + 1];
    for refused in [vec![set(4, "a", b"1"), set(5, "large", &large)], long] {
        assert_eq!(
            commit(&*engine, VBS[0], &refused)
                .expect_err("too large")
                .kind(),
            "too-large"
        );
        assert_eq!(contents(&*engine, VBS[0]), before);
    }
}
