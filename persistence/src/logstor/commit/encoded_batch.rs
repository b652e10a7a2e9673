//! The encoding of a batch, on the caller's thread, concurrently with other commits.
//!
//! # Invariants
//!
//! What can't be stored is refused here, before anything is written. Of two items with one key and
//! name space only the later one is encoded.

use crate::logstor::hash_key::HashKey;
use std::sync::Arc;

use hashbrown::HashTable;
use lowtide_checkpoint::internal::Invariant;
use lowtide_checkpoint::{Item, Operation, Seqno, VBucketState};

use crate::contract::{CommitBatch, EngineError};
use crate::logstor::format::{
    CollectionHighSeqnos, FIXED_BYTES, Fingerprint, KEY_BYTES_MAX, SEQNO_MAX, STATE_BYTES_MAX,
    VALUE_BYTES_MAX, collection_of_item, encode_item, encode_state, is_tombstone, to_u64,
};
use crate::logstor::log::StoreContext;
use crate::logstor::vbucket::VBucketIndex;

/// A record within its batch.
#[derive(Clone, Copy, Debug)]
pub(in crate::logstor) struct EncodedRow {
    pub(in crate::logstor) fingerprint: Fingerprint,
    pub(in crate::logstor) seqno: u64,
    /// Offset in the batch's bytes.
    pub(in crate::logstor) at: usize,
    pub(in crate::logstor) len: u32,
    pub(in crate::logstor) tombstone: bool,
}

/// A batch that is ready to be written to an index of its vBucket.
#[derive(Debug)]
pub(in crate::logstor) struct EncodedBatch {
    pub(in crate::logstor) vbucket: Arc<VBucketIndex>,
    pub(in crate::logstor) bytes: Vec<u8>,
    pub(in crate::logstor) rows: Vec<EncodedRow>,
    /// Every item deletes, or is part of a deletion.
    pub(super) deletes_only: bool,
    /// The first seqno, which must exceed the vBucket's high one; `None` for a batch without items.
    pub(in crate::logstor) first: Option<Seqno>,
    pub(in crate::logstor) last: Option<Seqno>,
    pub(in crate::logstor) high_seqnos: CollectionHighSeqnos,
    pub(in crate::logstor) state: Arc<VBucketState>,
    pub(super) state_bytes: Vec<u8>,
    /// Timestamp of the batch.
    pub(in crate::logstor) timestamp: u64,
}

impl EncodedBatch {
    /// Encodes a batch.
    ///
    /// # Errors
    /// [`EngineError::OutOfOrder`] if the seqnos don't rise; [`EngineError::TooLarge`];
    /// [`EngineError::Internal`] for an item that no record can hold.
    pub(in crate::logstor) fn new(
        batch: &CommitBatch<'_>,
        vbucket: Arc<VBucketIndex>,
        context: &StoreContext,
    ) -> Result<Self, EngineError> {
        let is_stored = |item: &&&Item| !matches!(item.operation, Operation::SetVBucketState(_));
        let items = batch.items.iter().filter(is_stored);
        let mut names: Vec<(Fingerprint, &Item)> = items
            .map(|item| (fingerprint(context.hash_key, item), *item))
            .collect();
        check(batch, &names)?;
        let ends = |item: Option<&(Fingerprint, &Item)>| item.map(|(_, item)| item.seqno);
        let (first, last) = (ends(names.first()), ends(names.last()));
        keep_newest(&mut names);
        let record = |(_, item): &(Fingerprint, &Item)| item.payload_bytes() + FIXED_BYTES + 8;
        let payload: usize = names.iter().map(record).sum();
        let mut bytes = Vec::with_capacity(payload);
        let mut rows = Vec::with_capacity(names.len());
        let in_collections = names
            .iter()
            .filter_map(|(_, item)| Some((collection_of_item(item)?, item.seqno.0)));
        let high_seqnos: CollectionHighSeqnos = in_collections.collect();
        for (fingerprint, item) in names {
            let at = bytes.len();
            // An item without a record would be acknowledged and lost.
            let len = encode_item(&mut bytes, vbucket.epoch(), item)
                .invariant("L13", "an item that is stored has a record")
                .map_err(|violation| context.internal(violation))?;
            let tombstone = is_tombstone(item.operation, item.deleted);
            rows.push(EncodedRow {
                fingerprint,
                seqno: item.seqno.0,
                at,
                len,
                tombstone,
            });
        }
        let mut stored = batch.items.iter().filter(is_stored);
        let deletes_only = stored.all(|item| item.deleted || item.operation == Operation::Abort);
        let state_bytes = encode_state(batch.state).ok_or_else(|| EngineError::TooLarge {
            vb: batch.vb,
            seqno: last.unwrap_or(Seqno::ZERO),
            what: "the vBucket's state",
            size: to_u64(STATE_BYTES_MAX) + 1,
            limit: to_u64(STATE_BYTES_MAX),
        })?;
        Ok(Self {
            vbucket,
            bytes,
            rows,
            deletes_only,
            first,
            last,
            high_seqnos,
            state: Arc::new(batch.state.clone()),
            state_bytes,
            timestamp: batch.timestamp,
        })
    }

    /// Sets the high seqno that the batch commits, which exceeds that of its last item.
    pub(in crate::logstor) fn with_high(self, high: Seqno) -> Self {
        Self {
            last: Some(high),
            ..self
        }
    }
}

fn fingerprint(hash_key: HashKey, item: &Item) -> Fingerprint {
    Fingerprint::of_record(hash_key, item.operation, item.key.encoded())
}

fn check(batch: &CommitBatch<'_>, items: &[(Fingerprint, &Item)]) -> Result<(), EngineError> {
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
                to_u64(item.key.encoded().len()),
                to_u64(KEY_BYTES_MAX),
            ),
            ("the value", to_u64(value_bytes), to_u64(VALUE_BYTES_MAX)),
            ("the seqno", seqno.0, SEQNO_MAX),
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

/// Leaves out every item whose key a later item has.
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
