//! The client's side, which trusts nothing: it checks every rule that a client may rely on, as the
//! bytes arrive.

use std::collections::{BTreeSet, VecDeque};

use bytes::{Bytes, BytesMut};
use dcp_sim::producer::{BackfillOutcome, BackfillStep, Producer};
use dcp_sim::wire::{
    Command, Control, Frame, KeyForm, Marker, MarkerFlags, Message, Open, OpenFlags, Reply,
    Request, Status, StreamRequest, StreamRequestFlags, flow_control_bytes,
};
use lowtide_checkpoint::{Key, Seqno, Vbid};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::source::{Contents, Source, UUID, VB};

#[derive(Debug)]
pub(crate) struct Client {
    buffer_bytes: u32,
    sync_writes: bool,
    /// `true` if it knows no collections, and sees the default one alone.
    is_bare: bool,
    producer: Producer,
    steps: VecDeque<BackfillStep>,
    outcomes: VecDeque<BackfillOutcome>,
    wire: VecDeque<u8>,
    input: BytesMut,
    connections: u32,
    documents: Contents,
    /// Seqno up to which it has everything.
    whole: Seqno,
    /// Last seqno that it has.
    seqno: Seqno,
    /// Range of the last marker that was followed by an item.
    snapshot: (Seqno, Seqno),
    /// Marker of the current snapshot.
    marker: Option<Marker>,
    /// Keys of the current snapshot that it has received.
    keys: BTreeSet<(Key, bool)>,
    /// Start that the first marker of this connection must have.
    first_start: Option<Seqno>,
    unacknowledged_bytes: u32,
}

impl Client {
    pub(crate) fn new(buffer_bytes: u32, sync_writes: bool) -> Self {
        Self {
            buffer_bytes,
            sync_writes,
            is_bare: false,
            producer: Producer::new("none"),
            steps: VecDeque::new(),
            outcomes: VecDeque::new(),
            wire: VecDeque::new(),
            input: BytesMut::new(),
            connections: 0,
            documents: Contents::new(),
            whole: Seqno::ZERO,
            seqno: Seqno::ZERO,
            snapshot: (Seqno::ZERO, Seqno::ZERO),
            marker: None,
            keys: BTreeSet::new(),
            first_start: None,
            unacknowledged_bytes: 0,
        }
    }

    /// Returns a client that did not negotiate Collections.
    pub(crate) fn bare(buffer_bytes: u32) -> Self {
        Self {
            is_bare: true,
            ..Self::new(buffer_bytes, false)
        }
    }

    /// Checks that it has everything of the history that it may see.
    pub(crate) fn check_end(&self, source: &Source) -> Result<(), TestCaseError> {
        let high = source.high();
        if self.is_bare {
            // It hears nothing of items that it does not see.
            prop_assert_eq!(
                self.seqno,
                self.whole,
                "it is left inside {:?}",
                self.snapshot
            );
        } else {
            prop_assert_eq!(self.seqno, high, "everything comes in the end");
        }
        prop_assert_eq!(&self.documents, &self.documents_at(high, source));
        Ok(())
    }

    /// Returns its documents of the history up to `seqno`.
    fn documents_at(&self, seqno: Seqno, source: &Source) -> Contents {
        let mut documents = source.documents_at(seqno);
        documents.retain(|key, _| !self.is_bare || key.collection() == 0);
        documents
    }

