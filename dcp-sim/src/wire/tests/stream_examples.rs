//! Each message of a stream byte by byte, written from the layout tables and not by the encoder.

use bytes::Bytes;
use lowtide_checkpoint::{Cas, Datatype, DurabilityLevel, Seqno, State};

use super::examples::{request, same, text};
use crate::wire::*;

#[test]
fn stream_end_has_the_bytes_of_its_layout() {
    same(
        request(Command::StreamEnd(StreamEndReason::TooSlow)),
        "80 55 0000  04 00 0210  00000004 12100001 0000000000000000  00000004",
    );
}

#[test]
fn marker_of_each_form_has_the_bytes_of_its_layout() {
    let flags = MarkerFlags::DISK.with(MarkerFlags::CHECKPOINT);
    let marker = |form| {
        request(Command::SnapshotMarker(Marker {
            start: Seqno(1),
            end: Seqno(8),
            flags,
            form,
        }))
    };
    same(
        marker(MarkerForm::V1),
        "80 56 0000  14 00 0210  00000014 12100001 0000000000000000
         0000000000000001 0000000000000008 00000006",
    );
    let (max_visible, high_completed) = (Seqno(7), Seqno(6));
    same(
        marker(MarkerForm::V2_0 {
            max_visible,
            high_completed,
        }),
        "80 56 0000  01 00 0210  00000025 12100001 0000000000000000
         00  0000000000000001 0000000000000008 00000006  0000000000000007 0000000000000006",
    );
    let (purge_seqno, high_prepared) = (Seqno(2), Seqno(5));
    same(
        marker(MarkerForm::V2_2 {
            max_visible,
            high_completed,
            purge_seqno,
            high_prepared,
        }),
        "80 56 0000  01 00 0210  00000035 12100001 0000000000000000
         02  0000000000000001 0000000000000008 00000006  0000000000000007 0000000000000006
         0000000000000002 0000000000000005",
    );
}

#[test]
fn mutation_has_the_bytes_of_its_layout() {
    let mutation = Mutation {
        seqno: Seqno(4),
        rev_seqno: 1,
        cas: Cas(0x0123_4567_89ab_cdef),
        flags: 0x0200_0000,
        expiry: 0x6000_0000,
        lock_time: 9,
        nru: 3,
        datatype: Datatype::JSON,
        key: text("\0hello"),
        value: text("{}"),
    };
    same(
        request(Command::Mutation(mutation.clone())),
        "80 57 0006  1f 01 0210  00000027 12100001 0123456789abcdef
         0000000000000004 0000000000000001 02000000 60000000 00000009 0000 03
         00 68656c6c6f  7b7d",
    );
    same(
        request(Command::Mutation(mutation)).with_stream_id(StreamId(7)),
        "08 57 03 06  1f 01 0210  0000002a 12100001 0123456789abcdef  22 0007
         0000000000000004 0000000000000001 02000000 60000000 00000009 0000 03
         00 68656c6c6f  7b7d",
    );
}

#[test]
fn deletion_of_each_form_has_the_bytes_of_its_layout() {
    let deletion = |delete_time| {
        request(Command::Deletion(Deletion {
            seqno: Seqno(5),
            rev_seqno: 2,
            cas: Cas(0xff),
            delete_time,
            datatype: Datatype::RAW,
            key: text("\0hello"),
            value: Bytes::new(),
        }))
    };
    same(
        deletion(None),
        "80 58 0006  12 00 0210  00000018 12100001 00000000000000ff
         0000000000000005 0000000000000002 0000  00 68656c6c6f",
    );
    same(
        deletion(Some(0x6000_0000)),
        "80 58 0006  15 00 0210  0000001b 12100001 00000000000000ff
         0000000000000005 0000000000000002 60000000 00  00 68656c6c6f",
    );
}

#[test]
fn expiration_has_the_bytes_of_its_layout() {
    let expiration = Expiration {
        seqno: Seqno(5),
        rev_seqno: 2,
        cas: Cas(0xff),
        delete_time: 0x6000_0000,
        datatype: Datatype::XATTR,
        key: text("\0hello"),
        value: text("\0\0\0\0"),
    };
    same(
        request(Command::Expiration(expiration)),
        "80 59 0006  14 04 0210  0000001e 12100001 00000000000000ff
         0000000000000005 0000000000000002 60000000  00 68656c6c6f  00000000",
    );
}

