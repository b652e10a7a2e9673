use bytes::Bytes;
use lowtide_checkpoint::{
    FailoverEntry, Item, Key, Operation, Seqno, SnapshotMarker, SnapshotType, State, VbUuid, Vbid,
};

use super::connection::Consumer;
use super::error::ConsumerError;
use super::options::ConsumerOptions;
use super::replicas::ConsumerEvent;
use crate::wire::{
    Command, Frame, Head, Marker, MarkerFlags, Message, Opcode, Reply, Request, Response, Status,
    StreamEndReason,
};
use rig::{Rig, VB, answers, from_zero, grant_v7, opened, requested, sent};

mod rig;

#[test]
fn new_consumer_opens_and_negotiates_before_any_stream() {
    let mut consumer = Consumer::new("replica", ConsumerOptions::new()).expect("a short name");
    let opcodes: Vec<_> = sent(&mut consumer)
        .into_iter()
        .map(|message| match message {
            Message::Request(request) => request.command.opcode(),
            Message::Response(response) => response.reply.opcode(),
        })
        .collect();
    let (first, rest) = opcodes.split_first().expect("something");
    assert_eq!((*first, rest.len()), (Opcode::DCP_OPEN, 12));
    assert!(
        rest.iter().all(|opcode| *opcode == Opcode::DCP_CONTROL),
        "{rest:?}"
    );
}

#[test]
fn open_stream_applies_log_markers_and_items() {
    let mut rig = opened(1_000_000);
    rig.marker(0, 2);
    rig.item(1, b"one").expect("sound");
    let gone = Item {
        seqno: Seqno(2),
        ..Item::new(Operation::Deletion, Key::new(b"k"))
    };
    rig.take(
        Request::from_item(VB, rig.opaque, &gone, &crate::wire::ItemFormat::default())
            .expect("sendable"),
    )
    .expect("sound");
    assert_eq!(
        rig.applied.0,
        [
            "5 log 0xabc",
            "5 marker 0-2",
            "5 mutation k @1",
            "5 deletion k @2"
        ]
    );
}

/// Guards S5 and S15.
#[test]
fn message_of_no_stream_is_answered_and_not_applied() {
    for (v7, no_stream, another) in [
        (false, Status::NOT_FOUND, Status::EXISTS),
        (true, Status::STREAM_NOT_FOUND, Status::OPAQUE_MISMATCH),
    ] {
        let mut rig = requested(1_000);
        if v7 {
            grant_v7(&mut rig);
        }
        let refused = |status| vec![ConsumerEvent::Refused { vb: VB, status }];
        assert_eq!(
            rig.item(1, b"early").expect("sound"),
            refused(no_stream),
            "not accepted yet"
        );
        let log = vec![FailoverEntry {
            uuid: VbUuid(0xabc),
            seqno: Seqno::ZERO,
        }];
        rig.reply(Reply::StreamAccepted(log)).expect("sound");
        rig.opaque += 1;
        assert_eq!(rig.item(1, b"strange").expect("sound"), refused(another));
        let mutation = Opcode::DCP_MUTATION;
        assert_eq!(
            answers(&mut rig),
            [(mutation, no_stream), (mutation, another)]
        );
        assert_eq!(rig.applied.0, ["5 log 0xabc"], "nothing else was applied");
    }
}

/// Guards S15: a message that breaks the snapshot is answered, and the stream continues.
#[test]
fn item_the_replica_refuses_is_answered_and_the_stream_continues() {
    let mut rig = opened(1_000);
    rig.marker(0, 2);
    let status = Status::RANGE;
    assert_eq!(
        rig.item(1, b"old").expect("sound"),
        [ConsumerEvent::Refused { vb: VB, status }]
    );
    assert_eq!(answers(&mut rig), [(Opcode::DCP_MUTATION, status)]);
    assert_eq!(rig.item(2, b"good").expect("sound"), []);
    assert_eq!(
        rig.applied.0,
        ["5 log 0xabc", "5 marker 0-2", "5 mutation k @2"]
    );
}

/// Guards against seed 2367: a vBucket that was dead for a while resumed its stream without the
/// items of that time.
#[test]
fn stream_with_a_lost_item_is_closed() {
    let mut rig = opened(1_000);
    rig.marker(0, 2);
    let status = Status::NOT_MY_VBUCKET;
    let lost = rig.item(1, b"refuse").expect("sound");
    assert_eq!(lost, [ConsumerEvent::StreamRefused { vb: VB, status }]);
    let sent = sent(&mut rig.consumer);
    assert!(format!("{sent:?}").contains("CloseStream"), "{sent:?}");
    let refused = ConsumerEvent::Refused {
        vb: VB,
        status: Status::NOT_FOUND,
    };
    assert_eq!(rig.item(2, b"good").expect("sound"), [refused]);
    assert_eq!(rig.applied.0, ["5 log 0xabc", "5 marker 0-2"]);
}

