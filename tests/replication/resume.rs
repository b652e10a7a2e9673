//! A connection that is lost at any byte: a new one, from the replica's seqno, brings the rest, and
//! nothing twice.

use bytes::Bytes;
use dcp_sim::consumer::{Consumer, ConsumerEvent, ConsumerOptions, Replicas};
use dcp_sim::node::NodeConfig;
use dcp_sim::producer::{Partitions, Producer};
use dcp_sim::sim::Contents;
use lowtide_checkpoint::{
    CheckpointConfig, FailoverLog, Item, Key, Seqno, SnapshotMarker, State, VBucket, VBucketError,
    VBucketState, VbUuid, Vbid,
};

use super::pair::{Pair, write_some};

const VB: Vbid = Vbid(9);

fn vbucket(state: State) -> VBucket {
    let state = VBucketState::new(state, FailoverLog::new(VbUuid(5)));
    // The persistence cursor never moves, so everything stays in memory and a stream can be resumed
    // anywhere.
    let config = CheckpointConfig::persistent();
    VBucket::new(VB, &state, config)
}

/// Producer's side: one active.
struct Active(VBucket, Contents);

impl Partitions for Active {
    fn vbucket(&self, vb: Vbid) -> Option<&VBucket> {
        (vb == VB).then_some(&self.0)
    }

    fn purge_seqno(&self, _vb: Vbid) -> Seqno {
        Seqno::ZERO
    }

    fn persisted_seqno(&self, _vb: Vbid) -> Seqno {
        Seqno::ZERO
    }
}

impl Active {
    fn set(&mut self, key: &str, value: &str) {
        let mut item = Item::mutation(
            Key::new(key.as_bytes()),
            Bytes::copy_from_slice(value.as_bytes()),
        );
        let written = self.0.write(item.clone(), 1).expect("active");
        (item.seqno, item.cas) = (written.queued.seqno, written.cas);
        self.1.apply(&item);
    }
}

/// Consumer's side: one replica that records every item it receives.
struct Recorder {
    vbucket: VBucket,
    documents: Contents,
    items: Vec<Seqno>,
    markers: Vec<SnapshotMarker>,
}

impl Replicas for Recorder {
    fn adopt_failover_log(&mut self, _vb: Vbid, log: FailoverLog) -> Result<(), VBucketError> {
        self.vbucket.set_failover_log(log);
        Ok(())
    }

    fn apply_marker(&mut self, _vb: Vbid, marker: SnapshotMarker) -> Result<(), VBucketError> {
        self.markers.push(marker);
        self.vbucket.receive_marker(marker)
    }

    fn apply_item(&mut self, _vb: Vbid, item: Item) -> Result<(), VBucketError> {
        self.items.push(item.seqno);
        self.vbucket.receive(item.clone())?;
        self.documents.apply(&item);
        Ok(())
    }

    fn advance(&mut self, vb: Vbid, _seqno: Seqno) -> Result<(), VBucketError> {
        panic!("nothing is hidden from vBucket {vb}")
    }

    fn set_state(&mut self, vb: Vbid, _state: State) -> Result<(), VBucketError> {
        panic!("nobody takes vBucket {vb} over")
    }
}

/// Opens a new connection; returns the bytes that the producer sends on it.
fn connect(active: &Active, recorder: &Recorder) -> (Producer, Consumer, Bytes) {
    let mut producer = Producer::new("resume");
    let mut consumer =
        Consumer::new("resume", ConsumerOptions::new().with_buffer_bytes(1 << 20)).expect("a name");
    consumer
        .request_stream(VB, recorder.vbucket.resume_point())
        .expect("a request");
    producer
        .receive(&consumer.take_output(), active)
        .expect("a consumer's bytes");
    let mut sent = Vec::new();
    while producer.has_more() {
        sent.extend_from_slice(&producer.poll(active, 1 << 20).expect("bytes"));
    }
    (producer, consumer, Bytes::from(sent))
}

