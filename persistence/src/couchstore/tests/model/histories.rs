//! Random commits, purges, rollbacks and reopenings against the reference model: rows by seqno, by
//! key and counted, figures, states, and pinned snapshots.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Item, Key, Namespace, Seqno};
use proptest::prelude::*;

use crate::contract::{Engine, KeyRange, ScanLimit, Snapshot};
use crate::couchstore::engine::Couchstore;
use crate::couchstore::tests::reference_model::{self, Commit, Naive};
use crate::couchstore::tests::support::{VB, commit, open, state};
use crate::disk::MemoryDisk;

use super::batches::{Change, change, item};

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Change>),
    /// Up to this share of the seqnos, in 1/16.
    Purge(u64),
    Rollback(u64),
    Reopen,
    Pin,
}

fn step(keys: u16, items: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(change(keys), 0..items).prop_map(Step::Commit),
        2 => (0_u64..20).prop_map(Step::Purge),
        2 => (0_u64..18).prop_map(Step::Rollback),
        1 => Just(Step::Reopen),
        1 => Just(Step::Pin),
    ]
}

/// Puts a key into one of several collections, so that the committed name space lies on both sides
/// of the others.
fn spread(mut item: Item) -> Item {
    let number = item.flags;
    let collection = [0, 3, 8, 0x1f4][number as usize % 4];
    item.key = Key::in_collection(collection, format!("key-{number:05}").as_bytes());
    item
}

fn check_views(snapshot: &dyn Snapshot, expected: &Commit, limit: ScanLimit, bound: u64) {
    assert_eq!(reference_model::of(snapshot), *expected);
    for (from, to) in [
        (0, bound),
        (bound, u64::MAX),
        (bound / 2, bound),
        (bound + 1, bound),
        (bound, bound),
    ] {
        let counted = snapshot.count(Seqno(from), Seqno(to)).expect("readable");
        let rows = expected
            .rows
            .keys()
            .filter(|&&seqno| from <= seqno && seqno <= to)
            .count();
        assert_eq!(counted, rows as u64, "{from}..={to}");
    }
    for namespace in [Namespace::Committed, Namespace::Prepared, Namespace::System] {
        let by_key: BTreeMap<Key, &Item> = expected
            .rows
            .values()
            .filter(|item| item.operation.namespace() == Some(namespace))
            .map(|item| (item.key.clone(), item))
            .collect();
        let middle = by_key
            .keys()
            .nth(bound as usize % by_key.len().max(1))
            .cloned();
        let all = KeyRange::all(namespace);
        let ranges = [
            KeyRange {
                to: middle.clone(),
                ..all.clone()
            },
            KeyRange {
                from: middle.clone().unwrap_or(Key::new(b"")),
                ..all.clone()
            },
            KeyRange {
                from: Key::in_collection(1, b"x"),
                ..all.clone()
            },
            KeyRange {
                from: Key::in_collection(9, b""),
                to: middle,
                namespace,
            },
            all,
        ];
        for range in ranges {
            let rows = by_key.iter().filter(|(key, _)| **key >= range.from);
            let rows = rows.filter(|(key, _)| range.to.as_ref().is_none_or(|to| *key < to));
            let rows: Vec<Item> = rows.map(|(_, item)| (*item).clone()).collect();
            assert_eq!(by_key_in_slices(snapshot, range, limit), rows);
        }
    }
}

fn by_key_in_slices(snapshot: &dyn Snapshot, mut range: KeyRange, limit: ScanLimit) -> Vec<Item> {
    let mut items = Vec::new();
    loop {
        let slice = snapshot.scan_keys(&range, limit).expect("readable");
        assert!(slice.items.len() <= limit.items);
        assert!(slice.next.is_none() || !slice.items.is_empty());
        items.extend(slice.items);
        match slice.next {
            Some(next) => range.from = next,
            None => return items,
        }
    }
}

fn check(steps: &[Step], limit: usize) {
    let disk = MemoryDisk::new();
    let (mut engine, _): (Couchstore, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    let (mut model, mut pinned) = (Naive::new(), Vec::new());
    for step in steps {
        let high = model.now().high;
        match step {
            Step::Commit(changes) => {
                let mut seqno = high;
                let items = changes.iter().map(|change| {
                    seqno += 1 + u64::from(change.key % 3);
                    spread(item(seqno, change))
                });
                let items: Vec<Item> = items.collect();
                commit(&engine, VB, &items).expect("committed");
                model.commit(&items, state(items.last().map_or(0, |item| item.seqno.0)));
            }
            Step::Purge(share) => {
                let upto = high * share / 16;
                assert_eq!(
                    engine.purge(VB, Seqno(upto)).expect("purged"),
                    Seqno(model.purge(upto))
                );
            }
            Step::Rollback(share) => {
                let to = high * share / 16;
                assert_eq!(reference_model::rollback(&engine, to), model.rollback(to));
            }
            Step::Reopen => {
                drop(engine);
                let (reopened, report) = open(&disk).expect("opens");
                assert_eq!(report.repairs, []);
                engine = reopened;
            }
            Step::Pin => pinned.push((engine.snapshot(VB).expect("there"), model.now().clone())),
        }
        assert_eq!(reference_model::now(&engine), *model.now(), "{step:?}");
    }
    pinned.push((engine.snapshot(VB).expect("there"), model.now().clone()));
    for (snapshot, expected) in pinned {
        check_views(
            &*snapshot,
            &expected,
            ScanLimit {
                items: limit,
                bytes: 5000,
            },
            expected.high * 2 / 3,
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_matches_the_reference_model(steps in prop::collection::vec(step(14, 10), 1..24), limit in 1_usize..9) {
        check(&steps, limit);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_of_deep_trees_matches_the_reference_model(steps in prop::collection::vec(step(1500, 200), 1..16), limit in 1_usize..99) {
        check(&steps, limit);
    }
}
