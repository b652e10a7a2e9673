//! Visible form of an item on a connection: durable writes, values, attributes, expirations.

use lowtide_checkpoint::{Datatype, DurabilityLevel, Operation};

use super::*;
use crate::wire::{Mutation, Opcode};

fn live() -> StreamRequest {
    request(0, u64::MAX, (0, 0))
}

/// Prepares a, commits it, prepares b. Only a connection with durable writes sees the last one.
pub(super) fn durable_writes(rig: &Rig) {
    let prepare = |key: &str| Item {
        durability: Some(DurabilityLevel::Majority),
        value: Some(Bytes::from_static(b"value")),
        ..Item::new(Operation::Prepare, Key::new(key.as_bytes()))
    };
    let commit = Item {
        prepare_seqno: Seqno(1),
        value: Some(Bytes::from_static(b"value")),
        ..Item::new(Operation::Commit, Key::new(b"a"))
    };
    for item in [prepare("a"), commit, prepare("b")] {
        rig.node.vbucket.write(item, 1).expect("active");
    }
}

/// Guards S17: a client sees committed values and the end of the snapshot, a replica sees
/// everything.
#[test]
fn prepares_are_hidden_without_durable_writes() {
    for (sync_writes, expected) in [
        (false, &["marker 0-3", "mutation @2", "advanced @3"][..]),
        (
            true,
            &["marker 0-3", "prepare @1", "commit @2", "prepare @3"],
        ),
    ] {
        let mut rig = rig();
        if sync_writes {
            assert_eq!(rig.control("enable_sync_writes", "true"), [Status::SUCCESS]);
        }
        durable_writes(&rig);
        rig.ask(VB, Command::StreamRequest(live()));
        assert_eq!(rig.sent(), expected);
    }
}

/// Guards S17 from disk: a commit is sent as its mutation, since its prepare may be gone.
#[test]
fn commit_from_disk_is_sent_as_a_mutation() {
    for (sync_writes, expected) in [
        (
            false,
            &["disk marker 0-3", "mutation @2", "advanced @3"][..],
        ),
        (
            true,
            &["disk marker 0-3", "prepare @1", "mutation @2", "prepare @3"],
        ),
    ] {
        let mut rig = rig();
        if sync_writes {
            assert_eq!(rig.control("enable_sync_writes", "true"), [Status::SUCCESS]);
        }
        durable_writes(&rig);
        rig.node.flush();
        rig.ask(VB, Command::StreamRequest(live()));
        assert_eq!(rig.sent(), expected);
    }
}

/// Guards S17 for an engine that stores commits as such, unlike couchstore.
#[test]
fn commit_stored_as_a_commit_is_sent_as_its_mutation_or_deletion() {
    use crate::producer::translate::disk_command;
    let mut rig = rig();
    assert_eq!(rig.control("enable_sync_writes", "true"), [Status::SUCCESS]);
    for (deleted, expected) in [(false, Opcode::DCP_MUTATION), (true, Opcode::DCP_DELETION)] {
        let item = Item {
            seqno: Seqno(2),
            prepare_seqno: Seqno(1),
            deleted,
            ..Item::new(Operation::Commit, Key::new(b"a"))
        };
        let command = disk_command(&item, &rig.producer.options)
            .expect("sendable")
            .expect("visible");
        assert_eq!(command.opcode(), expected);
    }
}

#[test]
fn seqno_ack_is_reported_to_the_host() {
    let mut rig = rig();
    assert_eq!(rig.ask(VB, Command::SeqnoAck(Seqno(7))), [Status::SUCCESS]);
    assert_eq!(
        rig.ask(Vbid(9), Command::SeqnoAck(Seqno(7))),
        [Status::NOT_MY_VBUCKET]
    );
    assert_eq!(
        rig.producer.take_events(),
        [ProducerEvent::Prepared {
            vb: VB,
            seqno: Seqno(7)
        }]
    );
}

