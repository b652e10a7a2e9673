//! A node of a scenario: vBuckets, their documents, their store on a memory disk, and a flusher
//! that commands run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{
    AfterStop, CheckpointConfig, CheckpointError, FailoverLog, Item, Key, Namespace, ReadLimit,
    Seqno, State, VBucket, VBucketError, VBucketState, VbUuid, Vbid,
};
use lowtide_persistence::couchstore::{Couchstore, CouchstoreConfig};
use lowtide_persistence::disk::{Disk, MemoryDisk};
use lowtide_persistence::{Engine, EngineError, Flusher, RolledBack, ScanLimit};

use crate::producer::{Collections, Partitions};
use crate::script::language::Write;
use crate::script::worlds::print;

/// Initial branch of a vBucket.
pub(super) const FIRST_BRANCH: VbUuid = VbUuid(1);

/// Live documents by key.
pub(super) type Documents = BTreeMap<Key, (Seqno, Bytes)>;

#[derive(Debug)]
pub(super) struct StreamPartition {
    pub(super) vbucket: VBucket,
    pub(super) purge: Seqno,
    pub(super) documents: Documents,
    /// `None` after a command that pretends a history.
    pub(super) collections: Option<Collections>,
}

#[derive(Debug)]
pub(super) struct StreamNode {
    pub(super) engine: Couchstore,
    flusher: Flusher,
    pub(super) partitions: BTreeMap<Vbid, StreamPartition>,
}

impl StreamNode {
    /// Creates a node with that number of empty active vBuckets.
    pub(super) fn new(vbuckets: u16) -> Result<Self, &'static str> {
        let disk = MemoryDisk::new();
        let dir = Path::new("/store");
        disk.create_dir(dir)
            .map_err(|error| EngineError::from(error).kind())?;
        let opened = Couchstore::open(Arc::new(disk), dir, CouchstoreConfig::default());
        let (engine, _) = opened.map_err(|error| error.kind())?;
        let mut node = Self {
            engine,
            flusher: Flusher::new(ReadLimit::NONE),
            partitions: BTreeMap::new(),
        };
        for vb in (0..vbuckets).map(Vbid) {
            node.engine.create(vb).map_err(|error| error.kind())?;
            node.pretend(vb, FailoverLog::new(FIRST_BRANCH), Seqno::ZERO, Seqno::ZERO)?;
        }
        Ok(node)
    }

    /// Creates a vBucket that claims a history without having its items.
    pub(super) fn pretend(
        &mut self,
        vb: Vbid,
        log: FailoverLog,
        high: Seqno,
        purge: Seqno,
    ) -> Result<(), &'static str> {
        let state = VBucketState::new(State::Active, log);
        let config = CheckpointConfig::persistent();
        let recovered =
            VBucket::recover(vb, &state, high, State::Active, AfterStop::Orderly, config);
        let vbucket = recovered.map_err(|error| kind(&error))?;
        self.flusher.attach(vb, state, high);
        let collections = (high == Seqno::ZERO).then(Collections::default);
        let documents = Documents::new();
        self.partitions.insert(
            vb,
            StreamPartition {
                vbucket,
                purge,
                documents,
                collections,
            },
        );
        Ok(())
    }

    pub(super) fn partition(&self, vb: Vbid) -> Result<&StreamPartition, &'static str> {
        self.partitions.get(&vb).ok_or("unknown-vbucket")
    }

    fn partition_mut(&mut self, vb: Vbid) -> Result<&mut StreamPartition, &'static str> {
        self.partitions.get_mut(&vb).ok_or("unknown-vbucket")
    }

    /// Writes like a client, in order, at `now`. Returns the high seqno.
    pub(super) fn write(
        &mut self,
        vb: Vbid,
        writes: &[Write],
        now: u64,
    ) -> Result<Seqno, &'static str> {
        let partition = self.partition_mut(vb)?;
        for write in writes {
            let next = partition.vbucket.high_seqno().next();
            let mut item = match &write.value {
                Some(value) => {
                    Item::mutation(write.key.clone(), value.bytes(write.key.user(), next.0)?)
                }
                None => Item::deletion(write.key.clone()),
            };
            let written = partition
                .vbucket
                .write(item.clone(), now)
                .map_err(|error| kind(&error))?;
            item.seqno = written.queued.seqno;
            partition.apply(&item);
        }
        Ok(partition.vbucket.high_seqno())
    }

    /// Reads a key like a client: on an active the last write, on a replica the complete snapshots
    /// on disk.
    pub(super) fn get(&self, vb: Vbid, key: &Key) -> Result<String, &'static str> {
        let partition = self.partition(vb)?;
        let item = match partition.vbucket.state() {
            State::Active => partition.documents.get(key).map(|(seqno, value)| Item {
                seqno: *seqno,
                ..Item::mutation(key.clone(), value.clone())
            }),
            State::Replica | State::Pending => {
                let view = self
                    .flusher
                    .views()
                    .view(&self.engine, vb)
                    .map_err(|error| error.kind())?;
                let found = view.ok_or("unavailable")?.get(Namespace::Committed, key);
                found
                    .map_err(|error| error.kind())?
                    .filter(|item| !item.deleted)
            }
            State::Dead => return Err("wrong-state"),
        };
        Ok(print::document(item.as_ref()))
    }

    /// Flushes everything, and expels items that no cursor needs.
    pub(super) fn flush(&mut self, now: u64) -> Result<(), &'static str> {
        loop {
            let vbuckets = self.partitions.values().map(|partition| &partition.vbucket);
            let group = self.flusher.begin(vbuckets).map_err(|error| error.kind())?;
            if group.is_empty() {
                break;
            }
            for flushed in self.flusher.finish(group.commit(&self.engine, now)) {
                flushed.result.map_err(|error| error.kind())?;
            }
        }
        self.expel();
        Ok(())
    }

    pub(super) fn expel(&self) {
        for partition in self.partitions.values() {
            partition.vbucket.manager().expel();
        }
    }

    /// Purges tombstones up to that seqno.
    pub(super) fn purge(&mut self, vb: Vbid, upto: Seqno) -> Result<Seqno, &'static str> {
        let purged = self.engine.purge(vb, upto).map_err(|error| error.kind())?;
        self.partition_mut(vb)?.purge = purged;
        Ok(purged)
    }

    /// Rolls back to `seqno` in memory and on disk. Returns the resulting seqno, at or below it.
    pub(super) fn roll_back(&mut self, vb: Vbid, seqno: Seqno) -> Result<Seqno, &'static str> {
        let rolled_back = self
            .engine
            .rollback(vb, seqno)
            .map_err(|error| error.kind())?;
        if let RolledBack::NeedsReset { .. } = rolled_back {
            self.engine
                .drop_vbucket(vb)
                .and_then(|()| self.engine.create(vb))
                .map_err(|error| error.kind())?;
        }
        let snapshot = self.engine.snapshot(vb).map_err(|error| error.kind())?;
        let high = snapshot.high();
        let slice = snapshot
            .scan(Seqno::ZERO, high, ScanLimit::NONE)
            .map_err(|error| error.kind())?;
        let log = self.partition(vb)?.vbucket.failover_log();
        let persisted = snapshot
            .state()
            .cloned()
            .unwrap_or_else(|| VBucketState::new(State::Replica, log));
        let partition = self.partition_mut(vb)?;
        partition
            .vbucket
            .rollback(high, &persisted)
            .map_err(|error| kind(&error))?;
        partition.documents.clear();
        partition.collections = Some(Collections::default());
        slice.items.iter().for_each(|item| partition.apply(item));
        self.flusher.attach(vb, persisted, high);
        Ok(high)
    }

    /// Returns the number of equal documents, or the first keys that differ.
    pub(super) fn compare(
        &self,
        other: &Self,
        vb: Vbid,
    ) -> Result<Result<usize, Vec<Key>>, &'static str> {
        let here = &self.partition(vb)?.documents;
        let there = &other.partition(vb)?.documents;
        let differs = |key: &&Key| here.get(*key) != there.get(*key);
        let mut keys: Vec<_> = here
            .keys()
            .chain(there.keys())
            .filter(differs)
            .cloned()
            .collect();
        keys.sort();
        keys.dedup();
        Ok(if keys.is_empty() {
            Ok(here.len())
        } else {
            Err(keys)
        })
    }
}

