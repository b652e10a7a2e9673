//! One copy: its vBucket, its store, its documents, and the stream it follows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use dcp_sim::consumer::{Consumer, ConsumerEvent, ConsumerOptions, Replicas};
use dcp_sim::producer::{Partitions, Producer};
use lowtide_checkpoint::{
    CheckpointConfig, FailoverLog, Item, Key, ReadLimit, Seqno, SnapshotMarker, State, VBucket,
    VBucketError, VBucketState, VbUuid, Vbid,
};
use lowtide_persistence::couchstore::{Couchstore, CouchstoreConfig};
use lowtide_persistence::disk::{Disk, MemoryDisk};
use lowtide_persistence::{Engine, Flusher, RolledBack, ScanLimit};

pub(crate) const VB: Vbid = Vbid(7);
pub(crate) const UUID: VbUuid = VbUuid(1);

/// A key's value and seqno.
pub(crate) type Contents = BTreeMap<Key, (Seqno, Option<Bytes>)>;

pub(crate) struct Copy {
    number: usize,
    home: Home,
    /// Number of the copy that it follows, and both ends of the stream.
    source: Option<(usize, Producer, Consumer)>,
    /// Breaks of that copy's history when the stream began.
    seen_breaks: u32,
    connections: u32,
}

/// State of a copy that streams read and change.
struct Home {
    vbucket: VBucket,
    engine: Couchstore,
    flusher: Flusher,
    documents: Contents,
    /// Number of rollbacks, of moves to another branch, and of ends of leading.
    breaks: u32,
}

impl Copy {
    pub(crate) fn new(number: usize, state: State) -> Self {
        let disk = MemoryDisk::new();
        disk.create_dir(Path::new("/store")).expect("an empty disk");
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
        let mut flusher = Flusher::new(ReadLimit::NONE);
        flusher.attach(VB, state, Seqno::ZERO);
        let home = Home {
            vbucket,
            engine,
            flusher,
            documents: Contents::new(),
            breaks: 0,
        };
        Self {
            number,
            home,
            source: None,
            seen_breaks: 0,
            connections: 0,
        }
    }

    pub(crate) fn partitions(&self) -> &impl Partitions {
        &self.home
    }

    pub(crate) fn engine(&self) -> &Couchstore {
        &self.home.engine
    }

    /// Returns the number of breaks in its history. Each ends the streams that it serves (S29).
    pub(crate) fn breaks(&self) -> u32 {
        self.home.breaks
    }

    pub(crate) fn documents(&self) -> &Contents {
        &self.home.documents
    }

    pub(crate) fn high(&self) -> Seqno {
        self.home.vbucket.high_seqno()
    }

    pub(crate) fn follows(&self) -> Option<usize> {
        self.source.as_ref().map(|&(source, ..)| source)
    }

    pub(crate) fn write(&mut self, key: u8) {
        let key = Key::new(format!("key {key}").as_bytes());
        let item = Item::mutation(key, Bytes::from(format!("{} {}", self.number, self.high())));
        let written = self.home.vbucket.write(item.clone(), 1).expect("active");
        self.home.apply(&Item {
            seqno: written.queued.seqno,
            ..item
        });
    }

    pub(crate) fn close_checkpoint(&self) {
        self.home.vbucket.manager().close();
    }

    pub(crate) fn flush(&mut self) {
        loop {
            let group = self
                .home
                .flusher
                .begin([&self.home.vbucket])
                .expect("no other");
            if group.is_empty() {
                break;
            }
            let flushed = self.home.flusher.finish(group.commit(&self.home.engine, 1));
            assert!(
                flushed.iter().all(|flushed| flushed.result.is_ok()),
                "{flushed:?}"
            );
        }
        self.home.vbucket.manager().expel();
    }

    pub(crate) fn recover(&self) {
        self.home.vbucket.manager().recover_memory(usize::MAX);
    }

    /// Makes it a replica. As in a node, that ends the streams that it serves (S29).
    pub(crate) fn step_down(&mut self) {
        self.home
            .vbucket
            .set_state(State::Replica, None)
            .expect("allowed");
        self.home.breaks += 1;
    }

    pub(crate) fn lead(&mut self, uuid: VbUuid) {
        self.source = None;
        self.home
            .vbucket
            .set_state(State::Active, Some(uuid))
            .expect("a new name");
    }

