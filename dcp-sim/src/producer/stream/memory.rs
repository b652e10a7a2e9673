//! From a cursor's batches to markers and items.
//!
//! # Invariants
//!
//! - S20. A client inside a snapshot lacks items that were replaced in it, so it is complete only
//!   at that snapshot's end. The first snapshot it is sent reaches at least that far, to the end of
//!   a checkpoint.
//! - S33. A client that does not learn of invisible items is sent complete snapshots only. All
//!   checkpoints of one are read before it is announced, so its last visible item is known.

use lowtide_checkpoint::internal::{Invariant, Violation, checked_invariant, invariant};
use lowtide_checkpoint::{
    CheckpointError, CursorBatch, Item, ReadLimit, Seqno, SnapshotMarker, SnapshotRange, State,
    VBucket,
};

use super::active_stream::ActiveStream;
use super::outbox::Origin;
use super::stage::Source;
use crate::fault::{self, Fault};
use crate::producer::error::ProducerError;
use crate::producer::session::Options;
use crate::wire::StreamEndReason;

/// A read takes whole checkpoints, and adds another one only below this limit.
const READ_LIMIT: ReadLimit = ReadLimit::NONE.with_items(1_000).with_bytes(1 << 20);

impl ActiveStream {
    /// Reads from the cursor. Returns `true` if there were items, or if the stream's source
    /// changed.
    pub(super) fn refill(
        &mut self,
        vbucket: &VBucket,
        options: &Options,
    ) -> Result<bool, ProducerError> {
        if !options.collections && self.awaits_rest(vbucket) {
            return Ok(false);
        }
        let cursor = self.cursor;
        invariant!(
            cursor.is_some(),
            "S9",
            "a stream that reads from memory has a cursor"
        );
        let reach = self.reach.take();
        let batches = match reach {
            None if options.collections => Vec::from_iter(self.read_batch(vbucket)?),
            _ => self.gather(vbucket, reach, options)?,
        };
        // A new cursor in memory may have items already that no notification announces.
        let is_elsewhere = self.cursor != cursor && !fault::is(Fault::DroppedCursorWakesNobody);
        let stands_elsewhere =
            self.reach.is_some() || is_elsewhere || !matches!(self.source, Source::Memory);
        let has_read = stands_elsewhere || !batches.is_empty();
        let mut ranges = batches.iter().flat_map(CursorBatch::ranges);
        match reach {
            Some(reach) if ranges.any(|range| range.last > Some(self.read)) => {
                self.announce_joined(&batches, reach, options)?;
            }
            // There were no items, or only a change of state.
            _ => self.reach = self.reach.max(reach),
        }
        self.take_batches(&batches, options)?;
        Ok(has_read)
    }

    /// Returns `true` if this node is receiving a snapshot, or has yet to receive the end of the
    /// client's snapshot. A client that does not learn of invisible items waits for the rest. It
    /// could not know that its last visible item ends the snapshot (S33).
    pub(super) fn awaits_rest(&self, vbucket: &VBucket) -> bool {
        let point = vbucket.resume_point();
        let is_inside = point.snapshot_start < point.seqno && point.seqno < point.snapshot_end;
        is_inside || self.reach.is_some_and(|reach| point.seqno < reach)
    }

    /// Returns the cursor's next batch, or `None` if there is none, the stream's source changed, or
    /// the stream has no cursor because it reads from disk only.
    fn read_batch(&mut self, vbucket: &VBucket) -> Result<Option<CursorBatch>, ProducerError> {
        let Some(cursor) = self.cursor else {
            return Ok(None);
        };
        match vbucket.manager().read(cursor, READ_LIMIT) {
            Ok(batch) => Ok(Some(batch).filter(|batch| !batch.is_empty())),
            Err(CheckpointError::UnknownCursor) => self.register_again(vbucket).map(|()| None),
            Err(source) => Err(ProducerError::Checkpoint {
                vb: self.key.vb,
                source,
            }),
        }
    }