/// Writes the items of one long snapshot and, after a closed checkpoint, of another.
fn fill(active: &mut Active) {
    for key in ["a", "b", "c", "a", "d", "e"] {
        active.set(key, "first");
    }
    active.0.manager().close();
    for key in ["b", "f", "b", "g"] {
        active.set(key, "second");
    }
}

/// Returns the number of bytes of the first connection, and `true` if the replica was left in the
/// middle of a snapshot.
fn lose_the_connection_after(bytes: usize) -> (usize, bool) {
    let mut active = Active(vbucket(State::Active), Contents::default());
    let mut recorder = Recorder {
        vbucket: vbucket(State::Replica),
        documents: Contents::default(),
        items: Vec::new(),
        markers: Vec::new(),
    };
    fill(&mut active);
    let (mut producer, mut consumer, sent) = connect(&active, &recorder);
    let total = sent.len();
    let events = consumer
        .receive(sent.slice(..bytes.min(total)), &mut recorder)
        .expect("a producer's bytes");
    assert!(
        events
            .iter()
            .all(|event| *event == ConsumerEvent::StreamOpened(VB)),
        "{events:?}"
    );
    producer.close(&active);

    let point = recorder.vbucket.resume_point();
    let (items_before, markers_before) = (recorder.items.len(), recorder.markers.len());
    // Meanwhile a key of each checkpoint changes; the replica may have half a snapshot with one of
    // them.
    active.set("e", "third");
    active.set("g", "third");
    let (_producer, mut consumer, sent) = connect(&active, &recorder);
    let events = consumer
        .receive(sent, &mut recorder)
        .expect("a producer's bytes");
    assert_eq!(events, [ConsumerEvent::StreamOpened(VB)], "cut at {bytes}");

    assert!(
        recorder.items.is_sorted_by(|a, b| a < b),
        "cut at {bytes}: {:?}",
        recorder.items
    );
    assert!(recorder.items[items_before] > point.seqno, "cut at {bytes}");
    assert_eq!(
        recorder.documents, active.1,
        "cut at {bytes}, resumed from {point:?}"
    );
    assert_eq!(recorder.vbucket.high_seqno(), active.0.high_seqno());
    let first = recorder
        .markers
        .get(markers_before)
        .expect("a snapshot on the new connection");
    assert!(
        first.start <= point.snapshot_end.next() && first.end >= point.snapshot_end,
        "{first:?} after {point:?}"
    );
    (total, point.snapshot_end > point.seqno)
}

/// Guards the transition from one connection to the next, at every byte of the first one.
#[test]
fn stream_resumed_at_any_byte_brings_everything_once() {
    let (total, _) = lose_the_connection_after(usize::MAX);
    assert!(total > 300, "{total} bytes show little");
    let inside = (0..total)
        .filter(|&bytes| lose_the_connection_after(bytes).1)
        .count();
    assert!(
        inside > total / 3,
        "{inside} of {total} were in the middle of a snapshot"
    );
}

/// Guards whole nodes with several vBuckets, connections that are lost again and again, and
/// concurrent writes.
#[test]
fn nodes_that_lose_every_connection_end_equal() {
    for every in [1, 7, 40, 150, 333, 1_000] {
        let config = NodeConfig::new()
            .with_checkpoint_bytes_max(400)
            .with_buffer_bytes(600);
        let mut pair = Pair::new(2, &config);
        for round in 0..8 {
            write_some(&mut pair, round);
            pair.connect();
            let until = pair.arrived() + every;
            while pair.arrived() < until
                && pair
                    .step(&mut |below| below.min(5) - 1)
                    .expect("rules are followed")
            {}
        }
        pair.connect();
        pair.settle(&mut |below| below - 1)
            .expect("rules are followed");
        assert_eq!(pair.difference(), None, "lost after every {every} bytes");
    }
}
