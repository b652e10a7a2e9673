//! Test rig: a vBucket with its store, and the consumer's end of a connection to it.

use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use lowtide_checkpoint::{
    AfterStop, CheckpointConfig, FailoverLog, Item, Key, ReadLimit, Seqno, State, VBucket,
    VBucketState, VbUuid, Vbid,
};
use lowtide_persistence::couchstore::{Couchstore, CouchstoreConfig};
use lowtide_persistence::disk::MemoryDisk;
use lowtide_persistence::{Engine, Flusher};

use crate::producer::collections::Collections;
use crate::producer::connection::Producer;
use crate::producer::error::ProducerError;
use crate::producer::partitions::Partitions;
use crate::wire::{
    Command, Control, Frame, Marker, MarkerFlags, Message, Open, OpenFlags, Request, Status,
    StreamRequest, StreamRequestFlags,
};

pub(super) const VB: Vbid = Vbid(5);

pub(super) const UUID: VbUuid = VbUuid(0xabc);

/// A vBucket with its store, and the consumer's end of a connection to it.
pub(super) struct Rig {
    pub(super) node: Home,
    pub(super) producer: Producer,
}

/// The node as a producer sees it.
pub(super) struct Home {
    pub(super) vbucket: VBucket,
    pub(super) engine: Couchstore,
    pub(super) flusher: Flusher,
    pub(super) collections: Option<Collections>,
    pub(super) is_full: bool,
    /// The vBucket was removed.
    pub(super) is_gone: bool,
}

impl Partitions for Home {
    fn vbucket(&self, vb: Vbid) -> Option<&VBucket> {
        (vb == VB && !self.is_gone).then_some(&self.vbucket)
    }

    fn purge_seqno(&self, _vb: Vbid) -> Seqno {
        self.engine.info(VB).expect("there").purge
    }

    fn persisted_seqno(&self, _vb: Vbid) -> Seqno {
        self.flusher.persisted_seqno(VB).expect("attached")
    }

    fn collections(&self, _vb: Vbid) -> Option<&Collections> {
        self.collections.as_ref()
    }

    fn has_memory(&self) -> bool {
        !self.is_full
    }
}

impl Home {
    pub(super) fn new(state: State, flush_limit: ReadLimit) -> Self {
        let disk = MemoryDisk::new();
        lowtide_persistence::disk::Disk::create_dir(&disk, Path::new("/store"))
            .expect("an empty disk");
        let opened = Couchstore::open(
            Arc::new(disk),
            Path::new("/store"),
            CouchstoreConfig::default(),
        );
        let engine = opened.expect("a sound store").0;
        engine.create(VB).expect("an empty store");
        let state = VBucketState::new(state, FailoverLog::new(UUID));
        let config = CheckpointConfig::persistent();
        let vbucket = VBucket::new(VB, &state, config);
        let mut flusher = Flusher::new(flush_limit);
        flusher.attach(VB, state, Seqno::ZERO);
        Self {
            vbucket,
            engine,
            flusher,
            collections: None,
            is_full: false,
            is_gone: false,
        }
    }

    /// Flushes once, and expels items that no cursor needs in memory.
    pub(super) fn flush(&mut self) {
        let group = self.flusher.begin([&self.vbucket]).expect("no other flush");
        let flushed = self.flusher.finish(group.commit(&self.engine, 1));
        assert!(flushed.iter().all(|flushed| flushed.result.is_ok()));
        self.vbucket.manager().expel();
    }

    /// Restarts the node; items that were not flushed are lost.
    pub(super) fn restart(&mut self) {
        let (high, state) = (
            self.flusher.persisted_seqno(VB),
            self.flusher.persisted_state(VB).cloned(),
        );
        let (high, state) = (high.expect("attached"), state.expect("attached"));
        let config = CheckpointConfig::persistent();
        let after = AfterStop::Unclean { uuid: UUID };
        let vbucket = VBucket::recover(VB, &state, high, state.state, after, config);
        self.vbucket = vbucket.expect("in its role");
        self.flusher.attach(VB, state, high);
    }
}

pub(super) fn rig() -> Rig {
    rig_of(State::Active, "consumer", OpenFlags::PRODUCER)
}

pub(super) fn rig_of(state: State, name: &'static str, flags: OpenFlags) -> Rig {
    let mut rig = Rig {
        node: Home::new(state, ReadLimit::NONE),
        producer: Producer::new("test"),
    };
    let open = Open {
        flags,
        name: Bytes::from_static(name.as_bytes()),
        options: Bytes::new(),
    };
    assert_eq!(rig.ask(Vbid(0), Command::Open(open)), [Status::SUCCESS]);
    assert_eq!(rig.control("enable_noop", "true"), [Status::SUCCESS]);
    rig
}

