use std::path::Path;
use std::sync::Arc;

use bytes::BytesMut;
use lowtide_checkpoint::{
    AfterStop, CheckpointConfig, FailoverEntry, FailoverLog, Item, Key, ReadLimit, SnapshotType,
    State, VBucketState, VbUuid,
};

use lowtide_persistence::couchstore::{Couchstore, CouchstoreConfig};
use lowtide_persistence::disk::MemoryDisk;
use lowtide_persistence::{Engine, Flusher};

use super::*;
use crate::wire::{
    Control, Marker, MarkerFlags, Open, OpenFlags, Reply, Status, StreamRequest, StreamRequestFlags,
};

mod backfill;
mod bare;
mod connection;
mod filters;
mod snapshots;
mod takeover;
mod unseen;
mod visible;

const VB: Vbid = Vbid(5);
const UUID: VbUuid = VbUuid(0xabc);

/// One vBucket with its store, and the consumer's end of a connection to it.
struct Rig {
    node: Home,
    producer: Producer,
}

/// What a producer sees of its node.
struct Home {
    vbucket: VBucket,
    engine: Couchstore,
    flusher: Flusher,
    collections: Option<Collections>,
    is_full: bool,
}

impl Partitions for Home {
    fn vbucket(&self, vb: Vbid) -> Option<&VBucket> {
        (vb == VB).then_some(&self.vbucket)
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
    fn new(state: State, flush_limit: ReadLimit) -> Self {
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
        let config = CheckpointConfig {
            persistence: true,
            ..CheckpointConfig::default()
        };
        let vbucket = VBucket::new(VB, &state, config);
        let mut flusher = Flusher::new(flush_limit);
        flusher.attach(VB, state, Seqno::ZERO);
        Self {
            vbucket,
            engine,
            flusher,
            collections: None,
            is_full: false,
        }
    }

    /// One flush; whatever nobody needs in memory any more is given up.
    fn flush(&mut self) {
        let group = self.flusher.begin([&self.vbucket]).expect("no other flush");
        let flushed = self.flusher.finish(group.commit(&self.engine, 1));
        assert!(flushed.iter().all(|flushed| flushed.result.is_ok()));
        self.vbucket.manager().expel();
    }

    /// What was not flushed is lost.
    fn restart(&mut self) {
        let (high, state) = (
            self.flusher.persisted_seqno(VB),
            self.flusher.persisted_state(VB).cloned(),
        );
        let (high, state) = (high.expect("attached"), state.expect("attached"));
        let config = CheckpointConfig {
            persistence: true,
            ..CheckpointConfig::default()
        };
        let after = AfterStop::Unclean { uuid: UUID };
        let vbucket = VBucket::recover(VB, &state, high, state.state, after, config);
        self.vbucket = vbucket.expect("in its role");
        self.flusher.attach(VB, state, high);
    }
}

fn rig() -> Rig {
    rig_of(State::Active, "consumer", OpenFlags::PRODUCER)
}

fn rig_of(state: State, name: &'static str, flags: OpenFlags) -> Rig {
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

fn request(start: u64, end: u64, snapshot: (u64, u64)) -> StreamRequest {
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
    fn set(&mut self, key: &str) {
        let item = Item::mutation(Key::new(key.as_bytes()), Bytes::from_static(b"value"));
        self.node.vbucket.write(item, 1).expect("active");
        self.producer.notify(VB);
    }

    fn tell(&mut self, vb: Vbid, command: Command) -> Result<(), ProducerError> {
        let mut bytes = Vec::new();
        Request::new(vb, 77, command)
            .encode(&mut bytes)
            .expect("sendable");
        self.producer.receive(&bytes, &self.node)
    }

    /// Sends a request and returns the statuses of the answers.
    fn ask(&mut self, vb: Vbid, command: Command) -> Vec<Status> {
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

    /// Cursors beside the flusher's.
    fn cursors(&self) -> usize {
        self.node.vbucket.manager().cursors().len() - 1
    }

    fn control(&mut self, key: &'static str, value: &'static str) -> Vec<Status> {
        let control = Control {
            key: Bytes::from_static(key.as_bytes()),
            value: Bytes::from_static(value.as_bytes()),
        };
        self.ask(Vbid(0), Command::Control(control))
    }

    fn poll(&mut self, budget_bytes: usize) -> Vec<Message> {
        let bytes = self
            .producer
            .poll(&self.node, budget_bytes)
            .expect("the connection stays");
        let mut bytes = BytesMut::from(&bytes[..]);
        std::iter::from_fn(|| Frame::decode(&mut bytes).expect("sound"))
            .map(|frame| Message::decode(&frame).expect("sound"))
            .collect()
    }

    /// Runs what the producer wants of the engine.
    fn run_backfills(&mut self) {
        for step in self.producer.take_backfills() {
            let outcome = step.run(&self.node.engine);
            self.producer
                .backfilled(outcome, &self.node)
                .expect("the connection stays");
        }
    }

    /// Everything that is sent, in short.
    fn sent(&mut self) -> Vec<String> {
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

fn in_short(message: &Message) -> String {
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

#[test]
fn a_stream_begins_with_a_marker_and_goes_on_where_it_ended() {
    let mut rig = rig();
    rig.set("a");
    rig.set("b");
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(request(0, u64::MAX, (0, 0)))),
        [Status::SUCCESS]
    );
    assert_eq!(rig.sent(), ["marker 0-2", "mutation @1", "mutation @2"]);
    rig.set("a");
    assert_eq!(
        rig.sent(),
        ["marker 3-3 on", "mutation @3"],
        "the same checkpoint goes on"
    );
    rig.node.vbucket.manager().close();
    rig.set("c");
    assert_eq!(
        rig.sent(),
        ["marker 4-4", "mutation @4"],
        "a new checkpoint begins"
    );
    assert_eq!(rig.producer.sent_seqno(VB), Some(Seqno(4)));
}

#[test]
fn a_replaced_revision_is_not_sent_and_leaves_no_gap_in_the_markers() {
    let mut rig = rig();
    for key in ["a", "b", "a"] {
        rig.set(key);
    }
    rig.ask(VB, Command::StreamRequest(request(0, u64::MAX, (0, 0))));
    assert_eq!(rig.sent(), ["marker 0-3", "mutation @2", "mutation @3"]);
}

#[test]
fn the_first_marker_starts_where_the_clients_snapshot_does() {
    let mut rig = rig();
    for key in ["a", "b", "c", "d"] {
        rig.set(key);
    }
    rig.ask(VB, Command::StreamRequest(request(2, u64::MAX, (1, 3))));
    assert_eq!(rig.sent(), ["marker 1-4", "mutation @3", "mutation @4"]);
}

#[test]
fn an_end_names_a_snapshots_end() {
    let mut rig = rig();
    // Without it the closed checkpoint would be gone at once.
    let reader = rig
        .node
        .vbucket
        .manager()
        .register(
            "reader",
            Seqno::ZERO,
            lowtide_checkpoint::CursorOptions::new(),
        )
        .expect("valid")
        .cursor;
    for key in ["a", "b", "c"] {
        rig.set(key);
    }
    rig.node.vbucket.manager().close();
    rig.set("d");
    rig.ask(VB, Command::StreamRequest(request(1, 2, (1, 1))));
    assert_eq!(
        rig.sent(),
        ["marker 1-3", "mutation @2", "mutation @3", "end ok"]
    );
    assert_eq!(rig.cursors(), 1, "its cursor is gone");
    rig.node
        .vbucket
        .manager()
        .unregister(reader)
        .expect("registered");
    rig.ask(VB, Command::StreamRequest(request(4, 4, (4, 4))));
    assert_eq!(rig.sent(), ["end ok"], "nothing was wanted");
}

#[test]
fn the_checks_of_a_stream_request_come_in_their_order() {
    let mut rig = rig();
    rig.set("a");
    let mut status = |vb, wanted: StreamRequest| rig.ask(vb, Command::StreamRequest(wanted));
    assert_eq!(
        status(Vbid(6), request(9, 1, (0, 0))),
        [Status::NOT_MY_VBUCKET]
    );
    assert_eq!(status(VB, request(2, 1, (2, 2))), [Status::RANGE]);
    assert_eq!(status(VB, request(1, 9, (2, 3))), [Status::RANGE]);
    assert_eq!(
        status(
            VB,
            StreamRequest {
                uuid: VbUuid(1),
                ..request(1, 9, (1, 1))
            }
        ),
        [Status::ROLLBACK]
    );
    assert_eq!(
        status(VB, request(7, 9, (7, 7))),
        [Status::ROLLBACK],
        "it has more than there is"
    );
    assert_eq!(status(VB, request(1, 9, (1, 1))), [Status::SUCCESS]);
    assert_eq!(status(VB, request(1, 9, (1, 1))), [Status::EXISTS]);
    let of_another = StreamRequest {
        uuid: VbUuid(1),
        ..request(1, 9, (1, 1))
    };
    assert_eq!(
        status(VB, of_another),
        [Status::EXISTS],
        "also where it would have to go back"
    );
}

#[test]
fn a_node_without_memory_opens_no_stream() {
    let mut rig = rig();
    rig.set("a");
    rig.node.is_full = true;
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(request(0, 9, (0, 0)))),
        [Status::OUT_OF_MEMORY]
    );
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(request(5, 9, (5, 5)))),
        [Status::ROLLBACK],
        "that is first"
    );
    assert_eq!(rig.cursors(), 0, "nothing is left behind");
    rig.node.is_full = false;
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(request(0, 9, (0, 0)))),
        [Status::SUCCESS]
    );
}