/// Guards S15 against commands of other versions: each is answered, and the next frame is sound.
#[test]
fn unknown_command_is_refused_and_the_next_frame_is_read() {
    let mut rig = opened(1_000);
    let out_of_order = Frame {
        head: Head::Request(VB),
        opcode: Opcode::DCP_OSO_SNAPSHOT,
        opaque: rig.opaque,
        extras: Bytes::from_static(&[0, 0, 0, 1]),
        ..Message::from(Request::new(VB, rig.opaque, Command::Noop)).to_frame()
    };
    let mut bytes = Vec::new();
    out_of_order.encode(&mut bytes).expect("sendable");
    rig.consumer
        .receive(bytes.into(), &mut rig.applied)
        .expect("it is only refused");
    assert_eq!(
        answers(&mut rig),
        [(Opcode::DCP_OSO_SNAPSHOT, Status::UNKNOWN_COMMAND)]
    );
    rig.marker(0, 1);
    let unexpected = rig.command(Command::CloseStream);
    assert!(
        matches!(unexpected, Err(ConsumerError::Unexpected { .. })),
        "that is what consumers send"
    );
}

/// Guards the consumer's part in a takeover: a marker is answered when its snapshot is complete, a
/// state when it is set.
#[test]
fn takeover_steps_are_answered_in_order() {
    let mut rig = opened(1_000);
    let snapshot = SnapshotMarker::new(SnapshotType::Memory, Seqno(0), Seqno(3));
    let mut marker = Marker::from_snapshot(&snapshot);
    marker.flags = marker.flags.with(MarkerFlags::ACK);
    rig.command(Command::SnapshotMarker(marker)).expect("sound");
    rig.item(2, b"v").expect("sound");
    assert_eq!(answers(&mut rig), []);
    rig.command(Command::SeqnoAdvanced(Seqno(3)))
        .expect("sound");
    assert_eq!(
        answers(&mut rig),
        [(Opcode::DCP_SNAPSHOT_MARKER, Status::SUCCESS)]
    );
    for state in [State::Pending, State::Active] {
        let events = rig.command(Command::SetVBucketState(state)).expect("sound");
        assert_eq!(events, [ConsumerEvent::StateSet { vb: VB, state }]);
        assert_eq!(
            answers(&mut rig),
            [(Opcode::DCP_SET_VBUCKET_STATE, Status::SUCCESS)]
        );
    }
    assert_eq!(
        rig.applied.0[3..],
        ["5 advanced @3", "5 pending", "5 active"]
    );
}

/// Guards S17: a durable prepare is acknowledged once, and only if the producer granted it.
#[test]
fn durable_prepare_is_acknowledged_once() {
    let mut rig = opened(1_000);
    let acknowledged = |rig: &mut Rig, seqno| {
        rig.consumer.prepared(VB, Seqno(seqno)).expect("sendable");
        sent(&mut rig.consumer).len()
    };
    assert_eq!(acknowledged(&mut rig, 4), 0, "nobody wants to know");
    let opaque = rig.consumer.granted.sync_writes_asked;
    rig.take(Response::status(
        Opcode::DCP_CONTROL,
        opaque,
        Status::SUCCESS,
    ))
    .expect("sound");
    let told: Vec<_> = [0, 4, 4, 3, 7]
        .map(|seqno| acknowledged(&mut rig, seqno))
        .into();
    assert_eq!(told, [0, 1, 0, 0, 1]);
}

#[test]
fn idle_connection_is_reported_after_six_minutes() {
    let mut rig = opened(1_000);
    let minute = 60_000_000_000;
    rig.consumer.tick(minute).expect("it counts from here");
    rig.consumer.tick(6 * minute).expect("five minutes");
    rig.take(Request::new(Vbid(0), 10_000_001, Command::Noop))
        .expect("sound");
    rig.consumer.tick(8 * minute).expect("somebody is there");
    assert!(matches!(
        rig.consumer.tick(14 * minute),
        Err(ConsumerError::Silent { .. })
    ));
}

#[test]
fn counted_bytes_are_acknowledged_at_half_the_buffer() {
    let mut rig = opened(200);
    rig.marker(0, 9);
    let (mut received, mut acknowledged) = (44, 0);
    for seqno in 1..=9 {
        rig.item(seqno, b"12345").expect("sound");
        // Header and extras of a mutation are 55 bytes, its key with the collection's prefix 2, its
        // value 5.
        received += 62;
        for message in sent(&mut rig.consumer) {
            match message {
                Message::Request(Request {
                    command: Command::BufferAck(bytes),
                    ..
                }) => acknowledged += bytes,
                other => panic!("{other:?}"),
            }
        }
        assert!(
            received - acknowledged < 100,
            "{received} received, {acknowledged} acknowledged"
        );
    }
    assert!(acknowledged > 0);
}

