//! From a cursor's batches to markers and items.

use checkpoint::{Batch, CheckpointError, Item, ReadLimit, SnapshotMarker, SnapshotRange, VBucket};

use super::outbox::Origin;
use super::{ActiveStream, Source};
use crate::producer::ProducerError;
use crate::producer::control::Options;
use crate::wire::{StreamEndReason, WireError};

/// A read takes whole checkpoints; it goes on to another only below this.
const READ_LIMIT: ReadLimit = ReadLimit { items: 1_000, bytes: 1 << 20 };

impl ActiveStream {
    /// Takes what the cursor has. Returns whether there was anything, or the stream stands elsewhere now.
    pub(super) fn refill(&mut self, vbucket: &VBucket, options: &Options) -> Result<bool, ProducerError> {
        let Some(cursor) = self.cursor else { return Ok(false) };
        match vbucket.manager().read(cursor, READ_LIMIT) {
            Ok(batch) => {
                self.take_batch(&batch, options)?;
                Ok(!batch.is_empty())
            }
            Err(CheckpointError::UnknownCursor) => self.stand_again(vbucket).map(|()| true),
            Err(source) => Err(ProducerError::Checkpoint { vb: self.key.vb, source }),
        }
    }

    /// Memory recovery took the cursor: the disk has what it no longer holds. A vBucket that has less than was sent went
    /// back, and the client must learn of it.
    pub(super) fn stand_again(&mut self, vbucket: &VBucket) -> Result<(), ProducerError> {
        match self.register(vbucket, self.read) {
            Ok(registration) => {
                self.source = Source::after(registration);
                self.outbox.go_on_after(self.read);
                Ok(())
            }
            Err(CheckpointError::NotQueuedYet { .. }) => {
                self.end(StreamEndReason::Rollback);
                Ok(())
            }
            Err(source) => Err(ProducerError::Checkpoint { vb: self.key.vb, source }),
        }
    }

    fn take_batch(&mut self, batch: &Batch, options: &Options) -> Result<(), WireError> {
        let is_operation = |item: &&Item| item.operation.namespace().is_some();
        let mut items = batch.items().filter(is_operation).peekable();
        // Nothing rises from below what was sent, unless the vBucket went back.
        if items.peek().is_some_and(|item| item.seqno <= self.read) {
            self.end(StreamEndReason::Rollback);
            return Ok(());
        }
        for range in batch.ranges() {
            let mut last = None;
            while let Some(item) = items.next_if(|item| item.seqno <= range.end) {
                if last.is_none() {
                    self.outbox.announce(&marker(range), Origin::Checkpoint(range.start), options);
                }
                self.outbox.item(item, options)?;
                last = Some(item.seqno);
            }
            self.read = self.read.max(last.unwrap_or_default());
            if last == Some(range.end) {
                self.outbox.close_snapshot();
            }
            if self.read >= self.end && range.end <= self.read {
                break;
            }
        }
        Ok(())
    }
}

fn marker(range: &SnapshotRange) -> SnapshotMarker {
    SnapshotMarker {
        visible: Some(range.visible),
        high_completed_seqno: range.high_completed_seqno,
        high_prepared_seqno: range.high_prepared_seqno,
        purge_seqno: range.purge_seqno,
        history: range.history,
        ..SnapshotMarker::new(range.snapshot_type, range.start, range.end)
    }
}