/// Returns the mutation that a connection with these flags gets for a document with attributes.
fn mutation(flags: OpenFlags) -> Mutation {
    mutation_of(
        flags,
        Bytes::from_static(WITH_ATTRIBUTES),
        Datatype::JSON.with(Datatype::XATTR),
        false,
    )
}

/// One attribute and an empty object.
const WITH_ATTRIBUTES: &[u8] = b"\0\0\0\x09\0\0\0\x05_a\x001\0{}";

fn mutation_of(flags: OpenFlags, value: Bytes, datatype: Datatype, is_replica: bool) -> Mutation {
    let mut rig = rig_of(State::Active, "consumer", OpenFlags::PRODUCER.with(flags));
    if is_replica {
        assert_eq!(rig.control("consumer_name", "node"), [Status::SUCCESS]);
    }
    let item = Item {
        datatype,
        ..Item::mutation(Key::new(b"k"), value)
    };
    rig.node.vbucket.write(item, 1).expect("active");
    rig.ask(VB, Command::StreamRequest(live()));
    let messages = rig.poll(usize::MAX);
    let mutation = messages.into_iter().find_map(|message| match message {
        Message::Request(Request {
            command: Command::Mutation(mutation),
            ..
        }) => Some(mutation),
        _ => None,
    });
    mutation.expect("it is sent")
}

#[test]
fn values_and_attributes_follow_the_flags() {
    let both = Datatype::JSON.with(Datatype::XATTR);
    for (flags, datatype, value) in [
        (OpenFlags::NONE, Datatype::JSON, &b"{}"[..]),
        (
            OpenFlags::INCLUDE_XATTRS,
            both,
            b"\0\0\0\x09\0\0\0\x05_a\x001\0{}",
        ),
        (OpenFlags::NO_VALUE, Datatype::RAW, b""),
        (OpenFlags::NO_VALUE_WITH_DATATYPE, both, b""),
    ] {
        let mutation = mutation(flags);
        assert_eq!(
            (mutation.datatype, &mutation.value[..]),
            (datatype, value),
            "{flags:?}"
        );
    }
}

#[test]
fn compressed_values_are_expanded_except_for_nodes() {
    let all = Datatype::JSON.with(Datatype::XATTR).with(Datatype::SNAPPY);
    let compressed = Bytes::from(
        snap::raw::Encoder::new()
            .compress_vec(WITH_ATTRIBUTES)
            .expect("small"),
    );
    let plain = mutation_of(OpenFlags::NONE, compressed.clone(), all, false);
    assert_eq!(
        (plain.datatype, &plain.value[..]),
        (Datatype::JSON, &b"{}"[..])
    );
    let node = mutation_of(OpenFlags::INCLUDE_XATTRS, compressed.clone(), all, true);
    assert_eq!((node.datatype, node.value), (all, compressed));
    let odd = Bytes::from_static(b"\xff\xff\xff\xff\x0fnot snappy");
    let odd_one = mutation_of(OpenFlags::INCLUDE_XATTRS, odd.clone(), all, false);
    assert_eq!(
        (odd_one.datatype, odd_one.value),
        (all, odd),
        "nothing is lost"
    );
}

#[test]
fn expirations_are_sent_if_delete_times_are() {
    for (flags, option, expected) in [
        (OpenFlags::NONE, true, "deletion @1"),
        (OpenFlags::INCLUDE_DELETE_TIMES, false, "deletion @1"),
        (OpenFlags::INCLUDE_DELETE_TIMES, true, "DCP_EXPIRATION"),
    ] {
        let mut rig = rig_of(State::Active, "consumer", OpenFlags::PRODUCER.with(flags));
        if option {
            assert_eq!(
                rig.control("enable_expiry_opcode", "true"),
                [Status::SUCCESS]
            );
        }
        rig.node
            .vbucket
            .write(Item::new(Operation::Expiration, Key::new(b"k")), 1)
            .expect("active");
        rig.ask(VB, Command::StreamRequest(live()));
        assert_eq!(rig.sent(), ["marker 0-1", expected]);
    }
}
