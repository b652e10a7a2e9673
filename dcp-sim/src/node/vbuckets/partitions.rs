//! Table of a node's vBuckets, and the target of its consumers.

use std::collections::{BTreeMap, BTreeSet};

use lowtide_checkpoint::{
    CheckpointError, FailoverLog, Item, Seqno, SnapshotMarker, SnapshotType, State, VBucket,
    VBucketError, Vbid,
};
use lowtide_persistence::{CacheBudget, Documents};

use super::completion::complete;
use super::observation::Observation;
use crate::consumer;
use crate::producer::Collections;

/// A vBucket, and what memory holds of its documents.
#[derive(Debug)]
#[non_exhaustive]
pub struct Partition {
    /// The vBucket: order, memory and state.
    pub vbucket: VBucket,
    /// Newest revisions that are not persisted, open prepares, and a cache.
    pub documents: Documents,
    /// Highest seqno of each collection.
    pub collections: Collections,
}

impl Partition {
    /// Creates a vBucket whose engine has everything up to `high`, with these open prepares.
    pub(in crate::node) fn new(
        vbucket: VBucket,
        cache: &CacheBudget,
        high: Seqno,
        prepares: Vec<Item>,
        collections: Collections,
    ) -> Self {
        let mut documents = Documents::new(cache.clone(), high);
        prepares.into_iter().for_each(|item| documents.put(item));
        Self {
            vbucket,
            documents,
            collections,
        }
    }
}

/// vBuckets by number, with the changes that their streams brought.
#[derive(Debug, Default)]
pub(in crate::node) struct PartitionTable {
    partitions: BTreeMap<Vbid, Partition>,
    changed: BTreeSet<Vbid>,
    /// vBuckets that moved to another branch.
    rebranched: BTreeSet<Vbid>,
    observations: Option<Vec<Observation>>,
}

impl PartitionTable {
    pub(in crate::node) fn insert(&mut self, vb: Vbid, partition: Partition) {
        self.partitions.insert(vb, partition);
    }

    pub(in crate::node) fn remove(&mut self, vb: Vbid) {
        self.partitions.remove(&vb);
        self.changed.remove(&vb);
        self.rebranched.remove(&vb);
    }

    pub(in crate::node) fn get(&self, vb: Vbid) -> Option<&Partition> {
        self.partitions.get(&vb)
    }

    pub(in crate::node) fn get_mut(&mut self, vb: Vbid) -> Option<&mut Partition> {
        self.partitions.get_mut(&vb)
    }

    pub(in crate::node) fn iter(&self) -> impl Iterator<Item = &Partition> {
        self.partitions.values()
    }

    pub(in crate::node) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Partition> {
        self.partitions.values_mut()
    }

    /// Returns the vBuckets that a stream changed since the last call.
    pub(in crate::node) fn take_changed(&mut self) -> BTreeSet<Vbid> {
        std::mem::take(&mut self.changed)
    }

    /// Returns the vBuckets that a stream moved to another branch since the last call.
    pub(in crate::node) fn take_rebranched(&mut self) -> BTreeSet<Vbid> {
        std::mem::take(&mut self.rebranched)
    }

    pub(in crate::node) fn observe_from_now(&mut self) {
        self.observations = Some(Vec::new());
    }

    /// Records an observation, if requested.
    pub(in crate::node) fn observe(&mut self, note: impl FnOnce() -> Observation) {
        if let Some(observations) = &mut self.observations {
            observations.push(note());
        }
    }

    /// Returns the observations since the last call: none unless they are recorded.
    pub(in crate::node) fn take_observations(&mut self) -> Vec<Observation> {
        self.observations
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    fn require(&mut self, vb: Vbid) -> Result<&mut Partition, VBucketError> {
        // A missing vBucket is reported as dead: nothing may be sent to it.
        self.partitions.get_mut(&vb).ok_or(not_here(vb))
    }
}

fn not_here(vb: Vbid) -> VBucketError {
    VBucketError::WrongState {
        vb,
        state: State::Dead,
    }
}

impl consumer::Replicas for PartitionTable {
    fn adopt_failover_log(&mut self, vb: Vbid, log: FailoverLog) -> Result<(), VBucketError> {
        let vbucket = &self.require(vb)?.vbucket;
        let seqno = vbucket.high_seqno();
        let before = vbucket.failover_log();
        // Set even if unchanged: the vBucket follows another copy from now on.
        vbucket.set_failover_log(log.clone());
        if before != log {
            // The next write may be late, and the store must know the branch of its history.
            vbucket.queue_current_state()?;
            self.changed.insert(vb);
            if before.newest().uuid != log.newest().uuid {
                self.rebranched.insert(vb);
            }
        }
        self.observe(|| Observation::Opened {
            vb,
            branch: log.newest().uuid,
            seqno,
        });
        Ok(())
    }

    fn apply_marker(&mut self, vb: Vbid, marker: SnapshotMarker) -> Result<(), VBucketError> {
        let vbucket = &self.require(vb)?.vbucket;
        // An empty vBucket needs no lookup of previous revisions.
        let is_first = marker.snapshot_type.is_disk() && vbucket.high_seqno() == Seqno::ZERO;
        let snapshot_type = if is_first {
            SnapshotType::InitialDisk
        } else {
            marker.snapshot_type
        };
        vbucket.receive_marker(SnapshotMarker {
            snapshot_type,
            ..marker
        })?;
        self.observe(|| Observation::Marker { vb, marker });
        Ok(())
    }

    fn apply_item(&mut self, vb: Vbid, item: Item) -> Result<(), VBucketError> {
        let Partition {
            vbucket,
            documents,
            collections,
        } = self.require(vb)?;
        let item = complete(vb, item, documents, vbucket.high_completed_seqno())?;
        vbucket.receive(item.clone())?;
        documents.put(item.clone());
        collections.record(&item);
        let range = vbucket.manager().open_range();
        let is_from_disk = range.snapshot_type != SnapshotType::Memory;
        if is_from_disk && item.seqno == range.end {
            // The completions of some prepares are not in it.
            documents.completed(vbucket.high_completed_seqno());
        }
        self.changed.insert(vb);
        self.observe(|| Observation::Item { vb, item });
        Ok(())
    }

    fn advance(&mut self, vb: Vbid, _seqno: Seqno) -> Result<(), VBucketError> {
        // A replica sees every item, so nothing is skipped.
        let source = CheckpointError::InvalidArgument(
            "a replica is sent every item, so its stream never advances",
        );
        Err(VBucketError::Checkpoint { vb, source })
    }

    fn set_state(&mut self, vb: Vbid, state: State) -> Result<(), VBucketError> {
        self.require(vb)?.vbucket.set_state(state, None)?;
        self.changed.insert(vb);
        Ok(())
    }
}