    /// Opens a new connection, which resumes at its seqno; the bytes on the way on the old one are
    /// lost.
    pub(crate) fn connect(&mut self, source: &mut Source) {
        self.producer.close(source);
        self.connections += 1;
        let name = format!("connection {}", self.connections);
        self.producer = if self.is_bare {
            Producer::without_collections(&name)
        } else {
            Producer::new(&name)
        };
        (self.wire, self.input) = (VecDeque::new(), BytesMut::new());
        // Steps of the lost connection may still be running; their outcomes are dropped.
        (self.steps, self.outcomes) = (VecDeque::new(), VecDeque::new());
        self.unacknowledged_bytes = 0;
        let buffer = self.buffer_bytes.to_string();
        let mut options = vec![
            ("enable_noop", "true"),
            ("connection_buffer_size", buffer.as_str()),
        ];
        options.extend(self.sync_writes.then_some(("enable_sync_writes", "true")));
        let open = Open {
            flags: OpenFlags::PRODUCER,
            name: Bytes::from_static(b"model"),
            options: Bytes::new(),
        };
        let controls = options.into_iter().map(|(key, value)| {
            let [key, value] = [key, value].map(|text| Bytes::copy_from_slice(text.as_bytes()));
            Command::Control(Control { key, value })
        });
        for command in [Command::Open(open)].into_iter().chain(controls) {
            self.tell(command, source);
        }
        self.request(source);
    }

    fn request(&mut self, source: &Source) {
        let (snapshot_start, snapshot_end) = if self.seqno > self.whole {
            self.snapshot
        } else {
            (self.seqno, self.seqno)
        };
        self.marker = None;
        self.first_start = Some(snapshot_start);
        let wanted = StreamRequest {
            flags: StreamRequestFlags::NONE,
            start: self.seqno,
            end: Seqno::MAX,
            uuid: UUID,
            snapshot_start,
            snapshot_end,
            filter: Bytes::new(),
        };
        self.tell(Command::StreamRequest(wanted), source);
    }

    fn tell(&mut self, command: Command, source: &Source) {
        let vb = if matches!(command, Command::StreamRequest(_)) {
            VB
        } else {
            Vbid(0)
        };
        let mut bytes = Vec::new();
        Request::new(vb, self.connections, command)
            .encode(&mut bytes)
            .expect("sendable");
        self.producer.receive(&bytes, source).expect("sound");
    }

    pub(crate) fn notify(&mut self) {
        self.producer.notify(VB);
    }

    pub(crate) fn poll(&mut self, source: &Source, bytes: usize) {
        self.wire.extend(
            self.producer
                .poll(source, bytes)
                .expect("the connection stays"),
        );
        self.steps.extend(self.producer.take_backfills());
    }

    pub(crate) fn run_step(&mut self, source: &Source) {
        if let Some(step) = self.steps.pop_front() {
            self.outcomes.push_back(step.run(&source.engine));
        }
    }

    pub(crate) fn outcome(&mut self, source: &Source) {
        if let Some(outcome) = self.outcomes.pop_front() {
            self.producer
                .backfilled(outcome, source)
                .expect("the connection stays");
            self.steps.extend(self.producer.take_backfills());
        }
    }

    pub(crate) fn acknowledge(&mut self, source: &Source) {
        let bytes = std::mem::take(&mut self.unacknowledged_bytes);
        self.tell(Command::BufferAck(bytes), source);
    }

