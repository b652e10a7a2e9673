//! Round trips of items through documents, and the limits of the format.

use lowtide_checkpoint::{DurabilityLevel, Key};

use crate::couchstore::format::document::stored_key::SYSTEM;

use super::*;

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
fn every_operation_round_trips() {
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
fn commit_comes_back_as_its_document() {
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
fn stored_keys_of_different_name_spaces_differ() {
    let key = Key::new(b"k");
    let stored =
        [Namespace::Committed, Namespace::Prepared, Namespace::System].map(|n| stored_key(n, &key));
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

/// Found by the fuzzer: a pending or aborted write was read as a document with a durability level
/// and a prepare seqno.
#[test]
fn pending_row_outside_its_name_space_is_refused() {
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
        let meta = RevisionMeta {
            durable: Some(durable),
            ..RevisionMeta::default()
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
    // Early releases marked a document as committed.
    let meta = RevisionMeta {
        durable: Some(Durable::Committed),
        ..RevisionMeta::default()
    };
    let info = DocInfo {
        rev_meta: meta.encode(),
        ..mutation.info
    };
    assert!(to_item(&info, mutation.body).is_ok());
}

#[test]
fn content_meta_matches_the_vendor() {
    let meta = |datatype, len| content_meta(datatype, len);
    assert_eq!(meta(Datatype::JSON, 9), 0x80);
    assert_eq!(meta(Datatype::RAW, 9), 0x83);
    assert_eq!(meta(Datatype::JSON.with(Datatype::SNAPPY), 9), 0x00);
    assert_eq!(meta(Datatype::SNAPPY, 9), 0x03);
    assert_eq!(meta(Datatype::RAW, 0), 0x03);
    assert_eq!(meta(Datatype::JSON, BODY_BYTES_MAX), 0x00);
}

#[test]
fn item_beyond_a_limit_is_refused() {
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
fn batch_keeps_only_the_last_revision_of_a_key() {
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
