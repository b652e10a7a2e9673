//! Size of each message without key and value, and its flow-control bytes.

use bytes::Bytes;
use lowtide_checkpoint::{
    Cas, Datatype, DurabilityLevel, Item, Key, Operation, Seqno, State, Vbid,
};

use crate::wire::*;

fn item(operation: Operation) -> Item {
    Item {
        seqno: Seqno(2),
        prepare_seqno: Seqno(1),
        durability: Some(DurabilityLevel::Majority),
        ..Item::new(operation, Key::new(b"k"))
    }
}

fn data(operation: Operation, format: &ItemFormat) -> Command {
    Request::from_item(Vbid(1), 1, &item(operation), format)
        .expect("sendable")
        .command
}

/// Messages that flow control counts, with the size of their frame and of their key and value.
fn stream_messages() -> Vec<(Command, usize, usize)> {
    let all = ItemFormat::default();
    let marker = |form| {
        let (start, end, flags) = (Seqno(1), Seqno(2), MarkerFlags::MEMORY);
        Command::SnapshotMarker(Marker {
            start,
            end,
            flags,
            form,
        })
    };
    let (max_visible, high_completed, purge_seqno, high_prepared) =
        (Seqno(1), Seqno(2), Seqno(3), Seqno(4));
    let dropped = Event::ScopeDropped {
        manifest_uid: 1,
        scope: 8,
    };
    vec![
        (data(Operation::Mutation, &all), 55, 2),
        (
            data(
                Operation::Deletion,
                &ItemFormat {
                    deletions: DeletionForm::V1,
                    ..all
                },
            ),
            42,
            2,
        ),
        (data(Operation::Deletion, &all), 45, 2),
        (data(Operation::Expiration, &all), 44, 2),
        (data(Operation::Prepare, &all), 55, 2),
        (data(Operation::Commit, &all), 40, 2),
        (data(Operation::Abort, &all), 40, 2),
        (
            Command::SystemEvent(SystemEvent {
                seqno: Seqno(1),
                event: dropped,
            }),
            37,
            12,
        ),
        (marker(MarkerForm::V1), 44, 0),
        (
            marker(MarkerForm::V2_0 {
                max_visible,
                high_completed,
            }),
            61,
            0,
        ),
        (
            marker(MarkerForm::V2_2 {
                max_visible,
                high_completed,
                purge_seqno,
                high_prepared,
            }),
            77,
            0,
        ),
        (Command::SeqnoAdvanced(Seqno(9)), 32, 0),
        (Command::StreamEnd(StreamEndReason::Ok), 28, 0),
        (Command::SetVBucketState(State::Pending), 25, 0),
    ]
}

#[test]
fn frame_size_matches_the_protocol() {
    for (command, size, payload) in stream_messages() {
        let opcode = command.opcode();
        let request = Request::new(Vbid(1), 1, command);
        assert_eq!(request.encoded_bytes(), size + payload, "{opcode}");
        let request = request.with_stream_id(StreamId(1));
        assert_eq!(
            request.encoded_bytes(),
            size + payload + 3,
            "{opcode} with a stream id"
        );
        assert_eq!(
            request.to_frame().encoded_bytes(),
            size + payload + 3,
            "{opcode} with a stream id"
        );
    }
}

#[test]
fn flow_control_counts_stream_messages_in_full_and_a_prepare_with_two_more_bytes() {
    for (command, size, payload) in stream_messages() {
        let surcharge = if command.opcode() == Opcode::DCP_PREPARE {
            2
        } else {
            0
        };
        let opcode = command.opcode();
        let request = Request::new(Vbid(1), 1, command);
        let expected = u32::try_from(size + payload + surcharge).unwrap();
        assert_eq!(request.flow_control_bytes(), expected, "{opcode}");
        assert_eq!(
            flow_control_bytes(&request.to_frame()),
            expected,
            "{opcode}"
        );
    }
}

#[test]
fn flow_control_counts_no_other_message() {
    let control = Control {
        key: Bytes::from_static(b"k"),
        value: Bytes::from_static(b"v"),
    };
    for command in [
        Command::Noop,
        Command::BufferAck(1),
        Command::Control(control),
        Command::SeqnoAck(Seqno(1)),
        Command::CloseStream,
    ] {
        let request = Request::new(Vbid(1), 1, command);
        assert_eq!(flow_control_bytes(&request.to_frame()), 0, "{request:?}");
    }
    for reply in [Reply::Rollback(Seqno(1)), Reply::StreamAccepted(Vec::new())] {
        assert_eq!(
            flow_control_bytes(&Response { opaque: 1, reply }.to_frame()),
            0
        );
    }
    let answered = Response::status(Opcode::DCP_SNAPSHOT_MARKER, 1, Status::SUCCESS);
    assert_eq!(flow_control_bytes(&answered.to_frame()), 0);
}

#[test]
fn flow_control_counts_the_value() {
    let value = Bytes::from(vec![7; 1_000]);
    let mutation = Item {
        cas: Cas(1),
        datatype: Datatype::RAW,
        seqno: Seqno(1),
        ..Item::mutation(Key::new(b"key"), value)
    };
    let request =
        Request::from_item(Vbid(1), 1, &mutation, &ItemFormat::default()).expect("sendable");
    assert_eq!(request.flow_control_bytes(), 55 + 4 + 1_000);
}