#[test]
fn an_accepted_stream_tells_the_failover_log() {
    let mut rig = rig();
    rig.tell(VB, Command::StreamRequest(request(0, u64::MAX, (0, 0))))
        .expect("sound");
    let expected = Reply::StreamAccepted(vec![FailoverEntry {
        uuid: UUID,
        seqno: Seqno::ZERO,
    }]);
    assert!(
        matches!(&rig.poll(0)[..], [Message::Response(response)] if response.reply == expected)
    );
}

#[test]
fn flow_control_holds_messages_back_until_they_are_acknowledged() {
    let mut rig = rig();
    assert_eq!(
        rig.control("connection_buffer_size", "1"),
        [Status::SUCCESS]
    );
    for key in ["a", "b"] {
        rig.set(key);
    }
    rig.ask(VB, Command::StreamRequest(request(0, u64::MAX, (0, 0))));
    let mut sent = rig.sent();
    assert_eq!(sent, ["marker 0-2"], "one message passes any buffer");
    while sent.len() < 3 {
        assert!(!rig.producer.has_more());
        let bytes =
            u32::try_from(rig.producer.flow_control().unacknowledged_bytes()).expect("small");
        rig.tell(Vbid(0), Command::BufferAck(bytes)).expect("sound");
        sent.extend(rig.sent());
    }
    assert_eq!(sent, ["marker 0-2", "mutation @1", "mutation @2"]);
}