impl StreamPartition {
    /// Applies an item to its document.
    pub(super) fn apply(&mut self, item: &Item) {
        if let Some(collections) = &mut self.collections {
            collections.record(item);
        }
        if item.operation.namespace() != Some(Namespace::Committed) {
            return;
        }
        match &item.value {
            Some(value) if !item.deleted => {
                self.documents
                    .insert(item.key.clone(), (item.seqno, value.clone()));
            }
            _ => {
                self.documents.remove(&item.key);
            }
        }
    }
}

impl Partitions for StreamNode {
    fn vbucket(&self, vb: Vbid) -> Option<&VBucket> {
        self.partitions.get(&vb).map(|partition| &partition.vbucket)
    }

    fn purge_seqno(&self, vb: Vbid) -> Seqno {
        let purged =
            |partition: &StreamPartition| partition.purge.max(partition.vbucket.purge_seqno());
        self.partitions.get(&vb).map_or(Seqno::ZERO, purged)
    }

    fn persisted_seqno(&self, vb: Vbid) -> Seqno {
        // A vBucket that the flusher does not have has nothing on disk.
        self.flusher.persisted_seqno(vb).unwrap_or(Seqno::ZERO)
    }

    fn collections(&self, vb: Vbid) -> Option<&Collections> {
        self.partitions
            .get(&vb)
            .and_then(|partition| partition.collections.as_ref())
    }
}

/// Returns the stable word of a refusal.
pub(super) fn kind(error: &VBucketError) -> &'static str {
    match error {
        VBucketError::WrongState { .. } => "wrong-state",
        VBucketError::Checkpoint { source, .. } => CheckpointError::kind(source),
        _ => "invalid-argument",
    }
}
