//! Interface to the node: the vBuckets that a producer streams from.

use lowtide_checkpoint::{Seqno, VBucket, Vbid};

use super::collections::Collections;

/// The vBuckets that a producer streams from.
pub trait Partitions {
    /// Returns the vBucket, if this node has it.
    fn vbucket(&self, vb: Vbid) -> Option<&VBucket>;

    /// Returns the seqno of the highest tombstone that was purged from disk.
    fn purge_seqno(&self, vb: Vbid) -> Seqno;

    /// Returns the seqno up to which everything is on disk.
    fn persisted_seqno(&self, vb: Vbid) -> Seqno;

    /// Returns the highest seqno of each collection, or `None` if unknown. If unknown, a filtered
    /// stream to the latest ends at the vBucket's high seqno, and a purge counts against every
    /// client.
    fn collections(&self, _vb: Vbid) -> Option<&Collections> {
        None
    }

    /// Returns `true` if there is memory for another stream. Call it after memory recovery.
    fn has_memory(&self) -> bool {
        true
    }
}
