//! Items as documents of the format, and back.
//!
//! Stored keys begin with the collection's LEB128 prefix; before it, prepares and aborts have a byte 0x02 and system
//! events a byte 0x01. So collections 1 and 2 can't have documents, as with the vendor.
//!
//! *E20.* What the format can't represent is refused before anything is written: a stored key over 4,094 bytes, a seqno,
//! revision or prepare seqno beyond 48 bits, a body that with its chunk's head takes 256 MiB or more.
//!
//! What the format can't tell comes back so: a commit as the document it made; a live document without value with an
//! empty one, but a prepared deletion without; `history` as false; a value the store compressed as it was given.

use bytes::Bytes;
use lowtide_checkpoint::{Cas, Datatype, Item, ItemLimits, Key, Namespace, Operation, Seqno, Vbid};

use crate::contract::EngineError;

use super::doc_info::{BODY_COMPRESSED, DocInfo, NOT_JSON, Row};
use super::fields::U48_MAX;
use super::node::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use super::rev_meta::{Durable, RevMeta};

pub(super) const SYSTEM: u8 = 0x01;
pub(super) const PREPARED: u8 = 0x02;

/// Stored keys leave room in a node's entry for one further prefix.
pub(super) const STORED_KEY_BYTES_MAX: usize = KEY_BYTES_MAX - 1;
/// With its chunk's head a body must fit the 28 bits that tell its size.
pub(super) const BODY_BYTES_MAX: usize = VALUE_BYTES_MAX - super::chunk::HEAD_BYTES as usize;

/// What is wrong with a row of a live document that names no body.
pub(super) const NO_BODY: &str = "a document without a body";

/// What [`from_item`] takes in every name space: prepares and system events have a byte before their keys.
pub(super) const LIMITS: ItemLimits = ItemLimits {
    key_bytes_max: STORED_KEY_BYTES_MAX - 1,
    value_bytes_max: BODY_BYTES_MAX,
    seqno_max: Seqno(U48_MAX),
    rev_seqno_max: U48_MAX,
    reserved_collection_max: PREPARED as u32,
};

/// A revision to save: what its row will say, and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document {
    /// Position and size of the body are still open.
    pub(super) info: DocInfo,
    pub(super) body: Option<Bytes>,
}

/// The key of an item in the indexes; `None` if it would be taken for another name space's.
pub(super) fn stored_key(namespace: Namespace, key: &Key) -> Option<Bytes> {
    let encoded = key.encoded();
    let prefix = match namespace {
        Namespace::Committed => match encoded.first() {
            Some(&SYSTEM | &PREPARED) => return None,
            _ => return Some(key.to_bytes()),
        },
        Namespace::System => SYSTEM,
        Namespace::Prepared => PREPARED,
    };
    let mut stored = Vec::with_capacity(1 + encoded.len());
    stored.push(prefix);
    stored.extend_from_slice(encoded);
    Some(Bytes::from(stored))
}

/// Whether a stored key is that of a prepare or abort.
pub(super) fn is_prepared(id: &[u8]) -> bool {
    id.first() == Some(&PREPARED)
}

/// The name space and the key that a stored key means; `None` if it has no collection.
pub(super) fn split_key(id: &[u8]) -> Option<(Namespace, Key)> {
    let (namespace, encoded) = match id.split_first()? {
        (&SYSTEM, encoded) => (Namespace::System, encoded),
        (&PREPARED, encoded) => (Namespace::Prepared, encoded),
        _ => (Namespace::Committed, id),
    };
    Some((namespace, Key::copy_from_encoded(encoded)?))
}

