//! The conversion of items to documents of the format, and back.
//!
//! *E20.* An item that the format cannot represent is refused before anything is written: a stored
//! key over 4,094 bytes, a seqno, revision or prepare seqno beyond 48 bits, or a body that takes
//! 256 MiB or more with its chunk's head.
//!
//! Some properties do not survive the conversion:
//! - A commit comes back as the document it made.
//! - A live document without a value comes back with an empty one, unless it is a prepared
//!   deletion.
//! - `history` comes back as false.
//! - A value that the store compressed comes back as it was given.

use bytes::Bytes;
use lowtide_checkpoint::{Cas, Datatype, Item, ItemLimits, Namespace, Operation, Seqno, Vbid};

use crate::contract::EngineError;
use crate::couchstore::format::chunk_head::HEAD_BYTES;
use crate::couchstore::format::document_info::{BODY_COMPRESSED, DocInfo, NOT_JSON, Row};
use crate::couchstore::format::fields::U48_MAX;
use crate::couchstore::format::node::VALUE_BYTES_MAX;
use crate::numbers::to_u64;

use super::revision_meta::{Durable, RevisionMeta};
use super::stored_key::{PREPARED, STORED_KEY_BYTES_MAX, split_key, stored_key};

/// Longest body: with its chunk's head it must fit a size of 28 bits.
pub(crate) const BODY_BYTES_MAX: usize = VALUE_BYTES_MAX - HEAD_BYTES as usize;

/// Flaw of a live document's row that names no body.
pub(crate) const NO_BODY: &str = "a document without a body";

/// Limits within which [`from_item`] takes every item. Prepares and system events have one byte
/// more in their keys.
pub(crate) const LIMITS: ItemLimits = ItemLimits::DEFAULT
    .with_key_bytes_max(STORED_KEY_BYTES_MAX - 1)
    .with_value_bytes_max(BODY_BYTES_MAX)
    .with_seqno_max(Seqno(U48_MAX))
    .with_rev_seqno_max(U48_MAX)
    .with_reserved_collection_max(PREPARED as u32);

/// A revision to save: its row and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    /// Position and size of the body are not known yet.
    pub(crate) info: DocInfo,
    pub(crate) body: Option<Bytes>,
}

/// Returns the document of an item, or `None` for a vBucket's state, which is not a document.
///
/// # Errors
/// [`EngineError::TooLarge`]; [`EngineError::InvalidArgument`] for a key in a reserved collection.
pub(crate) fn from_item(vb: Vbid, item: &Item) -> Result<Option<Document>, EngineError> {
    let Some(namespace) = item.operation.namespace() else {
        return Ok(None);
    };
    let id = stored_key(namespace, &item.key).ok_or_else(|| {
        let key = &item.key;
        let collection = key.collection();
        EngineError::InvalidArgument(format!(
            "vBucket {vb}: key {key} is in the reserved collection {collection}"
        ))
    })?;
    let check = |what, size: u64, limit: u64| {
        if size <= limit {
            return Ok(());
        }
        Err(EngineError::TooLarge {
            vb,
            seqno: item.seqno,
            what,
            size,
            limit,
        })
    };
    let value_bytes = item.value.as_ref().map_or(0, Bytes::len);
    check("key", to_u64(id.len()), STORED_KEY_BYTES_MAX as u64)?;
    check("seqno", item.seqno.0, U48_MAX)?;
    check("revision", item.rev_seqno, U48_MAX)?;
    check("prepare seqno", item.prepare_seqno.0, U48_MAX)?;
    check("value", to_u64(value_bytes), BODY_BYTES_MAX as u64)?;

    let deleted = match item.operation {
        Operation::Abort => true,
        Operation::Prepare => false,
        _ => item.deleted,
    };
    // Only a tombstone may have no body.
    let body = match &item.value {
        None if !deleted => Some(Bytes::new()),
        value => value.clone(),
    };
    let meta = RevisionMeta {
        cas: item.cas.0,
        time: item.expiry,
        flags: item.flags,
        deleted_by_expiry: item.operation == Operation::Expiration,
        datatype: item.datatype.0,
        durable: match item.operation {
            Operation::Prepare => Some(Durable::Pending {
                is_delete: item.deleted,
                level: item.durability,
            }),
            Operation::Abort => Some(Durable::Aborted {
                prepare_seqno: item.prepare_seqno,
            }),
            _ => None,
        },
    };
    let info = DocInfo {
        id,
        seqno: item.seqno,
        rev_seqno: item.rev_seqno,
        deleted,
        body_position: 0,
        physical_bytes: 0,
        content_meta: content_meta(item.datatype, value_bytes),
        rev_meta: meta.encode(),
    };
    Ok(Some(Document { info, body }))
}