    /// Reads batches until one contains the checkpoint of `reach`, or there are no more. For a
    /// client that does not learn of invisible items, the last snapshot must be complete, too.
    /// Returns no batches if the cursor is lost: the stream's source changed, and it gathers again
    /// later.
    pub(super) fn gather(
        &mut self,
        vbucket: &VBucket,
        reach: Option<Seqno>,
        options: &Options,
    ) -> Result<Vec<CursorBatch>, ProducerError> {
        let cursor = self.cursor;
        let mut batches = Vec::new();
        while let Some(batch) = self.read_batch(vbucket)? {
            let has_reached = batch.ranges().iter().any(|range| Some(range.end) >= reach);
            let is_last = has_reached && (options.collections || ends_whole(&batch));
            batches.push(batch);
            if is_last {
                return Ok(batches);
            }
        }
        if self.cursor != cursor {
            self.reach = self.reach.max(reach);
            batches.clear();
        }
        Ok(batches)
    }

    /// Announces all checkpoints up to that of `reach` as one snapshot, unless that is the first
    /// one. A replica may still lack a part of a snapshot that its client has in part from another
    /// copy. It then announces its own part, with the end `reach`.
    fn announce_joined(
        &mut self,
        batches: &[CursorBatch],
        reach: Seqno,
        options: &Options,
    ) -> Result<(), Violation> {
        let ranges = || batches.iter().flat_map(CursorBatch::ranges);
        let reaching = ranges().find(|range| range.end >= reach);
        if reaching.is_some() && reaching == ranges().next() {
            return Ok(());
        }
        let range = reaching
            .or_else(|| ranges().last())
            .invariant("S20", "items that were read are in a checkpoint")?;
        let items = batches.iter().flat_map(CursorBatch::items);
        if let Some(end) = self.end_for_client(items, range, options) {
            let end = if reaching.is_none() {
                end.max(reach)
            } else {
                end
            };
            self.outbox.announce(
                &SnapshotMarker {
                    end,
                    ..marker(range)
                },
                Origin::Joined,
                options,
            );
        }
        Ok(())
    }

