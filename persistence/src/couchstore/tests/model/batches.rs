//! Random batches against a plain map: both indexes, figures, pinned snapshots, and reopening.

use std::collections::BTreeMap;

use bytes::Bytes;
use lowtide_checkpoint::{Item, Key, Namespace, Operation, Seqno};
use proptest::prelude::*;

use crate::contract::{Engine, ScanLimit, Snapshot};
use crate::couchstore::engine::Couchstore;
use crate::couchstore::tests::support::{VB, commit, contents, open};
use crate::disk::MemoryDisk;

#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) key: u16,
    operation: u8,
    value: Option<Vec<u8>>,
}

pub(crate) fn change(keys: u16) -> impl Strategy<Value = Change> {
    let value = prop_oneof![
        1 => Just(None),
        8 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Some),
        1 => (0_usize..9000, any::<u8>()).prop_map(|(len, byte)| Some(vec![byte; len])),
        1 => prop::collection::vec(any::<u8>(), 3000..9000).prop_map(Some),
    ];
    (0..keys, 0_u8..10, value).prop_map(|(key, operation, value)| Change {
        key,
        operation,
        value,
    })
}

pub(crate) fn item(seqno: u64, change: &Change) -> Item {
    let collection = [0, 8, 0x1f4][usize::from(change.key % 3)];
    let key = Key::in_collection(collection, format!("key-{:05}", change.key).as_bytes());
    let value = change.value.clone().map(Bytes::from);
    let operation = match change.operation {
        0 | 1 => Operation::Deletion,
        2 => Operation::Expiration,
        3 => Operation::Prepare,
        4 => Operation::Abort,
        5 => Operation::SystemEvent,
        _ => Operation::Mutation,
    };
    let may_lack = matches!(
        operation,
        Operation::Deletion | Operation::Expiration | Operation::Abort
    );
    let value = if may_lack {
        value
    } else {
        Some(value.unwrap_or_default())
    };
    let prepare_seqno = if operation == Operation::Abort {
        Seqno(1)
    } else {
        Seqno(0)
    };
    Item {
        seqno: Seqno(seqno),
        flags: u32::from(change.key),
        value,
        prepare_seqno,
        ..Item::new(operation, key)
    }
}

pub(crate) type Model = BTreeMap<(Namespace, Key), Item>;

pub(crate) fn by_seqno(model: &Model) -> BTreeMap<u64, Item> {
    model
        .values()
        .map(|item| (item.seqno.0, item.clone()))
        .collect()
}

/// Scans in slices, as backfills do.
fn slices(snapshot: &dyn Snapshot, limit: ScanLimit) -> BTreeMap<u64, Item> {
    let mut items = BTreeMap::new();
    let mut from = Some(Seqno(0));
    while let Some(at) = from {
        let slice = snapshot.scan(at, Seqno::MAX, limit).expect("readable");
        assert!(
            slice
                .next
                .is_none_or(|next| next > at && !slice.items.is_empty())
        );
        assert!(slice.items.len() <= limit.items);
        items.extend(slice.items.into_iter().map(|item| (item.seqno.0, item)));
        from = slice.next;
    }
    items
}

fn check(batches: Vec<Vec<Change>>, limit: usize) {
    let disk = MemoryDisk::new();
    let (mut engine, _): (Couchstore, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    let (mut model, mut seqno, mut pinned) = (Model::new(), 0, Vec::new());
    for (number, batch) in batches.iter().enumerate() {
        let items: Vec<Item> = batch
            .iter()
            .map(|change| {
                seqno += 1 + u64::from(change.key % 3);
                item(seqno, change)
            })
            .collect();
        let distinct: BTreeMap<_, _> = items
            .iter()
            .map(|item| ((item.operation.namespace(), &item.key), item.seqno))
            .collect();
        let committed = commit(&engine, VB, &items).expect("committed");
        assert_eq!(
            (committed.high, committed.items),
            (Seqno(seqno), distinct.len())
        );
        for item in items {
            model.insert(
                (
                    item.operation.namespace().expect("stored"),
                    item.key.clone(),
                ),
                item,
            );
        }
        if number % 3 == 0 {
            pinned.push((engine.snapshot(VB).expect("there"), by_seqno(&model)));
        }
        if number % 4 == 3 {
            // Not closed: an acknowledged commit must be complete in the file.
            drop(engine);
            let (reopened, report) = open(&disk).expect("opens");
            assert_eq!(report.repairs, []);
            engine = reopened;
        }
        assert_eq!(contents(&engine, VB), by_seqno(&model));
        assert_eq!(engine.info(VB).expect("there").high, Seqno(seqno));
    }
    for (snapshot, expected) in pinned {
        assert_eq!(
            slices(
                &*snapshot,
                ScanLimit {
                    items: limit,
                    bytes: 5000
                }
            ),
            expected
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn batches_of_few_keys_match_the_map(batches in prop::collection::vec(prop::collection::vec(change(12), 0..12), 1..14), limit in 1_usize..9) {
        check(batches, limit);
    }

    #[test]
    fn batches_of_many_keys_match_the_map(batches in prop::collection::vec(prop::collection::vec(change(2000), 0..250), 1..6), limit in 1_usize..99) {
        check(batches, limit);
    }
}
