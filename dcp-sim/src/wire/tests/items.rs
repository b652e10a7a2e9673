//! Round trips of items, and of snapshots through their markers.

use bytes::Bytes;
use lowtide_checkpoint::{
    Cas, Datatype, DurabilityLevel, Item, Key, Operation, Seqno, SnapshotMarker, SnapshotType,
    State, Vbid,
};
use proptest::prelude::*;

use super::{encoded, frame, generate};
use crate::wire::*;

const ALL: ItemFormat = ItemFormat {
    keys: KeyForm::Collections,
    deletions: DeletionForm::V2WithTime,
    expirations: true,
};

fn key() -> Key {
    Key::in_collection(0x1f4, b"user")
}

/// Item with every field that a message carries.
fn full(operation: Operation) -> Item {
    Item {
        seqno: Seqno(9),
        cas: Cas(0xabcd),
        rev_seqno: 7,
        expiry: 0x6000_0000,
        datatype: Datatype::JSON,
        ..Item::new(operation, key())
    }
}

/// Sends an item as the bytes of a frame and returns the received item.
fn sent(item: &Item, format: &ItemFormat) -> Item {
    let request = Request::from_item(Vbid(3), 77, item, format).expect("sendable");
    assert_eq!(
        (request.vb, request.opaque, request.stream_id),
        (Vbid(3), 77, None)
    );
    let Ok(Message::Request(request)) = Message::decode(&frame(&encoded(&request.into()))) else {
        panic!("a request")
    };
    request.to_item(format.keys).expect("an item")
}

#[test]
fn item_fields_of_the_protocol_survive_the_round_trip() {
    let value = Some(Bytes::from_static(b"{}"));
    for item in [
        Item {
            flags: 5,
            value: value.clone(),
            ..full(Operation::Mutation)
        },
        full(Operation::Deletion),
        Item {
            datatype: Datatype::XATTR,
            value: value.clone(),
            ..full(Operation::Deletion)
        },
        full(Operation::Expiration),
        Item {
            flags: 5,
            value: value.clone(),
            durability: Some(DurabilityLevel::MajorityAndPersistOnMaster),
            ..full(Operation::Prepare)
        },
        Item {
            deleted: true,
            durability: Some(DurabilityLevel::Majority),
            ..full(Operation::Prepare)
        },
        Item {
            seqno: Seqno(9),
            prepare_seqno: Seqno(4),
            ..Item::new(Operation::Commit, key())
        },
        Item {
            seqno: Seqno(9),
            prepare_seqno: Seqno(4),
            ..Item::new(Operation::Abort, key())
        },
    ] {
        assert_eq!(sent(&item, &ALL), item);
    }
}

#[test]
fn commit_carries_no_value_or_cas() {
    let value = Some(Bytes::from_static(b"{}"));
    let commit = Item {
        prepare_seqno: Seqno(4),
        value,
        ..full(Operation::Commit)
    };
    let received = sent(&commit, &ALL);
    assert_eq!(
        (received.value, received.cas, received.rev_seqno),
        (None, Cas(0), 1)
    );
}

#[test]
fn empty_document_is_not_decoded_as_missing() {
    let mutation = Item {
        value: Some(Bytes::new()),
        ..full(Operation::Mutation)
    };
    assert_eq!(sent(&mutation, &ALL).value, Some(Bytes::new()));
    assert_eq!(sent(&full(Operation::Deletion), &ALL).value, None);
}

#[test]
fn deletion_form_follows_the_negotiation() {
    let form = |item: &Item, format| {
        Request::from_item(Vbid(0), 0, item, &format)
            .expect("sendable")
            .command
    };
    let delete_time = |command| match command {
        Command::Deletion(deletion) => deletion.delete_time,
        other => panic!("{other:?}"),
    };
    for operation in [Operation::Deletion, Operation::Expiration] {
        let item = full(operation);
        let with = |deletions| ItemFormat {
            deletions,
            expirations: false,
            ..ALL
        };
        assert_eq!(delete_time(form(&item, with(DeletionForm::V1))), None);
        assert_eq!(delete_time(form(&item, with(DeletionForm::V2))), Some(0));
        assert_eq!(
            delete_time(form(&item, with(DeletionForm::V2WithTime))),
            Some(0x6000_0000)
        );
    }
    assert!(matches!(
        form(&full(Operation::Expiration), ALL),
        Command::Expiration(_)
    ));
}

#[test]
fn keys_without_collections_have_no_prefix() {
    let bare = ItemFormat {
        keys: KeyForm::Bare,
        ..ALL
    };
    let item = Item {
        key: Key::new(b"user"),
        ..full(Operation::Deletion)
    };
    let request = Request::from_item(Vbid(0), 0, &item, &bare).expect("sendable");
    let Command::Deletion(deletion) = &request.command else {
        panic!("{request:?}")
    };
    assert_eq!(&deletion.key[..], b"user");
    assert_eq!(sent(&item, &bare), item);
    for unseen in [key(), Key::new(b"")] {
        let item = Item {
            key: unseen,
            ..item.clone()
        };
        assert!(matches!(
            Request::from_item(Vbid(0), 0, &item, &bare),
            Err(WireError::NotSendable { .. })
        ));
    }
}

#[test]
fn malformed_collection_prefix_is_refused() {
    for (prefix, good) in [
        (&b"\x08"[..], true),
        (b"\xf4\x03k", true),
        (b"\x80", false),
        (b"\xff\xff\xff\xff\x7f", false),
        (b"\x88\x00k", false),
    ] {
        let (seqno, key) = (Seqno(9), Bytes::copy_from_slice(prefix));
        let commit = Command::Commit(Commit {
            prepare_seqno: Seqno(4),
            seqno,
            key,
        });
        let item = Request::new(Vbid(0), 0, commit).to_item(KeyForm::Collections);
        assert_eq!(item.is_ok(), good, "{prefix:02x?}: {item:?}");
        if !good {
            assert_eq!(
                item,
                Err(WireError::BadKey {
                    opcode: Opcode::DCP_COMMIT
                })
            );
        }
    }
}

