//! The node as its producers see it: a borrow of the parts besides the producers.

use std::collections::BTreeMap;

use lowtide_checkpoint::{MemoryState, Quota, Seqno, VBucket, Vbid};

use super::shards::Shards;
use super::vbuckets::PartitionTable;
use crate::fault::{self, Fault};
use crate::producer::{Collections, Partitions};

/// Parts of a node that a producer reads.
pub(super) struct Streamed<'a> {
    pub(super) table: &'a PartitionTable,
    pub(super) shards: &'a Shards,
    pub(super) purged: &'a BTreeMap<Vbid, Seqno>,
    pub(super) keeps_collections_highest: bool,
    pub(super) quota: &'a Quota,
}

/// Borrows those parts field by field, so the producers stay mutable.
macro_rules! streamed {
    ($node:expr) => {
        $crate::node::streamed::Streamed {
            table: &$node.partitions,
            shards: &$node.shards,
            purged: &$node.purged,
            keeps_collections_highest: $node.config.keeps_collections_highest,
            quota: &$node.quota,
        }
    };
}

pub(super) use streamed;

/// Returns the seqno up to which tombstones may be missing in a node's copy of a vBucket.
pub(super) fn purge_seqno(
    purged: &BTreeMap<Vbid, Seqno>,
    vb: Vbid,
    vbucket: Option<&VBucket>,
) -> Seqno {
    // None is known of a vBucket from which nothing was purged.
    let on_disk = purged.get(&vb).copied().unwrap_or_default();
    // Items may have arrived without them and may not be flushed yet.
    vbucket.map_or(on_disk, |vbucket| vbucket.purge_seqno().max(on_disk))
}

impl Partitions for Streamed<'_> {
    fn vbucket(&self, vb: Vbid) -> Option<&VBucket> {
        self.table.get(vb).map(|partition| &partition.vbucket)
    }

    fn purge_seqno(&self, vb: Vbid) -> Seqno {
        if fault::is(Fault::PurgeIsForgotten) {
            return Seqno::ZERO;
        }
        purge_seqno(self.purged, vb, self.vbucket(vb))
    }

    fn persisted_seqno(&self, vb: Vbid) -> Seqno {
        // Nothing of an unknown vBucket is on disk.
        self.shards.of(vb).persisted_seqno(vb).unwrap_or_default()
    }

    fn collections(&self, vb: Vbid) -> Option<&Collections> {
        // The node may never have received a tombstone that was purged elsewhere.
        let is_known = self.keeps_collections_highest || self.purge_seqno(vb) == Seqno::ZERO;
        self.table
            .get(vb)
            .filter(|_| is_known)
            .map(|partition| &partition.collections)
    }

    fn has_memory(&self) -> bool {
        self.quota.state() != MemoryState::Full
    }
}