fn content_meta(datatype: Datatype, value_bytes: usize) -> u8 {
    let json = if datatype.contains(Datatype::JSON) {
        0
    } else {
        NOT_JSON
    };
    // A value that snappy could make longer than the limit is stored uncompressed.
    let compressible =
        value_bytes > 0 && snap::raw::max_compress_len(value_bytes) <= BODY_BYTES_MAX;
    if compressible && !datatype.contains(Datatype::SNAPPY) {
        json | BODY_COMPRESSED
    } else {
        json
    }
}

/// Returns the item of a row and its body.
///
/// # Errors
/// The flaw of the row, in words.
pub(crate) fn to_item(info: &DocInfo, body: Option<Bytes>) -> Result<Item, &'static str> {
    item_of(&info.row(), body)
}

/// Same as [`to_item`], for a borrowed row.
///
/// # Errors
/// Same as [`to_item`].
pub(crate) fn item_of(row: &Row<'_>, body: Option<Bytes>) -> Result<Item, &'static str> {
    let (namespace, key) = split_key(row.id).ok_or("key without a collection")?;
    let meta =
        RevisionMeta::decode(row.rev_meta).ok_or("revision metadata of an unknown layout")?;
    let operation = match (namespace, meta.durable, row.deleted) {
        (
            Namespace::System | Namespace::Committed,
            Some(Durable::Pending { .. } | Durable::Aborted { .. }),
            _,
        ) => {
            return Err("prepare or abort outside its name space");
        }
        (Namespace::System, ..) => Operation::SystemEvent,
        (Namespace::Committed, _, false) => Operation::Mutation,
        (Namespace::Committed, _, true) if meta.deleted_by_expiry => Operation::Expiration,
        (Namespace::Committed, _, true) => Operation::Deletion,
        (Namespace::Prepared, Some(Durable::Pending { .. }), false) => Operation::Prepare,
        (Namespace::Prepared, Some(Durable::Aborted { .. }), true) => Operation::Abort,
        (Namespace::Prepared, ..) => return Err("prepare in an unknown state"),
    };
    let mut item = Item {
        seqno: row.seqno,
        cas: Cas(meta.cas),
        rev_seqno: row.rev_seqno,
        flags: meta.flags,
        expiry: meta.time,
        datatype: Datatype(meta.datatype),
        deleted: row.deleted && operation != Operation::Abort,
        value: body,
        ..Item::new(operation, key)
    };
    match meta.durable {
        Some(Durable::Pending { is_delete, level }) => {
            item.deleted = is_delete;
            item.durability = level;
            if is_delete && item.value.as_ref().is_some_and(Bytes::is_empty) {
                item.value = None;
            }
        }
        Some(Durable::Aborted { prepare_seqno }) => item.prepare_seqno = prepare_seqno,
        Some(Durable::Committed) | None => {}
    }
    Ok(item)
}

/// Returns the documents of a batch: ascending by seqno, and the last revision of each key only.
///
/// # Errors
/// Same as [`from_item`]; [`EngineError::OutOfOrder`] if a seqno does not exceed the one before, or
/// `high` at first.
pub(crate) fn from_items(
    vb: Vbid,
    items: &[&Item],
    high: Seqno,
) -> Result<Vec<Document>, EngineError> {
    let mut previous = high;
    let mut documents = Vec::with_capacity(items.len());
    for item in items {
        let Some(document) = from_item(vb, item)? else {
            continue;
        };
        if item.seqno <= previous {
            return Err(EngineError::OutOfOrder {
                vb,
                seqno: item.seqno,
                previous,
            });
        }
        previous = item.seqno;
        documents.push(document);
    }
    documents.sort_by(|a, b| {
        a.info
            .id
            .cmp(&b.info.id)
            .then(b.info.seqno.cmp(&a.info.seqno))
    });
    documents.dedup_by(|later, kept| later.info.id == kept.info.id);
    documents.sort_unstable_by_key(|document| document.info.seqno);
    Ok(documents)
}

#[cfg(test)]
mod tests;