    /// Returns the seqno at which the client completes the snapshot that ends with `range`. For a
    /// client that does not learn of invisible items it is the last visible one of `items`, the
    /// remaining items. Returns `None` if none is visible (S25).
    fn end_for_client<'a>(
        &self,
        items: impl Iterator<Item = &'a Item>,
        range: &SnapshotRange,
        options: &Options,
    ) -> Option<Seqno> {
        if options.collections {
            return Some(marker(range).end);
        }
        let up_to_there = items.filter(|item| self.read < item.seqno && item.seqno <= range.end);
        up_to_there
            .filter(|item| self.outbox.is_visible(item, options))
            .map(|item| item.seqno)
            .max()
    }

    /// Registers a new cursor after memory recovery dropped the old one; the disk has the items
    /// that memory dropped. Ends the stream if the vBucket has less than was sent: it was rolled
    /// back, and the client must learn of it.
    pub(super) fn register_again(&mut self, vbucket: &VBucket) -> Result<(), ProducerError> {
        match self.register(vbucket, self.read) {
            Ok(registration) => {
                self.source = Source::after(registration);
                // The client does not get the rest of the announced range: the next snapshot must
                // reach as far.
                self.reach = self.outbox.cut_short(self.read).max(self.reach);
                Ok(())
            }
            Err(CheckpointError::NotQueuedYet { .. }) => {
                self.end(StreamEndReason::Rollback);
                Ok(())
            }
            Err(source) => Err(ProducerError::Checkpoint {
                vb: self.key.vb,
                source,
            }),
        }
    }

    /// Returns the origin of the snapshot that starts with `range`. This node may have received it
    /// in parts, under several markers. They are announced as one snapshot if the node is active,
    /// which has all of them, or if the batch has the next part.
    fn origin(&self, range: &SnapshotRange, batch: &CursorBatch) -> Origin {
        let is_part = range.last < Some(range.end);
        let has_rest = || {
            batch
                .ranges()
                .iter()
                .any(|next| next.snapshot_id > range.snapshot_id)
        };
        if is_part && (self.state == State::Active || has_rest()) {
            return Origin::Joined;
        }
        Origin::Memory(range.snapshot_id)
    }

    /// Queues the messages for batches that were read together.
    pub(super) fn take_batches(
        &mut self,
        batches: &[CursorBatch],
        options: &Options,
    ) -> Result<(), ProducerError> {
        batches
            .iter()
            .try_for_each(|batch| self.take_batch(batch, batches, options))
    }

    /// Queues the messages for one of `batches`. The others may contain the rest of its last
    /// snapshot.
    fn take_batch(
        &mut self,
        batch: &CursorBatch,
        batches: &[CursorBatch],
        options: &Options,
    ) -> Result<(), ProducerError> {
        let is_operation = |item: &&Item| item.operation.namespace().is_some();
        let mut items = batch.items().filter(is_operation).peekable();
        // Items at or below the read seqno appear only after a rollback of the vBucket.
        if items.peek().is_some_and(|item| item.seqno <= self.read) {
            self.end(StreamEndReason::Rollback);
            return Ok(());
        }
        for range in batch
            .ranges()
            .iter()
            .map(SnapshotRange::without_empty_extension)
        {
            let all = batches.iter().flat_map(CursorBatch::items);
            let end = self.end_for_client(all, &range, options);
            let mut last = None;
            while let Some(item) = items.next_if(|item| item.seqno <= range.end) {
                if let (None, Some(end)) = (last, end) {
                    // This node was receiving the snapshot itself. Its rest came under another
                    // marker, which may reach further and may repeat a key.
                    if self.outbox.is_announced_below(end)
                        || self.outbox.is_of_another(range.snapshot_id)
                    {
                        self.outbox.cut_short(self.read);
                    }
                    let may_repeat_keys = range.may_repeat_keys_after(self.read);
                    let snapshot = SnapshotMarker {
                        end,
                        may_repeat_keys,
                        ..marker(&range)
                    };
                    let origin = self.origin(&range, batch);
                    self.outbox.announce(&snapshot, origin, options);
                }
                let _told = self.outbox.item(item, options)?;
                last = Some(item.seqno);
            }
            if let Some(last) = last {
                checked_invariant!(last > self.read, "S9", "no item is read twice");
                self.read = last;
            }
            if last == Some(range.end) {
                self.outbox.close_snapshot(range.end);
            }
            // The requested end is reached: later checkpoints are not for this client.
            if self.read >= self.end && self.outbox.is_whole(self.read) {
                return Ok(());
            }
        }
        invariant!(
            items.next().is_none(),
            "S9",
            "each item of a batch is in one of its checkpoints"
        );
        Ok(())
    }
}

/// Returns `true` if the last snapshot of the batch is complete. Of one in several checkpoints only
/// the last contains its end.
fn ends_whole(batch: &CursorBatch) -> bool {
    let last = batch.ranges().iter().rfind(|range| range.last.is_some());
    // A change of state alone ends no snapshot.
    last.is_some_and(|range| range.last == Some(range.end) || range.awaits_extension())
}

/// Returns the end of the first checkpoint that reaches `reach`, or `reach` itself if none does.
pub(super) fn end_of(batches: &[CursorBatch], reach: Seqno) -> Seqno {
    let mut ends = batches
        .iter()
        .flat_map(CursorBatch::ranges)
        .map(|range| range.end);
    ends.find(|&end| end >= reach).unwrap_or(reach)
}

/// Returns the end that a marker of `range` announces.
fn announced_end(range: &SnapshotRange) -> Seqno {
    if fault::is(Fault::MarkerEndsEarly) && range.start < range.end {
        return range.end.prev();
    }
    range.end
}

fn marker(range: &SnapshotRange) -> SnapshotMarker {
    SnapshotMarker {
        visible: Some(range.visible),
        high_completed_seqno: range.high_completed_seqno,
        high_prepared_seqno: range.high_prepared_seqno,
        purge_seqno: range.purge_seqno,
        history: range.history,
        may_repeat_keys: range.may_repeat_keys,
        ..SnapshotMarker::new(range.snapshot_type, range.start, announced_end(range))
    }
}