/// The document an item is stored as; `None` for a vBucket's state, which is no document.
///
/// # Errors
/// [`EngineError::TooLarge`], or [`EngineError::InvalidArgument`] for a key in a reserved collection.
pub(super) fn from_item(vb: Vbid, item: &Item) -> Result<Option<Document>, EngineError> {
    let Some(namespace) = item.operation.namespace() else {
        return Ok(None);
    };
    let id = stored_key(namespace, &item.key).ok_or_else(|| {
        let (key, collection) = (&item.key, item.key.collection());
        EngineError::InvalidArgument(format!(
            "vBucket {vb}: key {key} is in the reserved collection {collection}"
        ))
    })?;
    let check = |what, size: u64, limit: u64| match size > limit {
        true => Err(EngineError::TooLarge {
            vb,
            seqno: item.seqno,
            what,
            size,
            limit,
        }),
        false => Ok(()),
    };
    let value_bytes = item.value.as_ref().map_or(0, Bytes::len);
    check("key", id.len() as u64, STORED_KEY_BYTES_MAX as u64)?;
    check("seqno", item.seqno.0, U48_MAX)?;
    check("revision", item.rev_seqno, U48_MAX)?;
    check("prepare seqno", item.prepare_seqno.0, U48_MAX)?;
    check("value", value_bytes as u64, BODY_BYTES_MAX as u64)?;

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
    let meta = RevMeta {
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
    // What might not fit once snappy has made it longer is better stored as it is.
    let compressible =
        value_bytes > 0 && snap::raw::max_compress_len(value_bytes) <= BODY_BYTES_MAX;
    if compressible && !datatype.contains(Datatype::SNAPPY) {
        json | BODY_COMPRESSED
    } else {
        json
    }
}

/// The item a row and its body tell of.
///
/// # Errors
/// What can't be understood about it.
pub(super) fn to_item(info: &DocInfo, body: Option<Bytes>) -> Result<Item, &'static str> {
    item_of(&info.row(), body)
}

