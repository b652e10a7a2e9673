//! A batch before it is anybody's turn to write: items go in, records and what the index will know of them come out. The
//! caller's thread does it, beside others.
//!
//! Always: what can't be stored is refused here, before anything is written; of two items with one key and name space only
//! the later is encoded.

use std::sync::Arc;

use hashbrown::HashTable;
use lowtide_checkpoint::{Item, Namespace, Operation, Seqno, VBucketState};

use crate::contract::{Batch, EngineError};

use super::branch::Branch;
use super::entry;
use super::fingerprint::Fingerprint;
use super::highs::{self, CollectionHighs};
use super::state::{self, STATE_BYTES_MAX};

/// A record within its batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) fingerprint: Fingerprint,
    pub(super) seqno: u64,
    /// Where in the batch's bytes.
    pub(super) at: usize,
    pub(super) len: u32,
    pub(super) tombstone: bool,
}

/// A batch that is ready to be written.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) branch: Arc<Branch>,
    pub(super) bytes: Vec<u8>,
    pub(super) rows: Vec<Row>,
    /// Every item deletes, or ends or begins a deletion.
    pub(super) deletes_only: bool,
    /// The first seqno, which must exceed the vBucket's high one; `None` for a batch without items.
    pub(super) first: Option<Seqno>,
    pub(super) last: Option<Seqno>,
    pub(super) highs: CollectionHighs,
    pub(super) state: Arc<VBucketState>,
    pub(super) state_bytes: Vec<u8>,
    /// Of the batch.
    pub(super) timestamp: u64,
}

impl Encoded {
    /// # Errors
    /// [`EngineError::OutOfOrder`] if the seqnos don't rise; [`EngineError::TooLarge`].
    pub(super) fn new(
        batch: &Batch<'_>,
        branch: Arc<Branch>,
        hash_key: [u64; 2],
    ) -> Result<Self, EngineError> {
        let is_stored = |item: &&&Item| !matches!(item.operation, Operation::SetVBucketState(_));
        let items = batch.items.iter().filter(is_stored);
        let mut names: Vec<(Fingerprint, &Item)> = items
            .map(|item| (fingerprint(hash_key, item), *item))
            .collect();
        check(batch, &names)?;
        let ends = |item: Option<&(Fingerprint, &Item)>| item.map(|(_, item)| item.seqno);
        let (first, last) = (ends(names.first()), ends(names.last()));
        keep_newest(&mut names);
        let record =
            |(_, item): &(Fingerprint, &Item)| item.payload_bytes() + entry::FIXED_BYTES + 8;
        let payload: usize = names.iter().map(record).sum();
        let (mut bytes, mut rows) = (Vec::with_capacity(payload), Vec::with_capacity(names.len()));
        let in_collections = names
            .iter()
            .filter_map(|(_, item)| Some((highs::of_item(item)?, item.seqno.0)));
        let highs: CollectionHighs = in_collections.collect();
        for (fingerprint, item) in names {
            let at = bytes.len();
            let Some(len) = entry::put_item(&mut bytes, branch.epoch(), item) else {
                continue;
            };
            let tombstone = entry::is_tombstone(item.operation, item.deleted);
            rows.push(Row {
                fingerprint,
                seqno: item.seqno.0,
                at,
                len,
                tombstone,
            });
        }
        let mut stored = batch.items.iter().filter(is_stored);
        let deletes_only = stored.all(|item| item.deleted || item.operation == Operation::Abort);
        let state_bytes = state::encode(batch.state).ok_or_else(|| EngineError::TooLarge {
            vb: batch.vb,
            seqno: last.unwrap_or(Seqno::ZERO),
            what: "the vBucket's state",
            size: STATE_BYTES_MAX as u64 + 1,
            limit: STATE_BYTES_MAX as u64,
        })?;
        Ok(Self {
            branch,
            bytes,
            rows,
            deletes_only,
            first,
            last,
            highs,
            state: Arc::new(batch.state.clone()),
            state_bytes,
            timestamp: batch.timestamp,
        })
    }
}

fn fingerprint(hash_key: [u64; 2], item: &Item) -> Fingerprint {
    let namespace = item.operation.namespace().unwrap_or(Namespace::System);
    Fingerprint::of(hash_key, namespace, item.key.encoded())
}

fn check(batch: &Batch<'_>, items: &[(Fingerprint, &Item)]) -> Result<(), EngineError> {
    let mut previous = None;
    for (_, item) in items {
        let seqno = item.seqno;
        if let Some(previous) = previous.filter(|previous| seqno <= *previous) {
            return Err(EngineError::OutOfOrder {
                vb: batch.vb,
                seqno,
                previous,
            });
        }
        previous = Some(seqno);
        let value_bytes = item.value.as_ref().map_or(0, bytes::Bytes::len);
        for (what, size, limit) in [
            (
                "the key",
                item.key.encoded().len() as u64,
                entry::KEY_BYTES_MAX as u64,
            ),
            (
                "the value",
                value_bytes as u64,
                entry::VALUE_BYTES_MAX as u64,
            ),
            ("the seqno", seqno.0, entry::SEQNO_MAX),
        ] {
            if size > limit {
                return Err(EngineError::TooLarge {
                    vb: batch.vb,
                    seqno,
                    what,
                    size,
                    limit,
                });
            }
        }
    }
    Ok(())
}

/// Leaves out every item that a later one has the key of.
fn keep_newest(names: &mut Vec<(Fingerprint, &Item)>) {
    if names.len() < 2 {
        return;
    }
    let mut seen: HashTable<Fingerprint> = HashTable::with_capacity(names.len());
    names.reverse();
    names.retain(|(fingerprint, _)| {
        let is_newest = seen
            .find(fingerprint.hash(), |known| known == fingerprint)
            .is_none();
        if is_newest {
            seen.insert_unique(fingerprint.hash(), *fingerprint, |known| known.hash());
        }
        is_newest
    });
    names.reverse();
}
