use checkpoint::{FailoverEntry, Key, Operation, SnapshotType, State, VbUuid};

use super::*;
use crate::wire::Marker;

const VB: Vbid = Vbid(5);

/// Records what is applied; refuses items with the value "refuse".
#[derive(Default)]
struct Applied(Vec<String>);

impl Replicas for Applied {
    fn adopt_failover_log(&mut self, vb: Vbid, log: FailoverLog) -> Result<(), VBucketError> {
        self.0.push(format!("{vb} log {:#x}", log.newest().uuid.0));
        Ok(())
    }

    fn apply_marker(&mut self, vb: Vbid, marker: SnapshotMarker) -> Result<(), VBucketError> {
        self.0.push(format!("{vb} marker {}-{}", marker.start, marker.end));
        Ok(())
    }

    fn apply_item(&mut self, vb: Vbid, item: Item) -> Result<(), VBucketError> {
        if item.value.as_deref() == Some(b"refuse") {
            return Err(VBucketError::WrongState { vb, state: State::Dead });
        }
        self.0.push(format!("{vb} {} {} @{}", item.operation.name(), item.key, item.seqno));
        Ok(())
    }
}

struct Rig {
    consumer: Consumer,
    applied: Applied,
    opaque: u32,
}

fn from_zero() -> ResumePoint {
    ResumePoint { uuid: VbUuid(0), seqno: Seqno(0), snapshot_start: Seqno(0), snapshot_end: Seqno(0) }
}

/// A consumer that has asked for a stream of [`VB`].
fn requested(buffer_bytes: u32) -> Rig {
    let mut consumer = Consumer::new("test", buffer_bytes).expect("a short name");
    consumer.take_output();
    consumer.request_stream(VB, from_zero()).expect("sendable");
    let request = sent(&mut consumer);
    let opaque = match &request[..] {
        [Message::Request(Request { opaque, command: Command::StreamRequest(_), .. })] => *opaque,
        other => panic!("{other:?}"),
    };
    Rig { consumer, applied: Applied::default(), opaque }
}

fn opened(buffer_bytes: u32) -> Rig {
    let mut rig = requested(buffer_bytes);
    let log = vec![FailoverEntry { uuid: VbUuid(0xabc), seqno: Seqno::ZERO }];
    let events = rig.reply(Reply::StreamAccepted(log)).expect("sound");
    assert_eq!(events, [ConsumerEvent::StreamOpened(VB)]);
    rig
}

fn sent(consumer: &mut Consumer) -> Vec<Message> {
    let mut bytes = BytesMut::from(&consumer.take_output()[..]);
    std::iter::from_fn(|| Frame::decode(&mut bytes).expect("sound"))
        .map(|frame| Message::decode(&frame).expect("sound"))
        .collect()
}

impl Rig {
    fn take(&mut self, message: impl Into<Message>) -> Result<Vec<ConsumerEvent>, ConsumerError> {
        let mut bytes = Vec::new();
        message.into().encode(&mut bytes).expect("sendable");
        self.consumer.receive(&bytes, &mut self.applied)
    }

    fn reply(&mut self, reply: Reply) -> Result<Vec<ConsumerEvent>, ConsumerError> {
        self.take(Response { opaque: self.opaque, reply })
    }

    fn command(&mut self, command: Command) -> Result<Vec<ConsumerEvent>, ConsumerError> {
        self.take(Request::new(VB, self.opaque, command))
    }

    fn marker(&mut self, start: u64, end: u64) {
        let snapshot = SnapshotMarker::new(SnapshotType::Memory, Seqno(start), Seqno(end));
        self.command(Command::SnapshotMarker(Marker::from_snapshot(&snapshot))).expect("sound");
    }

    fn item(&mut self, seqno: u64, value: &'static [u8]) -> Result<Vec<ConsumerEvent>, ConsumerError> {
        let item = Item { seqno: Seqno(seqno), ..Item::mutation(Key::new(b"k"), Bytes::from_static(value)) };
        self.take(
            Request::from_item(VB, self.opaque, &item, &crate::wire::ItemFormat::default())
                .expect("sendable"),
        )
    }
}

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
    let control = Opcode::DCP_CONTROL;
    assert_eq!(opcodes, [Opcode::DCP_OPEN, control, control, control, control, control]);
}

