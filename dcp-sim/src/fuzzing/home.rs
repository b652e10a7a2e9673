//! vBucket of a fuzzed producer, with its store and its flusher.

use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::{
    CheckpointConfig, FailoverLog, Item, ReadLimit, Seqno, State, VBucket, VBucketState, VbUuid,
    Vbid,
};
use lowtide_persistence::couchstore::{Couchstore, CouchstoreConfig};
use lowtide_persistence::disk::{Disk, MemoryDisk};
use lowtide_persistence::{Engine, Flusher};

use crate::producer::{Collections, Partitions};

pub(super) const VB: Vbid = Vbid(0);

const UUID: VbUuid = VbUuid(7);

pub(super) struct Home {
    pub(super) vbucket: VBucket,
    pub(super) engine: Couchstore,
    flusher: Flusher,
    collections: Collections,
}

impl Partitions for Home {
    fn vbucket(&self, vb: Vbid) -> Option<&VBucket> {
        (vb == VB).then_some(&self.vbucket)
    }

    fn purge_seqno(&self, vb: Vbid) -> Seqno {
        self.engine.info(vb).map_or(Seqno::ZERO, |info| info.purge)
    }

    fn persisted_seqno(&self, vb: Vbid) -> Seqno {
        self.flusher.persisted_seqno(vb).unwrap_or_default()
    }

    fn collections(&self, _vb: Vbid) -> Option<&Collections> {
        Some(&self.collections)
    }
}

impl Home {
    pub(super) fn new() -> Self {
        let engine = empty_store(&[VB]);
        let state = VBucketState::new(State::Active, FailoverLog::new(UUID));
        let config = CheckpointConfig::persistent();
        let vbucket = VBucket::new(VB, &state, config);
        let mut flusher = Flusher::new(ReadLimit::NONE);
        flusher.attach(VB, state, Seqno::ZERO);
        Self {
            vbucket,
            engine,
            flusher,
            collections: Collections::default(),
        }
    }

    pub(super) fn write(&mut self, item: Item) {
        // Refused if the vBucket is no longer active.
        if let Ok(written) = self.vbucket.write(item.clone(), 1) {
            self.collections.record(&Item {
                seqno: written.queued.seqno,
                ..item
            });
        }
    }

    pub(super) fn flush(&mut self) {
        if let Ok(group) = self.flusher.begin([&self.vbucket]) {
            let committed = group.commit(&self.engine, 1);
            self.flusher.finish(committed);
        }
        self.vbucket.manager().expel();
    }
}

/// Returns a store with these vBuckets.
pub(super) fn empty_store(vbs: &[Vbid]) -> Couchstore {
    let directory = Path::new("/store");
    let disk = MemoryDisk::new();
    let is_created = disk.create_dir(directory).is_ok();
    assert!(is_created, "an empty disk takes a directory");
    let engine = match Couchstore::open(Arc::new(disk), directory, CouchstoreConfig::default()) {
        Ok((engine, _)) => engine,
        Err(error) => unreachable!("an empty directory is a store: {error}"),
    };
    for &vb in vbs {
        assert!(engine.create(vb).is_ok(), "an empty store takes a vBucket");
    }
    engine
}