pub(super) fn request(start: u64, end: u64, snapshot: (u64, u64)) -> StreamRequest {
    StreamRequest {
        flags: StreamRequestFlags::NONE,
        start: Seqno(start),
        end: Seqno(end),
        uuid: UUID,
        snapshot_start: Seqno(snapshot.0),
        snapshot_end: Seqno(snapshot.1),
        filter: Bytes::new(),
    }
}

impl Rig {
    pub(super) fn set(&mut self, key: &str) {
        let item = Item::mutation(Key::new(key.as_bytes()), Bytes::from_static(b"value"));
        self.node.vbucket.write(item, 1).expect("active");
        self.producer.notify(VB);
    }

    pub(super) fn tell(&mut self, vb: Vbid, command: Command) -> Result<(), ProducerError> {
        let mut bytes = Vec::new();
        Request::new(vb, 77, command)
            .encode(&mut bytes)
            .expect("sendable");
        self.producer.receive(&bytes, &self.node)
    }

    /// Sends a request and returns the statuses of the answers.
    pub(super) fn ask(&mut self, vb: Vbid, command: Command) -> Vec<Status> {
        self.tell(vb, command).expect("the connection stays");
        let messages = self.poll(0);
        messages
            .iter()
            .filter_map(|message| match message {
                Message::Response(response) => Some(response.reply.status()),
                Message::Request(_) => None,
            })
            .collect()
    }

    /// Number of cursors without the flusher's.
    pub(super) fn cursors(&self) -> usize {
        self.node.vbucket.manager().cursors().len() - 1
    }

    pub(super) fn control(&mut self, key: &'static str, value: &'static str) -> Vec<Status> {
        let control = Control {
            key: Bytes::from_static(key.as_bytes()),
            value: Bytes::from_static(value.as_bytes()),
        };
        self.ask(Vbid(0), Command::Control(control))
    }

    pub(super) fn poll(&mut self, budget_bytes: usize) -> Vec<Message> {
        let bytes = self
            .producer
            .poll(&self.node, budget_bytes)
            .expect("the connection stays");
        let mut bytes = BytesMut::from(&bytes[..]);
        std::iter::from_fn(|| Frame::decode(&mut bytes).expect("sound"))
            .map(|frame| Message::decode(&frame).expect("sound"))
            .collect()
    }

    /// Runs the backfill steps of the producer.
    fn run_backfills(&mut self) {
        for step in self.producer.take_backfills() {
            let outcome = step.run(&self.node.engine);
            self.producer
                .backfilled(outcome, &self.node)
                .expect("the connection stays");
        }
    }

    /// Short form of a message.
    pub(super) fn sent(&mut self) -> Vec<String> {
        let mut sent = Vec::new();
        loop {
            while self.producer.has_more() {
                sent.extend(self.poll(usize::MAX).iter().map(in_short));
            }
            self.run_backfills();
            if !self.producer.has_more() {
                return sent;
            }
        }
    }
}

pub(super) fn in_short(message: &Message) -> String {
    match message {
        Message::Response(response) => format!("response {:#04x}", response.reply.status().0),
        Message::Request(request) => match &request.command {
            Command::SnapshotMarker(marker) => {
                let Marker { start, end, .. } = marker;
                let goes_on = if marker.to_snapshot().extend {
                    " on"
                } else {
                    ""
                };
                let disk = if marker.flags.contains(MarkerFlags::DISK) {
                    "disk "
                } else {
                    ""
                };
                let merged = if marker.flags.contains(MarkerFlags::MAY_DUPLICATE_KEYS) {
                    "repeating "
                } else {
                    ""
                };
                format!("{disk}{merged}marker {start}-{end}{goes_on}")
            }
            Command::Mutation(mutation) => format!("mutation @{}", mutation.seqno),
            Command::Deletion(deletion) => format!("deletion @{}", deletion.seqno),
            Command::Prepare(prepare) => format!("prepare @{}", prepare.seqno),
            Command::Commit(commit) => format!("commit @{}", commit.seqno),
            Command::Abort(abort) => format!("abort @{}", abort.seqno),
            Command::SystemEvent(event) => format!("system-event @{}", event.seqno),
            Command::SetVBucketState(state) => format!("set {state}"),
            Command::SeqnoAdvanced(seqno) => format!("advanced @{seqno}"),
            Command::StreamEnd(reason) => format!("end {}", reason.name()),
            command => format!("{}", command.opcode()),
        },
    }
}