#[test]
fn a_stream_brings_its_log_its_markers_and_its_items() {
    let mut rig = opened(1_000_000);
    rig.marker(0, 2);
    rig.item(1, b"one").expect("sound");
    let gone = Item { seqno: Seqno(2), ..Item::new(Operation::Deletion, Key::new(b"k")) };
    rig.take(
        Request::from_item(VB, rig.opaque, &gone, &crate::wire::ItemFormat::default()).expect("sendable"),
    )
    .expect("sound");
    assert_eq!(rig.applied.0, ["5 log 0xabc", "5 marker 0-2", "5 mutation k @1", "5 deletion k @2"]);
}

#[test]
fn what_belongs_to_no_stream_ends_the_connection() {
    let mut rig = requested(1_000);
    assert!(matches!(rig.item(1, b"early"), Err(ConsumerError::NoSuchStream { .. })), "not accepted yet");
    let mut rig = opened(1_000);
    rig.opaque += 1;
    assert!(matches!(rig.item(1, b"strange"), Err(ConsumerError::NoSuchStream { .. })));
    assert_eq!(rig.applied.0.len(), 1, "nothing but the log was applied");
}

#[test]
fn what_the_replica_refuses_ends_the_connection() {
    let mut rig = opened(1_000);
    rig.marker(0, 2);
    assert!(matches!(rig.item(1, b"refuse"), Err(ConsumerError::Replica(_))));
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
                Message::Request(Request { command: Command::BufferAck(bytes), .. }) => acknowledged += bytes,
                other => panic!("{other:?}"),
            }
        }
        assert!(received - acknowledged < 100, "{received} received, {acknowledged} acknowledged");
    }
    assert!(acknowledged > 0);
}

#[test]
fn a_noop_is_answered() {
    let mut rig = opened(1_000);
    rig.take(Request::new(Vbid(0), 10_000_001, Command::Noop)).expect("sound");
    let expected = Response::status(Opcode::DCP_NOOP, 10_000_001, Status::SUCCESS);
    assert_eq!(sent(&mut rig.consumer), [Message::Response(expected)]);
}

#[test]
fn a_rollback_and_a_refusal_are_told_and_the_stream_can_be_asked_for_again() {
    let mut rig = requested(1_000);
    assert_eq!(
        rig.reply(Reply::Rollback(Seqno(7))).expect("sound"),
        [ConsumerEvent::Rollback { vb: VB, seqno: Seqno(7) }]
    );
    assert!(
        matches!(rig.reply(Reply::Rollback(Seqno(7))), Err(ConsumerError::NoSuchStream { .. })),
        "answered once"
    );
    rig.consumer.request_stream(VB, from_zero()).expect("sendable");
    rig.opaque += 1;
    let refused = Response::status(Opcode::DCP_STREAM_REQ, rig.opaque, Status::TEMPORARY_FAILURE);
    assert_eq!(
        rig.take(refused).expect("sound"),
        [ConsumerEvent::StreamRefused { vb: VB, status: Status::TEMPORARY_FAILURE }]
    );
}

#[test]
fn an_ended_stream_takes_nothing_more() {
    let mut rig = opened(1_000);
    let ended = rig.command(Command::StreamEnd(StreamEndReason::StateChanged)).expect("sound");
    assert_eq!(ended, [ConsumerEvent::StreamEnded { vb: VB, reason: StreamEndReason::StateChanged }]);
    assert!(matches!(rig.item(1, b"late"), Err(ConsumerError::NoSuchStream { .. })));
}

#[test]
fn an_open_that_is_refused_is_the_end_an_option_is_not() {
    let mut rig = requested(1_000);
    rig.take(Response::status(Opcode::DCP_CONTROL, 3, Status::INVALID)).expect("options are optional");
    let refused = rig.take(Response::status(Opcode::DCP_OPEN, 1, Status::ACCESS));
    assert!(matches!(refused, Err(ConsumerError::Refused { .. })));
}

#[test]
fn bytes_may_come_in_any_pieces() {
    let mut rig = opened(1_000_000);
    let mut bytes = Vec::new();
    let snapshot = SnapshotMarker::new(SnapshotType::Memory, Seqno(0), Seqno(1));
    let marker = Command::SnapshotMarker(Marker::from_snapshot(&snapshot));
    Request::new(VB, rig.opaque, marker).encode(&mut bytes).expect("sendable");
    let item = Item { seqno: Seqno(1), ..Item::mutation(Key::new(b"k"), Bytes::from_static(b"v")) };
    let message = Request::from_item(VB, rig.opaque, &item, &crate::wire::ItemFormat::default());
    message.expect("sendable").encode(&mut bytes).expect("sendable");
    for byte in bytes {
        rig.consumer.receive(&[byte], &mut rig.applied).expect("sound");
    }
    assert_eq!(rig.applied.0, ["5 log 0xabc", "5 marker 0-1", "5 mutation k @1"]);
}
