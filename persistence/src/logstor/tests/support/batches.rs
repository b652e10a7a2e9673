//! Items with chosen keys, values and collections, and commits of them.

use bytes::Bytes;
use lowtide_checkpoint::{Cas, FailoverLog, Item, Key, Seqno, State, VBucketState, VbUuid, Vbid};

use crate::contract::{CommitBatch, Committed, Engine, EngineError};

pub(in crate::logstor) const A: Vbid = Vbid(7);

pub(in crate::logstor) const B: Vbid = Vbid(700);

pub(in crate::logstor) const C: Vbid = Vbid(1000);

pub(in crate::logstor) fn state(high: u64) -> VBucketState {
    let log = FailoverLog::new(VbUuid(0xabcd));
    VBucketState {
        snapshot_end: Seqno(high),
        max_cas: Cas(high * 1000),
        ..VBucketState::new(State::Active, log)
    }
}

pub(in crate::logstor) fn set(seqno: u64, key: &str, value: &[u8]) -> Item {
    let value = Bytes::copy_from_slice(value);
    Item {
        seqno: Seqno(seqno),
        ..Item::mutation(Key::new(key.as_bytes()), value)
    }
}

pub(in crate::logstor) fn delete(seqno: u64, key: &str) -> Item {
    Item {
        seqno: Seqno(seqno),
        ..Item::deletion(Key::new(key.as_bytes()))
    }
}

pub(in crate::logstor) fn in_collection(collection: u32, item: Item) -> Item {
    Item {
        key: Key::in_collection(collection, item.key.user()),
        ..item
    }
}

/// Returns the item with the numbered key. Some collections have few keys, and a tombstone is often
/// their newest record.
pub(in crate::logstor) fn numbered(key: u8, item: Item) -> Item {
    let collection = [8, 8, 9, 0x1f4].get(usize::from(key)).copied();
    in_collection(
        collection.unwrap_or(0),
        Item {
            key: Key::new(format!("key-{key}").as_bytes()),
            ..item
        },
    )
}

/// Returns the same bytes for the same seed, and others for another.
pub(in crate::logstor) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed as u32 ^ 0x9e37_79b9;
    let next = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    next.take(len).collect()
}

pub(in crate::logstor) fn commit_all(
    engine: &dyn Engine,
    batches: &[(Vbid, Vec<Item>)],
) -> Vec<Result<Committed, EngineError>> {
    let states: Vec<_> = batches
        .iter()
        .map(|(_, items)| state(items.last().map_or(0, |item| item.seqno.0)))
        .collect();
    let refs: Vec<Vec<&Item>> = batches
        .iter()
        .map(|(_, items)| items.iter().collect())
        .collect();
    let parts = batches.iter().zip(&refs).zip(&states);
    let batches: Vec<CommitBatch<'_>> = parts
        .map(|((&(vb, _), items), state)| CommitBatch {
            vb,
            items,
            state,
            timestamp: 1,
        })
        .collect();
    engine.commit(&batches)
}

pub(in crate::logstor) fn commit(
    engine: &dyn Engine,
    vb: Vbid,
    items: &[Item],
) -> Result<Committed, EngineError> {
    commit_all(engine, &[(vb, items.to_vec())])
        .pop()
        .expect("one")
}
