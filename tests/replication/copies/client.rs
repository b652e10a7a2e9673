//! A client as simple as the protocol allows.
//!
//! On a rollback it goes to the last seqno where it was whole, at or below the seqno of the
//! rollback.

use bytes::{Bytes, BytesMut};
use dcp_sim::producer::Producer;
use dcp_sim::wire::{
    Command, Control, Frame, Marker, Message, Open, OpenFlags, Reply, Request, StreamRequest,
    StreamRequestFlags,
};
use lowtide_checkpoint::{FailoverEntry, Seqno, VbUuid, Vbid};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::copy::{Contents, Copy, UUID, VB};

pub(crate) struct Client {
    /// Number of the copy that it follows, and the stream.
    source: Option<(usize, Producer)>,
    /// Breaks of that copy's history when the stream began.
    seen_breaks: u32,
    input: BytesMut,
    connections: u32,
    log: Vec<FailoverEntry>,
    seqno: Seqno,
    /// Range of the last marker that was followed by an item.
    snapshot: (Seqno, Seqno),
    marker: Option<Marker>,
    documents: Contents,
    /// Contents at every seqno where the client was whole.
    whole: Vec<(Seqno, Contents)>,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self {
            source: None,
            seen_breaks: 0,
            input: BytesMut::new(),
            connections: 0,
            log: Vec::new(),
            seqno: Seqno::ZERO,
            snapshot: (Seqno::ZERO, Seqno::ZERO),
            marker: None,
            documents: Contents::new(),
            whole: vec![(Seqno::ZERO, Contents::new())],
        }
    }

    pub(crate) fn documents(&self) -> &Contents {
        &self.documents
    }

    /// Returns the branch that its seqno is on.
    fn uuid(&self) -> VbUuid {
        self.log
            .iter()
            .find(|entry| entry.seqno <= self.seqno)
            .map_or(UUID, |entry| entry.uuid)
    }

    pub(crate) fn resume(&mut self, copy: usize, copies: &mut [Copy]) {
        self.leave(copies);
        self.connections += 1;
        let mut producer = Producer::new(&format!("client {}", self.connections));
        let open = Open {
            flags: OpenFlags::PRODUCER,
            name: Bytes::from_static(b"client"),
            options: Bytes::new(),
        };
        let noop = Control {
            key: Bytes::from_static(b"enable_noop"),
            value: Bytes::from_static(b"true"),
        };
        let is_whole = self.seqno == self.snapshot.1;
        let snapshot = if is_whole {
            (self.seqno, self.seqno)
        } else {
            self.snapshot
        };
        let wanted = StreamRequest {
            flags: StreamRequestFlags::NONE,
            start: self.seqno,
            end: Seqno::MAX,
            uuid: self.uuid(),
            snapshot_start: snapshot.0,
            snapshot_end: snapshot.1,
            filter: Bytes::new(),
        };
        let requests = [
            Command::Open(open),
            Command::Control(noop),
            Command::StreamRequest(wanted),
        ];
        for (vb, command) in [Vbid(0), Vbid(0), VB].into_iter().zip(requests) {
            let mut bytes = Vec::new();
            Request::new(vb, self.connections, command)
                .encode(&mut bytes)
                .expect("sendable");
            producer
                .receive(&bytes, copies[copy].partitions())
                .expect("sound");
        }
        (self.marker, self.input) = (None, BytesMut::new());
        self.source = Some((copy, producer));
        self.seen_breaks = copies[copy].breaks();
    }

    fn leave(&mut self, copies: &[Copy]) {
        if let Some((copy, mut producer)) = self.source.take() {
            producer.close(copies[copy].partitions());
        }
    }

    /// Delivers up to `messages` messages.
    pub(crate) fn read(
        &mut self,
        copies: &mut [Copy],
        messages: usize,
    ) -> Result<(), TestCaseError> {
        for _ in 0..messages {
            let Some((copy, producer)) = &mut self.source else {
                return Ok(());
            };
            let (copy, from) = (*copy, &copies[*copy]);
            if self.seen_breaks != from.breaks() {
                self.leave(copies);
                return Ok(());
            }
            producer.notify(VB);
            let mut bytes = producer
                .poll(from.partitions(), 1)
                .expect("the connection stays");
            for step in producer.take_backfills() {
                producer
                    .backfilled(step.run(from.engine()), from.partitions())
                    .expect("the connection stays");
            }
            if bytes.is_empty() {
                bytes = producer
                    .poll(from.partitions(), 1)
                    .expect("the connection stays");
            }
            if bytes.is_empty() && !producer.has_more() {
                return Ok(());
            }
            self.input.extend_from_slice(&bytes);
            while let Some(frame) = Frame::decode(&mut self.input).expect("sound") {
                match Message::decode(&frame).expect("sound") {
                    Message::Response(response) => match response.reply {
                        Reply::StreamAccepted(log) => self.log = log,
                        Reply::Rollback(seqno) => {
                            self.resume_from(seqno);
                            self.resume(copy, copies);
                            break;
                        }
                        _ => {}
                    },
                    Message::Request(request) => {
                        if matches!(request.command, Command::StreamEnd(_)) {
                            self.leave(copies);
                            break;
                        }
                        self.take(&request)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn resume_from(&mut self, seqno: Seqno) {
        self.whole.retain(|&(whole, _)| whole <= seqno);
        let (seqno, documents) = self.whole.last().cloned().expect("it was whole at 0");
        (self.seqno, self.snapshot, self.documents) = (seqno, (seqno, seqno), documents);
    }

    fn take(&mut self, request: &Request) -> Result<(), TestCaseError> {
        if let Command::SnapshotMarker(marker) = &request.command {
            self.marker = Some(*marker);
            return Ok(());
        }
        let item = request
            .to_item(dcp_sim::wire::KeyForm::Collections)
            .expect("an item");
        let marker = self.marker.expect("the first message is a marker: S1");
        prop_assert!(
            item.seqno > self.seqno && (marker.start..=marker.end).contains(&item.seqno),
            "S2"
        );
        (self.seqno, self.snapshot) = (item.seqno, (marker.start, marker.end));
        self.documents
            .insert(item.key, (item.seqno, item.value.filter(|_| !item.deleted)));
        if item.seqno == marker.end {
            self.whole.push((item.seqno, self.documents.clone()));
        }
        Ok(())
    }

    /// Follows the active until nothing is left to do.
    pub(crate) fn settle(
        &mut self,
        active: usize,
        copies: &mut [Copy],
    ) -> Result<(), TestCaseError> {
        self.resume(active, copies);
        self.read(copies, 100_000)?;
        prop_assert!(self.source.is_some(), "the stream stays");
        Ok(())
    }
}
