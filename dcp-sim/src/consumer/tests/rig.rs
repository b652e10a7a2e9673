//! Test rig: a consumer with replicas that record messages, and the producer's end of its
//! connection.

use bytes::{Bytes, BytesMut};
use lowtide_checkpoint::{
    CheckpointError, FailoverEntry, FailoverLog, Item, Key, ResumePoint, Seqno, SnapshotMarker,
    SnapshotType, State, VBucketError, VbUuid, Vbid,
};

use crate::consumer::connection::Consumer;
use crate::consumer::error::ConsumerError;
use crate::consumer::options::ConsumerOptions;
use crate::consumer::replicas::{ConsumerEvent, Replicas};
use crate::wire::{Command, Frame, Marker, Message, Opcode, Reply, Request, Response, Status};

pub(super) const VB: Vbid = Vbid(5);

/// Records the applied messages. Refuses items with the value "refuse" or "old", and finds itself in
/// an impossible state for "broken".
#[derive(Default)]
pub(super) struct Applied(pub(super) Vec<String>);

impl Replicas for Applied {
    fn adopt_failover_log(&mut self, vb: Vbid, log: FailoverLog) -> Result<(), VBucketError> {
        self.0.push(format!("{vb} log {:#x}", log.newest().uuid.0));
        Ok(())
    }

    fn apply_marker(&mut self, vb: Vbid, marker: SnapshotMarker) -> Result<(), VBucketError> {
        self.0
            .push(format!("{vb} marker {}-{}", marker.start, marker.end));
        Ok(())
    }

    fn apply_item(&mut self, vb: Vbid, item: Item) -> Result<(), VBucketError> {
        if item.value.as_deref() == Some(b"refuse") {
            return Err(VBucketError::WrongState {
                vb,
                state: State::Dead,
            });
        }
        if item.value.as_deref() == Some(b"old") {
            let source = CheckpointError::OutOfOrder {
                seqno: item.seqno,
                high: item.seqno,
            };
            return Err(VBucketError::Checkpoint { vb, source });
        }
        if item.value.as_deref() == Some(b"broken") {
            let source = CheckpointError::Internal {
                invariant: "C2",
                what: "a test",
            };
            return Err(VBucketError::Checkpoint { vb, source });
        }
        self.0.push(format!(
            "{vb} {} {} @{}",
            item.operation.name(),
            item.key,
            item.seqno
        ));
        Ok(())
    }

    fn advance(&mut self, vb: Vbid, seqno: Seqno) -> Result<(), VBucketError> {
        self.0.push(format!("{vb} advanced @{seqno}"));
        Ok(())
    }

    fn set_state(&mut self, vb: Vbid, state: State) -> Result<(), VBucketError> {
        self.0.push(format!("{vb} {state}"));
        Ok(())
    }
}

pub(super) struct Rig {
    pub(super) consumer: Consumer,
    pub(super) applied: Applied,
    pub(super) opaque: u32,
}

pub(super) fn from_zero() -> ResumePoint {
    ResumePoint {
        uuid: VbUuid(0),
        seqno: Seqno(0),
        snapshot_start: Seqno(0),
        snapshot_end: Seqno(0),
    }
}

/// Consumer with a pending stream request for [`VB`].
pub(super) fn requested(buffer_bytes: u32) -> Rig {
    let options = ConsumerOptions::new().with_buffer_bytes(buffer_bytes);
    let mut consumer = Consumer::new("test", options).expect("a short name");
    consumer.take_output();
    consumer.request_stream(VB, from_zero()).expect("sendable");
    let request = sent(&mut consumer);
    let opaque = match &request[..] {
        [
            Message::Request(Request {
                opaque,
                command: Command::StreamRequest(_),
                ..
            }),
        ] => *opaque,
        other => panic!("{other:?}"),
    };
    Rig {
        consumer,
        applied: Applied::default(),
        opaque,
    }
}

pub(super) fn opened(buffer_bytes: u32) -> Rig {
    let mut rig = requested(buffer_bytes);
    let log = vec![FailoverEntry {
        uuid: VbUuid(0xabc),
        seqno: Seqno::ZERO,
    }];
    let events = rig.reply(Reply::StreamAccepted(log)).expect("sound");
    assert_eq!(events, [ConsumerEvent::StreamOpened(VB)]);
    rig
}

pub(super) fn sent(consumer: &mut Consumer) -> Vec<Message> {
    let mut bytes = BytesMut::from(&consumer.take_output()[..]);
    std::iter::from_fn(|| Frame::decode(&mut bytes).expect("sound"))
        .map(|frame| Message::decode(&frame).expect("sound"))
        .collect()
}

impl Rig {
    pub(super) fn take(
        &mut self,
        message: impl Into<Message>,
    ) -> Result<Vec<ConsumerEvent>, ConsumerError> {
        let mut bytes = Vec::new();
        message.into().encode(&mut bytes).expect("sendable");
        self.consumer.receive(bytes.into(), &mut self.applied)
    }

    pub(super) fn reply(&mut self, reply: Reply) -> Result<Vec<ConsumerEvent>, ConsumerError> {
        self.take(Response {
            opaque: self.opaque,
            reply,
        })
    }

    pub(super) fn command(
        &mut self,
        command: Command,
    ) -> Result<Vec<ConsumerEvent>, ConsumerError> {
        self.take(Request::new(VB, self.opaque, command))
    }

    pub(super) fn marker(&mut self, start: u64, end: u64) {
        let snapshot = SnapshotMarker::new(SnapshotType::Memory, Seqno(start), Seqno(end));
        self.command(Command::SnapshotMarker(Marker::from_snapshot(&snapshot)))
            .expect("sound");
    }

    pub(super) fn item(
        &mut self,
        seqno: u64,
        value: &'static [u8],
    ) -> Result<Vec<ConsumerEvent>, ConsumerError> {
        let item = Item {
            seqno: Seqno(seqno),
            ..Item::mutation(Key::new(b"k"), Bytes::from_static(value))
        };
        self.take(
            Request::from_item(VB, self.opaque, &item, &crate::wire::ItemFormat::default())
                .expect("sendable"),
        )
    }
}

/// Returns the answers with their statuses, without acknowledged bytes.
pub(super) fn answers(rig: &mut Rig) -> Vec<(Opcode, Status)> {
    let answer = |message| match message {
        Message::Response(response) => Some((response.reply.opcode(), response.reply.status())),
        Message::Request(_) => None,
    };
    sent(&mut rig.consumer)
        .into_iter()
        .filter_map(answer)
        .collect()
}

/// Grants the option for exact statuses.
pub(super) fn grant_v7(rig: &mut Rig) {
    let opaque = rig.consumer.granted.v7_statuses_asked;
    rig.take(Response::status(
        Opcode::DCP_CONTROL,
        opaque,
        Status::SUCCESS,
    ))
    .expect("sound");
}
