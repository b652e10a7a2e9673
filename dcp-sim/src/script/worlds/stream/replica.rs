//! Replica side of a node: the effects of messages on its vBuckets.

use lowtide_checkpoint::{
    CheckpointError, FailoverLog, Item, Seqno, SnapshotMarker, State, VBucketError, Vbid,
};

use super::node::{StreamNode, StreamPartition};
use crate::consumer::Replicas;

impl StreamNode {
    fn replica(&mut self, vb: Vbid) -> Result<&mut StreamPartition, VBucketError> {
        self.partitions
            .get_mut(&vb)
            .ok_or(VBucketError::WrongState {
                vb,
                state: State::Dead,
            })
    }
}

impl Replicas for StreamNode {
    fn adopt_failover_log(&mut self, vb: Vbid, log: FailoverLog) -> Result<(), VBucketError> {
        self.replica(vb)?.vbucket.set_failover_log(log);
        Ok(())
    }

    fn apply_marker(&mut self, vb: Vbid, marker: SnapshotMarker) -> Result<(), VBucketError> {
        self.replica(vb)?.vbucket.receive_marker(marker)
    }

    fn apply_item(&mut self, vb: Vbid, item: Item) -> Result<(), VBucketError> {
        let partition = self.replica(vb)?;
        partition.vbucket.receive(item.clone())?;
        partition.apply(&item);
        Ok(())
    }

    fn advance(&mut self, vb: Vbid, _seqno: Seqno) -> Result<(), VBucketError> {
        // A replica receives every item, so nothing is hidden from it.
        let source =
            CheckpointError::InvalidArgument("a replica's snapshot ends with its last item");
        Err(VBucketError::Checkpoint { vb, source })
    }

    fn set_state(&mut self, vb: Vbid, state: State) -> Result<(), VBucketError> {
        self.replica(vb)?.vbucket.set_state(state, None)
    }
}
