//! A node of the scenarios: vBuckets, their store on a memory disk, and a flusher that runs when a command says so.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use checkpoint::{
    CheckpointConfig, FailoverLog, ReadLimit, Seqno, State, VBucket, VBucketState, VbUuid, Vbid,
};
use persistence::couchstore::{Couchstore, CouchstoreConfig};
use persistence::disk::{Disk, MemoryDisk};
use persistence::{Engine, EngineError, Flusher};

use crate::producer::Partitions;

/// The branch a vBucket is on until a command says otherwise.
pub(super) const FIRST_BRANCH: VbUuid = VbUuid(1);

#[derive(Debug)]
pub(super) struct StreamPartition {
    pub(super) vbucket: VBucket,
    pub(super) purge: Seqno,
}

#[derive(Debug)]
pub(super) struct StreamNode {
    pub(super) engine: Couchstore,
    pub(super) flusher: Flusher,
    pub(super) partitions: BTreeMap<Vbid, StreamPartition>,
}

impl StreamNode {
    /// A node with that many active vBuckets, all empty.
    pub(super) fn new(vbuckets: u16) -> Result<Self, &'static str> {
        let (disk, dir) = (MemoryDisk::new(), Path::new("/store"));
        disk.create_dir(dir).map_err(|error| EngineError::from(error).kind())?;
        let opened = Couchstore::open(Arc::new(disk), dir, CouchstoreConfig::default());
        let (engine, _) = opened.map_err(|error| error.kind())?;
        let mut node = Self { engine, flusher: Flusher::new(ReadLimit::NONE), partitions: BTreeMap::new() };
        for vb in (0..vbuckets).map(Vbid) {
            node.engine.create(vb).map_err(|error| error.kind())?;
            node.pretend(vb, FailoverLog::new(FIRST_BRANCH), Seqno::ZERO, Seqno::ZERO);
        }
        Ok(node)
    }

    /// Gives it a vBucket that claims a history it has no items of.
    pub(super) fn pretend(&mut self, vb: Vbid, log: FailoverLog, high: Seqno, purge: Seqno) {
        let state = VBucketState::new(State::Active, log);
        let config = CheckpointConfig { persistence: true, ..CheckpointConfig::default() };
        let vbucket = VBucket::new(vb, &state, high, config);
        self.flusher.attach(vb, state, high);
        self.partitions.insert(vb, StreamPartition { vbucket, purge });
    }

    pub(super) fn partition(&self, vb: Vbid) -> Result<&StreamPartition, &'static str> {
        self.partitions.get(&vb).ok_or("unknown-vbucket")
    }
}

impl Partitions for StreamNode {
    fn vbucket(&self, vb: Vbid) -> Option<&VBucket> {
        self.partitions.get(&vb).map(|partition| &partition.vbucket)
    }

    fn purge_seqno(&self, vb: Vbid) -> Seqno {
        self.partitions.get(&vb).map_or(Seqno::ZERO, |partition| partition.purge)
    }

    fn persisted_seqno(&self, vb: Vbid) -> Seqno {
        self.flusher.persisted_seqno(vb).unwrap_or_default()
    }
}