#[test]
fn item_without_a_message_is_refused() {
    let junk = |value: &'static [u8]| Item {
        flags: 1,
        value: Some(Bytes::from_static(value)),
        ..full(Operation::SystemEvent)
    };
    for item in [
        full(Operation::SetVBucketState(State::Active)),
        full(Operation::Prepare),
        full(Operation::Commit),
        Item {
            prepare_seqno: Seqno(9),
            ..full(Operation::Abort)
        },
        Item {
            seqno: Seqno(0),
            ..full(Operation::Mutation)
        },
        Item {
            datatype: Datatype(8),
            ..full(Operation::Mutation)
        },
        full(Operation::SystemEvent),
        junk(b""),
        junk(b"\x00short"),
        junk(b"\x000123456789abcdef, and a name no drop has"),
    ] {
        let error = Request::from_item(Vbid(0), 0, &item, &ALL).expect_err("refused");
        assert!(matches!(error, WireError::NotSendable { .. }), "{error}");
        assert_eq!(error.status(), None);
    }
    let marker = Command::SeqnoAdvanced(Seqno(1));
    let error = Request::new(Vbid(0), 0, marker)
        .to_item(KeyForm::Collections)
        .expect_err("no item");
    assert!(matches!(error, WireError::NotAnItem { .. }), "{error}");
}

fn event_item(event: Event) -> Item {
    SystemEvent {
        seqno: Seqno(9),
        event,
    }
    .to_item()
    .expect("readable")
}

#[test]
fn drop_event_has_the_key_of_its_creation_only() {
    let created = |collection, name| {
        event_item(Event::CollectionCreated {
            manifest_uid: 1,
            scope: 8,
            collection,
            max_ttl: None,
            name,
        })
    };
    let dropped = |collection| {
        event_item(Event::CollectionDropped {
            manifest_uid: 2,
            scope: 8,
            collection,
        })
    };
    let name = Bytes::from_static(b"mine");
    assert_eq!(created(8, name.clone()).key, dropped(8).key);
    assert_ne!(dropped(8).key, dropped(9).key);
    assert_ne!(dropped(8).key, created(9, name.clone()).key);
    let scope = event_item(Event::ScopeCreated {
        manifest_uid: 1,
        scope: 8,
        name,
    });
    assert_ne!(scope.key, dropped(8).key);
    assert_eq!(
        scope.key,
        event_item(Event::ScopeDropped {
            manifest_uid: 2,
            scope: 8
        })
        .key
    );
}

#[test]
fn snapshot_survives_the_round_trip_through_its_marker() {
    let memory = SnapshotMarker::new(SnapshotType::Memory, Seqno(3), Seqno(9));
    let disk = SnapshotMarker {
        visible: Some(Seqno(8)),
        high_completed_seqno: Some(Seqno(7)),
        high_prepared_seqno: Some(Seqno(6)),
        purge_seqno: Some(Seqno(2)),
        ..SnapshotMarker::new(SnapshotType::Disk, Seqno(3), Seqno(9))
    };
    assert_eq!(Marker::from_snapshot(&memory).flags.0, 0x05);
    assert_eq!(
        Marker::from_snapshot(&SnapshotMarker {
            extend: true,
            ..memory
        })
        .flags
        .0,
        0x01
    );
    assert_eq!(Marker::from_snapshot(&disk).flags.0, 0x06);
    assert_eq!(
        Marker::from_snapshot(&SnapshotMarker {
            history: true,
            ..disk
        })
        .flags
        .0,
        0x36
    );

    let repeating = SnapshotMarker {
        may_repeat_keys: true,
        ..disk
    };
    assert_eq!(Marker::from_snapshot(&repeating).flags.0, 0x26);
    assert_eq!(
        Marker::from_snapshot_v2_2(&repeating).to_snapshot(),
        repeating
    );

    let history = SnapshotMarker {
        extend: true,
        history: true,
        may_repeat_keys: true,
        ..memory
    };
    for snapshot in [memory, history] {
        assert_eq!(Marker::from_snapshot(&snapshot).to_snapshot(), snapshot);
        let visible = Some(snapshot.end);
        assert_eq!(
            Marker::from_snapshot_v2_0(&snapshot).to_snapshot(),
            SnapshotMarker {
                visible,
                ..snapshot
            },
            "without a visible seqno the end is it; completed seqnos of memory say nothing",
        );
    }
    assert_eq!(Marker::from_snapshot_v2_2(&disk).to_snapshot(), disk);
    assert_eq!(
        Marker::from_snapshot_v2_0(&disk).to_snapshot(),
        SnapshotMarker {
            high_prepared_seqno: None,
            purge_seqno: None,
            ..disk
        }
    );
    let initial = SnapshotMarker {
        snapshot_type: SnapshotType::InitialDisk,
        ..disk
    };
    assert_eq!(Marker::from_snapshot_v2_2(&initial).to_snapshot(), disk);
    let form = Marker::from_snapshot_v2_2(&disk).form;
    assert!(
        matches!(
            form,
            MarkerForm::V2_2 {
                purge_seqno: Seqno(2),
                ..
            }
        ),
        "{form:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// An item that arrived is sent on unchanged.
    #[test]
    fn received_item_is_sent_on_unchanged(command in generate::data()) {
        if let Ok(item) = Request::new(Vbid(3), 77, command).to_item(KeyForm::Collections) {
            prop_assert_eq!(&sent(&item, &ALL), &item);
        }
    }
}
