//! The contents of a vBucket as a plain map: read from a snapshot, or computed from batches and
//! purges.

use std::collections::{BTreeMap, BTreeSet};

use lowtide_checkpoint::{Item, Namespace, Seqno, Vbid};

use crate::contract::{Engine, ScanLimit, Snapshot};

pub(in crate::logstor) type Contents = BTreeMap<u64, Item>;

pub(in crate::logstor) fn apply(contents: &Contents, batch: &[Item]) -> Contents {
    let mut next = contents.clone();
    for item in batch {
        next.retain(|_, old| old.key != item.key);
        next.insert(item.seqno.0, item.clone());
    }
    next
}

/// Returns the highest seqno of each collection.
pub(in crate::logstor) fn highs(contents: &Contents) -> BTreeMap<u32, u64> {
    contents
        .iter()
        .map(|(&seqno, item)| (item.key.collection(), seqno))
        .collect()
}

/// Returns the tombstones that a purge takes.
pub(in crate::logstor) fn due(contents: &Contents, upto: u64, high: u64) -> BTreeSet<u64> {
    let highs: BTreeSet<u64> = highs(contents).into_values().chain([high]).collect();
    let tombstones = contents
        .values()
        .filter(|item| item.deleted)
        .map(|item| item.seqno.0);
    tombstones
        .filter(|&seqno| seqno <= upto && !highs.contains(&seqno))
        .collect()
}

/// Returns everything a snapshot shows. Asserts that gets by key and the counts agree with it.
pub(in crate::logstor) fn contents_of(snapshot: &dyn Snapshot) -> Contents {
    let slice = snapshot
        .scan(Seqno::ZERO, Seqno::MAX, ScanLimit::NONE)
        .expect("readable");
    assert_eq!(slice.next, None);
    for item in &slice.items {
        let found = snapshot
            .get(Namespace::Committed, &item.key)
            .expect("readable");
        assert_eq!(found.as_ref(), Some(item));
    }
    let info = snapshot.info();
    assert_eq!(info.items + info.deleted, slice.items.len() as u64);
    slice
        .items
        .into_iter()
        .map(|item| (item.seqno.0, item))
        .collect()
}

pub(in crate::logstor) fn contents(engine: &dyn Engine, vb: Vbid) -> Contents {
    assert_eq!(engine.check(vb).expect("readable"), [""; 0]);
    contents_of(&*engine.snapshot(vb).expect("there"))
}
