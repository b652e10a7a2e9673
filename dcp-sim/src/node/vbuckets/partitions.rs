//! Table of a node's vBuckets, and the target of its consumers.

use std::collections::{BTreeMap, BTreeSet};

use lowtide_checkpoint::{
    CheckpointError, FailoverLog, Item, Seqno, SnapshotMarker, SnapshotType, State, VBucket,
    VBucketError, Vbid,
};

use super::documents::Documents;
use super::observation::Observation;
use super::prepares::Prepares;
use crate::consumer;
use crate::producer::Collections;

/// A vBucket and its documents.
#[derive(Debug)]
#[non_exhaustive]
pub struct Partition {
    /// The vBucket: order, memory and state.
    pub vbucket: VBucket,
    /// Newest revision of each key.
    pub documents: Documents,
    /// Highest seqno of each collection.
    pub collections: Collections,
}

/// vBuckets by number, with the changes that their streams brought.
#[derive(Debug, Default)]
pub(in crate::node) struct PartitionTable {
    partitions: BTreeMap<Vbid, Partition>,
    changed: BTreeSet<Vbid>,
    /// vBuckets that moved to another branch.
    rebranched: BTreeSet<Vbid>,
    observations: Option<Vec<Observation>>,
    /// Prepares without commit or abort.
    prepares: BTreeMap<Vbid, Prepares>,
}

impl PartitionTable {
    pub(in crate::node) fn insert(&mut self, vb: Vbid, partition: Partition) {
        self.prepares.remove(&vb);
        self.partitions.insert(vb, partition);
    }

    pub(in crate::node) fn remove(&mut self, vb: Vbid) {
        self.partitions.remove(&vb);
        self.changed.remove(&vb);
        self.rebranched.remove(&vb);
        self.prepares.remove(&vb);
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

    /// Returns the vBuckets that a stream changed since the last call.
    pub(in crate::node) fn take_changed(&mut self) -> BTreeSet<Vbid> {
        std::mem::take(&mut self.changed)
    }

    /// Returns the vBuckets that a stream moved to another branch since the last call.
    pub(in crate::node) fn take_rebranched(&mut self) -> BTreeSet<Vbid> {
        std::mem::take(&mut self.rebranched)
    }

    /// Replaces the open prepares of a vBucket, after a rollback or a warm-up.
    pub(in crate::node) fn set_prepares<'a>(
        &mut self,
        vb: Vbid,
        prepares: impl IntoIterator<Item = &'a Item>,
    ) {
        let mut open = Prepares::default();
        prepares
            .into_iter()
            .for_each(|prepare| open.record(prepare));
        self.prepares.insert(vb, open);
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
        let partition = self.partitions.get_mut(&vb).ok_or(not_here(vb))?;
        let prepares = self.prepares.entry(vb).or_default();
        let high_completed = partition.vbucket.high_completed_seqno();
        let item = prepares.complete(vb, item, high_completed)?;
        partition.vbucket.receive(item.clone())?;
        let revision = partition.documents.apply(&item);
        partition.collections.record(&item);
        prepares.record(&item);
        let seqno = item.seqno;
        let content = partition.documents.content();
        self.changed.insert(vb);
        self.observe(|| Observation::Item {
            vb,
            seqno,
            revision,
            content,
        });
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