    /// Opens a new stream from another copy, from the seqno that this copy has.
    pub(crate) fn follow(&mut self, number: usize, from: &Copy) {
        if let Some((_, mut producer, _)) = self.source.take() {
            producer.close(&from.home);
        }
        self.connections += 1;
        let name = format!("{} on its {}", self.number, self.connections);
        let mut consumer = Consumer::new(&name, ConsumerOptions::new().with_buffer_bytes(1 << 20))
            .expect("a name");
        consumer
            .request_stream(VB, self.home.vbucket.resume_point())
            .expect("a request");
        self.source = Some((number, Producer::new(&name), consumer));
        self.seen_breaks = from.breaks();
    }

    /// Delivers up to `messages` messages of its stream.
    pub(crate) fn deliver(&mut self, from: &Copy, messages: usize) {
        for _ in 0..messages {
            if self.seen_breaks != from.breaks() {
                self.leave(from);
            }
            let Some((_, producer, consumer)) = &mut self.source else {
                return;
            };
            producer
                .receive(&consumer.take_output(), &from.home)
                .expect("sound");
            producer.notify(VB);
            let mut bytes = producer.poll(&from.home, 1).expect("the connection stays");
            for step in producer.take_backfills() {
                producer
                    .backfilled(step.run(&from.home.engine), &from.home)
                    .expect("the connection stays");
            }
            if bytes.is_empty() {
                bytes = producer.poll(&from.home, 1).expect("the connection stays");
            }
            if bytes.is_empty() && !producer.has_more() {
                return;
            }
            let events = consumer.receive(bytes, &mut self.home).expect("sound");
            for event in events {
                match event {
                    ConsumerEvent::StreamOpened(_) => {}
                    ConsumerEvent::Rollback { seqno, .. } => {
                        self.leave(from);
                        self.home.roll_back(seqno);
                        self.home.breaks += 1;
                    }
                    _ => self.leave(from),
                }
            }
        }
    }

    fn leave(&mut self, from: &Copy) {
        if let Some((_, mut producer, _)) = self.source.take() {
            producer.close(&from.home);
        }
    }
}

impl Home {
    fn apply(&mut self, item: &Item) {
        if item.operation.namespace().is_some() {
            let value = item.value.clone().filter(|_| !item.deleted);
            self.documents.insert(item.key.clone(), (item.seqno, value));
        }
    }

    fn roll_back(&mut self, seqno: Seqno) {
        if let RolledBack::NeedsReset { .. } = self.engine.rollback(VB, seqno).expect("sound") {
            self.engine.drop_vbucket(VB).expect("there");
            self.engine.create(VB).expect("it was dropped");
        }
        let snapshot = self.engine.snapshot(VB).expect("there");
        let high = snapshot.high();
        let log = self.vbucket.failover_log();
        let persisted = snapshot
            .state()
            .cloned()
            .unwrap_or_else(|| VBucketState::new(State::Replica, log));
        self.vbucket.rollback(high, &persisted).expect("a replica");
        self.documents.clear();
        for item in snapshot
            .scan(Seqno::ZERO, high, ScanLimit::NONE)
            .expect("readable")
            .items
        {
            self.apply(&item);
        }
        self.flusher.attach(VB, persisted, high);
    }
}

impl Partitions for Home {
    fn vbucket(&self, vb: Vbid) -> Option<&VBucket> {
        (vb == VB).then_some(&self.vbucket)
    }

    fn purge_seqno(&self, _vb: Vbid) -> Seqno {
        Seqno::ZERO
    }

    fn persisted_seqno(&self, vb: Vbid) -> Seqno {
        self.flusher.persisted_seqno(vb).unwrap_or_default()
    }
}

impl Replicas for Home {
    fn adopt_failover_log(&mut self, _vb: Vbid, log: FailoverLog) -> Result<(), VBucketError> {
        let before = self.vbucket.failover_log().newest().uuid;
        self.breaks += u32::from(log.newest().uuid != before);
        self.vbucket.set_failover_log(log);
        Ok(())
    }

    fn apply_marker(&mut self, _vb: Vbid, marker: SnapshotMarker) -> Result<(), VBucketError> {
        self.vbucket.receive_marker(marker)
    }

    fn apply_item(&mut self, _vb: Vbid, item: Item) -> Result<(), VBucketError> {
        self.vbucket.receive(item.clone())?;
        self.apply(&item);
        Ok(())
    }

    fn advance(&mut self, vb: Vbid, _seqno: Seqno) -> Result<(), VBucketError> {
        panic!("nothing is hidden from vBucket {vb}")
    }

    fn set_state(&mut self, vb: Vbid, _state: State) -> Result<(), VBucketError> {
        panic!("nobody takes vBucket {vb} over")
    }
}
