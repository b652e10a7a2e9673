//! The producer's side: a vBucket with its store, and the plain list of everything ever written.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use dcp_sim::producer::Partitions;
use lowtide_checkpoint::{
    CheckpointConfig, DurabilityLevel, FailoverLog, Item, Key, Operation, ReadLimit, Seqno,
    SnapshotMarker, SnapshotType, State, VBucket, VBucketState, VbUuid, Vbid,
};
use lowtide_persistence::couchstore::{Couchstore, CouchstoreConfig};
use lowtide_persistence::disk::MemoryDisk;
use lowtide_persistence::{Engine, FlushGroup, Flusher};

pub(crate) const VB: Vbid = Vbid(7);
pub(crate) const UUID: VbUuid = VbUuid(0xabc);

/// A key's value and seqno; no value for a tombstone.
pub(crate) type Contents = BTreeMap<Key, (Seqno, Option<Bytes>)>;

pub(crate) struct Source {
    vbucket: VBucket,
    pub(crate) engine: Couchstore,
    flusher: Flusher,
    flush: Option<FlushGroup>,
    /// Everything that was ever written, by seqno; a prepare has no document.
    history: Vec<Option<(Key, Option<Bytes>)>>,
    /// The unfinished prepare: its key's number and seqno.
    prepare: Option<(u8, Seqno)>,
    /// Rest of the snapshot that a replica is receiving.
    pending: Vec<Item>,
    /// Number of the history's items in snapshots that a replica has begun.
    fed: usize,
    has_news: bool,
}

impl Source {
    pub(crate) fn active() -> Self {
        Self::new(State::Active)
    }

    pub(crate) fn replica() -> Self {
        Self::new(State::Replica)
    }

    fn new(state: State) -> Self {
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
        let mut flusher = Flusher::new(ReadLimit::NONE.with_items(5).with_bytes(500));
        flusher.attach(VB, state, Seqno::ZERO);
        Self {
            vbucket,
            engine,
            flusher,
            flush: None,
            history: Vec::new(),
            prepare: None,
            pending: Vec::new(),
            fed: 0,
            has_news: false,
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.vbucket.state() == State::Active
    }

    pub(crate) fn write(&mut self, key: u8, is_set: bool) {
        let number = self.history.len();
        let (key, value) = (
            name(key),
            is_set.then(|| Bytes::from(format!("{key} {number}"))),
        );
        if self.is_active() {
            let item = match &value {
                Some(value) => Item::mutation(key.clone(), value.clone()),
                None => Item::deletion(key.clone()),
            };
            self.queue(item);
        }
        self.history.push(Some((key, value)));
    }

    pub(crate) fn durable(&mut self, key: u8) {
        if !self.is_active() {
            return;
        }
        let value = Some(Bytes::from(format!("durable {}", self.history.len())));
        if let Some((key, prepare_seqno)) = self.prepare.take() {
            // Durable writes have keys of their own.
            let key = name(100 + key);
            self.queue(Item {
                prepare_seqno,
                value: value.clone(),
                ..Item::new(Operation::Commit, key.clone())
            });
            self.history.push(Some((key, value)));
        } else {
            let durability = Some(DurabilityLevel::Majority);
            self.queue(Item {
                durability,
                value,
                ..Item::new(Operation::Prepare, name(100 + key))
            });
            self.history.push(None);
            self.prepare = Some((key, Seqno(self.history.len() as u64)));
        }
    }

    fn queue(&mut self, item: Item) {
        self.vbucket.write(item, 1).expect("active");
        self.has_news = true;
    }

    pub(crate) fn close_checkpoint(&mut self) {
        self.vbucket.manager().close();
    }

    /// Feeds a replica the next item of its snapshot, or begins the next snapshot: the newest
    /// revision of each key.
    pub(crate) fn feed(&mut self, from_disk: bool) {
        if self.is_active() {
            return;
        }
        if self.pending.is_empty() {
            if self.fed == self.history.len() {
                return;
            }
            let (start, end) = (Seqno(self.fed as u64 + 1), Seqno(self.history.len() as u64));
            let mut newest = BTreeMap::new();
            for (index, written) in self.history.iter().enumerate().skip(self.fed) {
                let (key, value) = written
                    .clone()
                    .expect("a replica's history has no prepares");
                newest.insert(key, (index, value));
            }
            let item = |(key, (index, value)): (Key, (usize, Option<Bytes>))| Item {
                seqno: Seqno(index as u64 + 1),
                ..value.map_or_else(
                    || Item::deletion(key.clone()),
                    |value| Item::mutation(key.clone(), value),
                )
            };
            self.pending = newest.into_iter().map(item).collect();
            self.pending
                .sort_by_key(|item| std::cmp::Reverse(item.seqno));
            let kind = if from_disk {
                SnapshotType::Disk
            } else {
                SnapshotType::Memory
            };
            let high_completed_seqno = from_disk.then_some(Seqno::ZERO);
            let marker = SnapshotMarker {
                high_completed_seqno,
                ..SnapshotMarker::new(kind, start, end)
            };
            self.vbucket
                .receive_marker(marker)
                .expect("it follows the last");
            self.fed = self.history.len();
        }
        let item = self.pending.pop().expect("a snapshot has items");
        self.vbucket.receive(item).expect("it is in the snapshot");
        self.has_news = true;
    }

    pub(crate) fn begin_flush(&mut self) {
        if self.flush.is_none() {
            self.flush = Some(self.flusher.begin([&self.vbucket]).expect("no other"));
        }
    }

    pub(crate) fn end_flush(&mut self, good: bool) {
        if let Some(group) = self.flush.take().filter(|_| good) {
            let flushed = self.flusher.finish(group.commit(&self.engine, 1));
            assert!(
                flushed.iter().all(|flushed| flushed.result.is_ok()),
                "{flushed:?}"
            );
        }
    }

    pub(crate) fn expel(&self) {
        self.vbucket.manager().expel();
    }

    pub(crate) fn recover(&self) {
        self.vbucket.manager().recover_memory(usize::MAX);
    }

    /// Feeds a replica everything that is left.
    pub(crate) fn finish(&mut self) {
        while !self.is_active() && (self.fed < self.history.len() || !self.pending.is_empty()) {
            self.feed(false);
        }
    }

    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    pub(crate) fn high(&self) -> Seqno {
        self.vbucket.high_seqno()
    }

    /// Returns the documents of the history up to `seqno`.
    pub(crate) fn documents_at(&self, seqno: Seqno) -> Contents {
        let mut documents = Contents::new();
        for (index, written) in self.history.iter().enumerate().take(seqno.0 as usize) {
            if let Some((key, value)) = written {
                documents.insert(key.clone(), (Seqno(index as u64 + 1), value.clone()));
            }
        }
        documents
    }
}

/// Returns a key; half of the most frequent keys are in a collection of their own.
fn name(number: u8) -> Key {
    let name = format!("key {number}");
    if (3..6).contains(&number) {
        Key::in_collection(8, name.as_bytes())
    } else {
        Key::new(name.as_bytes())
    }
}

impl Partitions for Source {
    fn vbucket(&self, vb: Vbid) -> Option<&VBucket> {
        (vb == VB).then_some(&self.vbucket)
    }

    fn purge_seqno(&self, _vb: Vbid) -> Seqno {
        Seqno::ZERO
    }

    fn persisted_seqno(&self, vb: Vbid) -> Seqno {
        self.flusher.persisted_seqno(vb).expect("attached")
    }
}
