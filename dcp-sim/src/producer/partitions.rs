//! What a producer may see of its node: the vBuckets it streams from.

use lowtide_checkpoint::{Seqno, VBucket, Vbid};

use super::collections::Collections;

/// The vBuckets a producer may stream from.
pub trait Partitions {
    /// The vBucket of that number, if this node has it.
    fn vbucket(&self, vb: Vbid) -> Option<&VBucket>;

    /// The highest tombstone that was purged from its disk.
    fn purge_seqno(&self, vb: Vbid) -> Seqno;

    /// Everything up to this seqno is on its disk.
    fn persisted_seqno(&self, vb: Vbid) -> Seqno;

    /// How far each of its collections has come; `None` if that can't be told. Then a filtered stream to the latest goes to
    /// the vBucket's high seqno, and a purge counts against every client.
    fn collections(&self, _vb: Vbid) -> Option<&Collections> {
        None
    }

    /// Whether there is memory for another stream, after whatever could be recovered was.
    fn has_memory(&self) -> bool {
        true
    }
}
