//! Write of a client: recovers memory if needed, looks up the previous revision, and lets the
//! vBucket order the item.

use bytes::Bytes;
use lowtide_checkpoint::{Item, Key, Vbid};

use crate::node::error::NodeError;
use crate::node::event::Action;
use crate::node::state::Node;

impl Node {
    pub(in crate::node) fn write(
        &mut self,
        vb: Vbid,
        key: Key,
        value: Option<Bytes>,
        now: u64,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        self.recover_memory();
        let partition = self.require(vb)?;
        let previous = partition
            .documents
            .get(&key)
            .map_or(0, |document| document.rev_seqno);
        let mut item = match value {
            Some(value) => Item::mutation(key, value),
            None => Item {
                expiry: seconds(now),
                ..Item::deletion(key)
            },
        };
        // The vBucket refuses a revision beyond its limits.
        item.rev_seqno = previous.saturating_add(1);
        let written = partition.vbucket.write(item.clone(), now)?;
        item.seqno = written.queued.seqno;
        item.cas = written.cas;
        partition.documents.apply(&item);
        partition.collections.record(&item);
        actions.push(Action::Written {
            vb,
            seqno: item.seqno,
            cas: item.cas,
        });
        self.queued(vb, actions);
        Ok(())
    }
}

/// Returns the seconds of a time in nanoseconds, or the last that the field holds, in 2106.
fn seconds(nanos: u64) -> u32 {
    u32::try_from(nanos / 1_000_000_000).unwrap_or(u32::MAX)
}