#[test]
fn waking_is_told_once_per_change_from_idle_to_busy() {
    let mut rig = rig();
    rig.ask(VB, Command::StreamRequest(request(0, u64::MAX, (0, 0))));
    assert_eq!(rig.sent(), [""; 0]);
    assert!(
        !rig.producer.has_more(),
        "a stream with nothing to send is idle"
    );
    assert!(rig.producer.notify(VB));
    assert!(!rig.producer.notify(VB), "it is awake already");
    assert!(!rig.producer.notify(Vbid(9)), "nobody streams that");
}

#[test]
fn a_closed_stream_gives_up_its_cursor() {
    let mut rig = rig();
    assert_eq!(
        rig.control("send_stream_end_on_client_close_stream", "true"),
        [Status::SUCCESS]
    );
    assert_eq!(rig.ask(VB, Command::CloseStream), [Status::NOT_FOUND]);
    rig.ask(VB, Command::StreamRequest(request(0, u64::MAX, (0, 0))));
    assert_eq!(rig.cursors(), 1);
    rig.tell(VB, Command::CloseStream).expect("sound");
    assert_eq!(rig.sent(), ["response 0x00", "end closed"]);
    assert_eq!(rig.cursors(), 0);
}

#[test]
fn options_nobody_knows_are_refused_and_harmless() {
    let mut rig = rig();
    assert_eq!(
        rig.control("enable_ext_metadata", "true"),
        [Status::INVALID]
    );
    assert_eq!(
        rig.control("connection_buffer_size", "many"),
        [Status::INVALID]
    );
    assert_eq!(rig.control("max_marker_version", "2.1"), [Status::INVALID]);
}

#[test]
fn a_connection_is_opened_once_and_first() {
    let mut rig = rig();
    let open = Open {
        flags: OpenFlags::PRODUCER,
        name: Bytes::from_static(b"again"),
        options: Bytes::new(),
    };
    assert_eq!(rig.ask(Vbid(0), Command::Open(open)), [Status::INVALID]);
    rig.producer = Producer::new("other");
    assert!(matches!(
        rig.tell(VB, Command::CloseStream),
        Err(ProducerError::Unexpected { .. })
    ));
}

#[test]
fn a_slow_stream_takes_nothing_from_the_others_cursors() {
    let mut rig = rig();
    let other = rig
        .node
        .vbucket
        .manager()
        .register(
            "other",
            Seqno::ZERO,
            lowtide_checkpoint::CursorOptions::new(),
        )
        .expect("valid")
        .cursor;
    rig.set("a");
    rig.ask(VB, Command::StreamRequest(request(0, u64::MAX, (0, 0))));
    assert_eq!(rig.sent().len(), 2);
    let batch = rig
        .node
        .vbucket
        .manager()
        .read(other, ReadLimit::NONE)
        .expect("registered");
    assert_eq!(batch.items().count(), 1);
    assert_eq!(
        batch.ranges().first().map(|range| range.snapshot_type),
        Some(SnapshotType::Memory)
    );
}