#[test]
fn durable_write_messages_have_the_bytes_of_their_layouts() {
    let prepare = Prepare {
        seqno: Seqno(4),
        rev_seqno: 1,
        cas: Cas(0xff),
        flags: 1,
        expiry: 2,
        lock_time: 3,
        nru: 4,
        deleted: false,
        durability: DurabilityLevel::PersistToMajority,
        datatype: Datatype::RAW,
        key: text("\0hello"),
        value: text("world"),
    };
    same(
        request(Command::Prepare(prepare)),
        "80 60 0006  1f 00 0210  0000002a 12100001 00000000000000ff
         0000000000000004 0000000000000001 00000001 00000002 00000003 04 00 03
         00 68656c6c6f  776f726c64",
    );
    let (prepare_seqno, seqno, key) = (Seqno(4), Seqno(9), text("\0hello"));
    same(
        request(Command::Commit(Commit {
            prepare_seqno,
            seqno,
            key: key.clone(),
        })),
        "80 62 0006  10 00 0210  00000016 12100001 0000000000000000
         0000000000000004 0000000000000009  00 68656c6c6f",
    );
    same(
        request(Command::Abort(Abort {
            prepare_seqno,
            seqno,
            key,
        })),
        "80 63 0006  10 00 0210  00000016 12100001 0000000000000000
         0000000000000004 0000000000000009  00 68656c6c6f",
    );
    same(
        request(Command::SeqnoAck(Seqno(4))),
        "80 61 0000  08 00 0210  00000008 12100001 0000000000000000  0000000000000004",
    );
}

#[test]
fn seqno_advanced_has_the_bytes_of_its_layout() {
    same(
        request(Command::SeqnoAdvanced(Seqno(0x0102))),
        "80 64 0000  08 00 0210  00000008 12100001 0000000000000000  0000000000000102",
    );
}

#[test]
fn system_event_has_the_bytes_of_its_layout() {
    let event = |event| {
        request(Command::SystemEvent(SystemEvent {
            seqno: Seqno(4),
            event,
        }))
    };
    let (manifest_uid, scope, collection) = (2, 9, 8);
    let created = |max_ttl| {
        event(Event::CollectionCreated {
            manifest_uid,
            scope,
            collection,
            max_ttl,
            name: text("mine"),
        })
    };
    same(
        created(None),
        "80 5f 0004  0d 00 0210  00000021 12100001 0000000000000000
         0000000000000004 00000000 00  6d696e65  0000000000000002 00000009 00000008",
    );
    same(
        created(Some(72_000)),
        "80 5f 0004  0d 00 0210  00000025 12100001 0000000000000000
         0000000000000004 00000000 01  6d696e65  0000000000000002 00000009 00000008 00011940",
    );
    same(
        event(Event::CollectionDropped {
            manifest_uid,
            scope,
            collection,
        }),
        "80 5f 0000  0d 00 0210  0000001d 12100001 0000000000000000
         0000000000000004 00000001 00  0000000000000002 00000009 00000008",
    );
    same(
        event(Event::ScopeCreated {
            manifest_uid,
            scope,
            name: text("mine"),
        }),
        "80 5f 0004  0d 00 0210  0000001d 12100001 0000000000000000
         0000000000000004 00000003 00  6d696e65  0000000000000002 00000009",
    );
    same(
        event(Event::ScopeDropped {
            manifest_uid,
            scope,
        }),
        "80 5f 0000  0d 00 0210  00000019 12100001 0000000000000000
         0000000000000004 00000004 00  0000000000000002 00000009",
    );
    same(
        event(Event::FlatBuffers {
            id: 5,
            datatype: Datatype::RAW,
            name: text("mine"),
            value: text("\x01\x02"),
        }),
        "80 5f 0004  0d 00 0210  00000013 12100001 0000000000000000
         0000000000000004 00000005 02  6d696e65  0102",
    );
}

#[test]
fn vbucket_state_has_the_bytes_of_its_layout() {
    for (state, code) in [
        (State::Active, "01"),
        (State::Replica, "02"),
        (State::Pending, "03"),
        (State::Dead, "04"),
    ] {
        same(
            request(Command::SetVBucketState(state)),
            &format!("80 5b 0000  01 00 0210  00000001 12100001 0000000000000000  {code}"),
        );
    }
}
