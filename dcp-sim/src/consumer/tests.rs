use bytes::Bytes;
use lowtide_checkpoint::{
    FailoverEntry, Item, Key, Operation, Seqno, SnapshotMarker, SnapshotType, State, VbUuid, Vbid,
};

use super::connection::Consumer;
use super::error::ConsumerError;
use super::replicas::ConsumerEvent;
use crate::wire::{
    Command, Frame, Head, Marker, MarkerFlags, Message, Opcode, Reply, Request, Response, Status,
    StreamEndReason,
};
use rig::{Rig, VB, answers, from_zero, grant_v7, opened, requested, sent};

mod rig;

#[test]
fn it_opens_the_connection_and_negotiates_before_anything_else() {
    let mut consumer = Consumer::new("replica", 1_000).expect("a short name");
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
fn a_stream_brings_its_log_its_markers_and_its_items() {
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
fn what_belongs_to_no_stream_is_answered_and_left() {
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

/// Guards S15: what breaks the snapshot is answered, and the stream goes on.
#[test]
fn what_the_replica_refuses_is_answered_and_the_stream_goes_on() {
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

/// Found by seed 2367 of the simulator: a vBucket that was dead for a while took what came of a stream afterwards, without what
/// had come meanwhile.
#[test]
fn a_stream_of_which_something_was_lost_does_not_go_on() {
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

/// Guards S15 against commands of other times: each is answered, and the next frame is sound.
#[test]
fn commands_nobody_knows_are_refused() {
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

/// Guards the consumer's part in a takeover: a marker is answered when its snapshot is whole, a state when it is set.
#[test]
fn a_takeover_is_answered_step_by_step() {
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

/// Guards S17: what is durable is told once, and only to who asked.
#[test]
fn durable_prepares_are_acknowledged_once() {
    let mut rig = opened(1_000);
    let acknowledged = |rig: &mut Rig, seqno| {
        rig.consumer.prepared(VB, Seqno(seqno)).expect("sendable");
        sent(&mut rig.consumer).len()
    };
    assert_eq!(acknowledged(&mut rig, 4), 0, "nobody wants to know");
    let opaque = rig.consumer.granted.asked_sync_writes();
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
fn a_dead_connection_is_noticed() {
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
fn half_the_buffer_is_acknowledged_with_every_byte_that_counts() {
    let mut rig = opened(200);
    rig.marker(0, 9);
    let (mut received, mut acknowledged) = (44, 0);
    for seqno in 1..=9 {
        rig.item(seqno, b"12345").expect("sound");
        // Header and extras of a mutation are 55 bytes, its key with the collection's prefix 2, its value 5.
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
fn a_noop_is_answered() {
    let mut rig = opened(1_000);
    rig.take(Request::new(Vbid(0), 10_000_001, Command::Noop))
        .expect("sound");
    let expected = Response::status(Opcode::DCP_NOOP, 10_000_001, Status::SUCCESS);
    assert_eq!(sent(&mut rig.consumer), [Message::Response(expected)]);
}

#[test]
fn a_rollback_and_a_refusal_are_told_and_the_stream_can_be_asked_for_again() {
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

/// Found by a takeover that was asked for before the replica's stream was answered.
#[test]
fn the_answer_to_a_request_that_was_given_up_is_nothing() {
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
fn an_ended_stream_takes_nothing_more() {
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
fn an_open_that_is_refused_is_the_end_an_option_is_not() {
    let mut rig = requested(1_000);
    rig.take(Response::status(Opcode::DCP_CONTROL, 3, Status::INVALID))
        .expect("options are optional");
    let refused = rig.take(Response::status(Opcode::DCP_OPEN, 1, Status::ACCESS));
    assert!(matches!(refused, Err(ConsumerError::Refused { .. })));
}

#[test]
fn bytes_may_come_in_any_pieces() {
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