    pub(crate) fn deliver(&mut self, source: &Source, bytes: usize) -> Result<(), TestCaseError> {
        let count = bytes.min(self.wire.len());
        let piece: Vec<_> = self.wire.drain(..count).collect();
        self.input.extend_from_slice(&piece);
        while let Some(frame) = Frame::decode(&mut self.input).expect("sound") {
            // At most one message exceeds the buffer.
            let counted = flow_control_bytes(&frame);
            prop_assert!(
                counted == 0 || self.unacknowledged_bytes < self.buffer_bytes,
                "S4"
            );
            self.unacknowledged_bytes += counted;
            match Message::decode(&frame).expect("sound") {
                Message::Response(response) => match response.reply {
                    // The replica lacks the rest of the snapshot, so the client drops its part.
                    Reply::Rollback(seqno) => {
                        prop_assert!(!source.is_active() && seqno == self.snapshot.0);
                        prop_assert!(self.whole <= seqno && seqno <= self.whole.next(), "S28");
                        (self.seqno, self.documents) =
                            (self.whole, self.documents_at(self.whole, source));
                        self.request(source);
                    }
                    reply => prop_assert_eq!(reply.status(), Status::SUCCESS),
                },
                Message::Request(request) => {
                    prop_assert_eq!((request.vb, request.opaque), (VB, self.connections));
                    self.take(&request, source)?;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, request: &Request, source: &Source) -> Result<(), TestCaseError> {
        match &request.command {
            Command::SnapshotMarker(marker) => return self.begin(marker),
            Command::SeqnoAdvanced(seqno) => return self.come_to(*seqno, source),
            Command::StreamEnd(reason) => {
                prop_assert!(false, "the stream ended: {}", reason.name())
            }
            Command::Prepare(_) | Command::Commit(_) => prop_assert!(self.sync_writes, "S17"),
            _ => {}
        }
        let keys = if self.is_bare {
            KeyForm::Bare
        } else {
            KeyForm::Collections
        };
        let item = request.to_item(keys).expect("an item");
        let is_prepare = matches!(request.command, Command::Prepare(_));
        let is_new = self.keys.insert((item.key.clone(), is_prepare));
        let marker = self
            .marker
            .as_ref()
            .expect("the first message is a marker: S1");
        prop_assert!(
            is_new || marker.flags.contains(MarkerFlags::MAY_DUPLICATE_KEYS),
            "{} twice",
            item.key
        );
        if !is_prepare {
            // The value of a commit is that of its prepare, which this client does not keep: the
            // list has it.
            let value = match &request.command {
                Command::Commit(_) => source
                    .documents_at(item.seqno)
                    .get(&item.key)
                    .and_then(|(_, value)| value.clone()),
                _ => item.value.filter(|_| !item.deleted),
            };
            self.documents.insert(item.key, (item.seqno, value));
        }
        self.come_to(item.seqno, source)
    }

    fn begin(&mut self, marker: &Marker) -> Result<(), TestCaseError> {
        match (self.first_start.take(), &self.marker) {
            (Some(first), _) => prop_assert_eq!(marker.start, first, "S1"),
            (None, Some(before)) if self.whole == before.end => {
                prop_assert!(marker.start > before.end, "S1")
            }
            // The sender lost its cursor in the middle of a snapshot that it was receiving itself.
            (None, Some(before)) => prop_assert_eq!(marker.start, before.start, "S28"),
            (None, None) => prop_assert!(false, "S1"),
        }
        prop_assert!(marker.end > self.seqno, "a snapshot brings something");
        self.marker = Some(*marker);
        self.keys.clear();
        Ok(())
    }

    fn come_to(&mut self, seqno: Seqno, source: &Source) -> Result<(), TestCaseError> {
        let marker = self
            .marker
            .as_ref()
            .expect("the first message is a marker: S1");
        prop_assert!(seqno > self.seqno, "S2: {} after {}", seqno, self.seqno);
        prop_assert!(
            (marker.start..=marker.end).contains(&seqno),
            "S2: {} in {:?}",
            seqno,
            marker
        );
        (self.seqno, self.snapshot) = (seqno, (marker.start, marker.end));
        if seqno == marker.end {
            self.whole = seqno;
            prop_assert_eq!(
                &self.documents,
                &self.documents_at(seqno, source),
                "at {}",
                seqno
            );
        }
        Ok(())
    }

    /// Runs until nothing is left to do.
    pub(crate) fn settle(&mut self, source: &Source) -> Result<(), TestCaseError> {
        loop {
            self.acknowledge(source);
            self.poll(source, 1 << 20);
            while !self.steps.is_empty() || !self.outcomes.is_empty() {
                self.run_step(source);
                self.outcome(source);
            }
            self.deliver(source, usize::MAX)?;
            if !self.producer.has_more() && self.unacknowledged_bytes == 0 {
                return Ok(());
            }
        }
    }
}
