//! From a subscription's batches to markers, items and the ends of snapshots.

use std::sync::Arc;

use lowtide_checkpoint::internal::{Invariant, checked_invariant};
use lowtide_checkpoint::{
    CursorBatch, Operation, ReadLimit, ResumePoint, Seqno, SnapshotRange, State, SubscriptionEvent,
    VBucket,
};

use super::error::FollowerError;
use super::event::{FollowerEvent, FollowerItems, FollowerTurn, operations};
use super::machine::{FollowerMachine, Stage};

/// A batch holds one checkpoint, and so the items of one marker.
const ONE_CHECKPOINT: ReadLimit = ReadLimit::NONE.with_items(1);

impl FollowerMachine {
    /// Reads the next batch. Returns no turn if there is an event, or if the items come from
    /// elsewhere.
    pub(super) fn read_memory(
        &mut self,
        vbucket: &VBucket,
    ) -> Result<Option<FollowerTurn>, FollowerError> {
        let polled = self.subscription()?.poll_or_arm(ONE_CHECKPOINT);
        match polled.map_err(|source| self.checkpoint_error(source))? {
            SubscriptionEvent::Batch(batch) => {
                self.disk_lacks_items = false;
                // A branch that began before the batch was read is noticed here (S37).
                if !self.is_on_another_branch(vbucket) {
                    self.take_batch(batch)?;
                }
            }
            SubscriptionEvent::Backfill(missing) => {
                self.markers.cut(self.read);
                self.stage = Stage::DiskWanted;
                if std::mem::take(&mut self.disk_lacks_items) {
                    return Err(FollowerError::NotOnDisk {
                        vb: self.vb,
                        from: missing.from,
                        to: missing.to,
                    });
                }
            }
            SubscriptionEvent::Idle => {
                self.disk_lacks_items = false;
                // The rest of the snapshot never comes if the copy was promoted inside it. The change
                // of state may have left memory.
                let is_inside = !self.markers.is_whole(self.read);
                if !(is_inside && self.is_on_another_branch(vbucket)) {
                    return Ok(Some(FollowerTurn::Idle));
                }
            }
            event => self.interrupted(&event, vbucket)?,
        }
        Ok(None)
    }

    /// Queues the events of a batch.
    fn take_batch(&mut self, batch: CursorBatch) -> Result<(), FollowerError> {
        let last = batch.last_seqno();
        let range = batch
            .ranges()
            .last()
            .map(SnapshotRange::without_empty_extension);
        let range = range
            .invariant("S35", "a batch that is not empty has a range")
            .map_err(|violation| self.internal(violation))?;
        let has_operations = last > self.read;
        checked_invariant!(
            operations(&batch).all(|item| item.seqno > self.read),
            "S35",
            "no item is read twice"
        );
        if has_operations {
            let marker = self.markers.for_memory(&range, self.read);
            self.events.extend(marker.map(FollowerEvent::Snapshot));
        }
        self.take_items(batch);
        self.read = self.read.max(last);
        if has_operations && self.markers.is_whole(last) {
            self.queue_snapshot_end();
        }
        Ok(())
    }

    /// Queues the items of a batch, and the changes of state between them.
    fn take_items(&mut self, batch: CursorBatch) {
        let is_change = |operation| matches!(operation, Operation::SetVBucketState(_));
        if !batch.items().any(|item| is_change(item.operation)) {
            let items = FollowerItems::of_batch(batch);
            self.events.push_back(FollowerEvent::Items(items));
            return;
        }
        let batch = Arc::new(batch);
        let (mut skip, mut take, mut last) = (0, 0, Seqno::ZERO);
        for item in batch.items() {
            let Operation::SetVBucketState(state) = item.operation else {
                (take, last) = (take + 1, item.seqno);
                continue;
            };
            self.queue_part(&batch, skip, take, last);
            (skip, take) = (skip + take, 0);
            self.queue_state(state);
        }
        self.queue_part(&batch, skip, take, last);
    }

    fn queue_part(&mut self, batch: &Arc<CursorBatch>, skip: usize, take: usize, last: Seqno) {
        if take > 0 {
            let items = FollowerItems::of_part(batch, skip, take, last);
            self.events.push_back(FollowerEvent::Items(items));
        }
    }

    fn queue_state(&mut self, state: State) {
        self.events.push_back(FollowerEvent::StateChanged(state));
    }

    /// Queues the end of the snapshot, at the last seqno read.
    pub(super) fn queue_snapshot_end(&mut self) {
        let point = ResumePoint::whole(self.branch, self.read);
        self.events.push_back(FollowerEvent::SnapshotEnd(point));
    }
}