/// As [`to_item`].
///
/// # Errors
/// As there.
pub(super) fn item_of(row: &Row<'_>, body: Option<Bytes>) -> Result<Item, &'static str> {
    let (namespace, key) = split_key(row.id).ok_or("key without a collection")?;
    let meta = RevMeta::decode(row.rev_meta).ok_or("revision metadata of an unknown layout")?;
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

/// The documents of a batch: ascending by seqno, each key once, its last revision.
///
/// # Errors
/// As [`from_item`]; [`EngineError::OutOfOrder`] if a seqno does not exceed the one before, `high` at first.
pub(super) fn from_items(
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
mod tests {
    use super::*;
    use lowtide_checkpoint::DurabilityLevel;

    const VB: Vbid = Vbid(3);

    fn round_trip(item: &Item) -> Item {
        let document = from_item(VB, item).expect("fits").expect("a document");
        to_item(&document.info, document.body).expect("readable")
    }

    fn full(operation: Operation) -> Item {
        Item {
            seqno: Seqno(77),
            cas: Cas(0x1122_3344_5566_7788),
            rev_seqno: 5,
            flags: 0x0200_0006,
            expiry: 1_700_000_000,
            datatype: Datatype::JSON.with(Datatype::XATTR),
            value: Some(Bytes::from_static(b"{}")),
            ..Item::new(operation, Key::in_collection(0x1f4, b"k"))
        }
    }

    #[test]
    fn every_operation_comes_back() {
        let prepare = Item {
            durability: Some(DurabilityLevel::PersistToMajority),
            ..full(Operation::Prepare)
        };
        let prepared_delete = Item {
            deleted: true,
            value: None,
            ..prepare.clone()
        };
        let abort = Item {
            prepare_seqno: Seqno(70),
            value: None,
            ..full(Operation::Abort)
        };
        for item in [
            full(Operation::Mutation),
            full(Operation::Deletion),
            full(Operation::Expiration),
            full(Operation::SystemEvent),
            prepare,
            prepared_delete,
            abort,
            Item {
                value: None,
                ..full(Operation::Deletion)
            },
            Item {
                value: Some(Bytes::new()),
                ..full(Operation::Deletion)
            },
            Item {
                value: Some(Bytes::new()),
                ..full(Operation::Mutation)
            },
        ] {
            assert_eq!(round_trip(&item), item);
        }
    }

    #[test]
    fn a_commit_comes_back_as_its_document() {
        let commit = Item {
            prepare_seqno: Seqno(70),
            ..full(Operation::Commit)
        };
        assert_eq!(round_trip(&commit), full(Operation::Mutation));
        let deletion = Item {
            deleted: true,
            ..commit
        };
        assert_eq!(round_trip(&deletion), full(Operation::Deletion));
    }

    #[test]
    fn name_spaces_never_meet() {
        let key = Key::new(b"k");
        let stored = [Namespace::Committed, Namespace::Prepared, Namespace::System]
            .map(|n| stored_key(n, &key));
        assert_eq!(stored[0].as_deref(), Some(&b"\0k"[..]));
        assert_eq!(stored[1].as_deref(), Some(&b"\x02\0k"[..]));
        assert_eq!(stored[2].as_deref(), Some(&b"\x01\0k"[..]));
        for collection in [1, 2] {
            let item = Item::mutation(Key::in_collection(collection, b"k"), Bytes::new());
            assert!(matches!(
                from_item(VB, &item),
                Err(EngineError::InvalidArgument(_))
            ));
        }
    }

    /// Found by the fuzzer: what waits, or was aborted, was read as a document, with a level and a prepare's seqno.
    #[test]
    fn a_document_is_never_pending() {
        let mutation = from_item(VB, &full(Operation::Mutation))
            .expect("fits")
            .expect("a document");
        for durable in [
            Durable::Pending {
                is_delete: false,
                level: Some(DurabilityLevel::Majority),
            },
            Durable::Aborted {
                prepare_seqno: Seqno(70),
            },
        ] {
            let meta = RevMeta {
                durable: Some(durable),
                ..RevMeta::default()
            };
            for prefix in [&b""[..], &[SYSTEM]] {
                let id = [prefix, &mutation.info.id[..]].concat().into();
                let info = DocInfo {
                    id,
                    rev_meta: meta.encode(),
                    ..mutation.info.clone()
                };
                assert!(
                    to_item(&info, mutation.body.clone()).is_err(),
                    "{durable:?}"
                );
            }
        }
        // Early releases said of a document that it had been committed.
        let meta = RevMeta {
            durable: Some(Durable::Committed),
            ..RevMeta::default()
        };
        let info = DocInfo {
            rev_meta: meta.encode(),
            ..mutation.info
        };
        assert!(to_item(&info, mutation.body).is_ok());
    }

    #[test]
    fn content_meta_follows_the_vendor() {
        let meta = |datatype, len| content_meta(datatype, len);
        assert_eq!(meta(Datatype::JSON, 9), 0x80);
        assert_eq!(meta(Datatype::RAW, 9), 0x83);
        assert_eq!(meta(Datatype::JSON.with(Datatype::SNAPPY), 9), 0x00);
        assert_eq!(meta(Datatype::SNAPPY, 9), 0x03);
        assert_eq!(meta(Datatype::RAW, 0), 0x03);
        assert_eq!(meta(Datatype::JSON, BODY_BYTES_MAX), 0x00);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |item: &Item| match from_item(VB, item) {
            Err(EngineError::TooLarge { what, .. }) => what,
            other => panic!("{other:?}"),
        };
        let long = |len| Item::mutation(Key::new(&vec![b'k'; len]), Bytes::new());
        assert!(from_item(VB, &long(4093)).is_ok());
        assert_eq!(refused(&long(4094)), "key");
        let ok = Item {
            seqno: Seqno(U48_MAX),
            rev_seqno: U48_MAX,
            ..full(Operation::Mutation)
        };
        assert!(from_item(VB, &ok).is_ok());
        assert_eq!(
            refused(&Item {
                seqno: Seqno(U48_MAX + 1),
                ..ok.clone()
            }),
            "seqno"
        );
        assert_eq!(
            refused(&Item {
                rev_seqno: U48_MAX + 1,
                ..ok.clone()
            }),
            "revision"
        );
        let value = Bytes::from(vec![0; 256 << 20]);
        let of_len = |len| Item {
            value: Some(value.slice(..len)),
            ..ok.clone()
        };
        assert!(from_item(VB, &of_len(BODY_BYTES_MAX)).is_ok());
        for len in [BODY_BYTES_MAX + 1, (256 << 20) - 1, 256 << 20] {
            assert_eq!(refused(&of_len(len)), "value");
        }
    }

    #[test]
    fn of_one_key_only_the_last_revision_is_left() {
        let item = |seqno, key: &[u8]| Item {
            seqno: Seqno(seqno),
            ..Item::deletion(Key::new(key))
        };
        let items = [item(5, b"a"), item(6, b"b"), item(7, b"a"), item(9, b"0")];
        let refs: Vec<&Item> = items.iter().collect();
        let documents = from_items(VB, &refs, Seqno(4)).expect("in order");
        let seqnos: Vec<u64> = documents
            .iter()
            .map(|document| document.info.seqno.0)
            .collect();
        assert_eq!(seqnos, [6, 7, 9]);
        assert!(matches!(
            from_items(VB, &refs, Seqno(5)),
            Err(EngineError::OutOfOrder { .. })
        ));
    }
}