#[test]
fn noop_is_answered() {
    let mut rig = opened(1_000);
    rig.take(Request::new(Vbid(0), 10_000_001, Command::Noop))
        .expect("sound");
    let expected = Response::status(Opcode::DCP_NOOP, 10_000_001, Status::SUCCESS);
    assert_eq!(sent(&mut rig.consumer), [Message::Response(expected)]);
}

#[test]
fn stream_after_rollback_or_refusal_can_be_requested_again() {
    let mut rig = requested(1_000);
    assert_eq!(
        rig.reply(Reply::Rollback(Seqno(7))).expect("sound"),
        [ConsumerEvent::Rollback {
            vb: VB,
            seqno: Seqno(7)
        }]
    );
    assert!(
        matches!(
            rig.reply(Reply::Rollback(Seqno(7))),
            Err(ConsumerError::NoSuchRequest { .. })
        ),
        "answered once"
    );
    rig.consumer
        .request_stream(VB, from_zero())
        .expect("sendable");
    rig.opaque += 1;
    let refused = Response::status(
        Opcode::DCP_STREAM_REQ,
        rig.opaque,
        Status::TEMPORARY_FAILURE,
    );
    assert_eq!(
        rig.take(refused).expect("sound"),
        [ConsumerEvent::StreamRefused {
            vb: VB,
            status: Status::TEMPORARY_FAILURE
        }]
    );
}

/// Guards against a takeover that was requested before the replica's stream was answered.
#[test]
fn answer_to_a_replaced_request_is_ignored_once() {
    let mut rig = requested(1_000);
    rig.consumer.close_stream(VB).expect("sendable");
    rig.consumer.take_over(VB, from_zero()).expect("sendable");
    let log = vec![FailoverEntry {
        uuid: VbUuid(0xabc),
        seqno: Seqno::ZERO,
    }];
    assert_eq!(
        rig.reply(Reply::StreamAccepted(log.clone()))
            .expect("it was asked"),
        []
    );
    assert!(rig.reply(Reply::StreamAccepted(log)).is_err(), "but once");
}

#[test]
fn ended_stream_applies_no_item() {
    let mut rig = opened(1_000);
    let ended = rig
        .command(Command::StreamEnd(StreamEndReason::StateChanged))
        .expect("sound");
    assert_eq!(
        ended,
        [ConsumerEvent::StreamEnded {
            vb: VB,
            reason: StreamEndReason::StateChanged
        }]
    );
    let status = Status::NOT_FOUND;
    assert_eq!(
        rig.item(1, b"late").expect("sound"),
        [ConsumerEvent::Refused { vb: VB, status }]
    );
}

#[test]
fn refused_open_closes_the_connection_and_a_refused_option_does_not() {
    let mut rig = requested(1_000);
    rig.take(Response::status(Opcode::DCP_CONTROL, 3, Status::INVALID))
        .expect("options are optional");
    let refused = rig.take(Response::status(Opcode::DCP_OPEN, 1, Status::ACCESS));
    assert!(matches!(refused, Err(ConsumerError::Refused { .. })));
}

#[test]
fn messages_are_applied_for_any_split_of_the_bytes() {
    let mut rig = opened(1_000_000);
    let mut bytes = Vec::new();
    let snapshot = SnapshotMarker::new(SnapshotType::Memory, Seqno(0), Seqno(1));
    let marker = Command::SnapshotMarker(Marker::from_snapshot(&snapshot));
    Request::new(VB, rig.opaque, marker)
        .encode(&mut bytes)
        .expect("sendable");
    let item = Item {
        seqno: Seqno(1),
        ..Item::mutation(Key::new(b"k"), Bytes::from_static(b"v"))
    };
    let message = Request::from_item(VB, rig.opaque, &item, &crate::wire::ItemFormat::default());
    message
        .expect("sendable")
        .encode(&mut bytes)
        .expect("sendable");
    for byte in bytes {
        rig.consumer
            .receive(vec![byte].into(), &mut rig.applied)
            .expect("sound");
    }
    assert_eq!(
        rig.applied.0,
        ["5 log 0xabc", "5 marker 0-1", "5 mutation k @1"]
    );
}

/// A replica in an impossible state is no reason to refuse a message: the connection is closed.
#[test]
fn internal_error_of_a_replica_closes_the_connection() {
    let mut rig = opened(1_000_000);
    rig.marker(0, 2);
    let error = rig.item(1, b"broken").expect_err("it is a bug");
    assert_eq!(
        error,
        ConsumerError::Internal {
            invariant: "C2",
            what: "a test"
        }
    );
}
