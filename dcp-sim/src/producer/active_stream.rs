//! One vBucket's stream to one consumer: from a cursor's batches to markers and items.
//!
//! What always holds: each marker starts after the one before ended (the first where the client's snapshot starts);
//! every item announced by a marker is sent before the next marker; seqnos rise. The wanted end names a snapshot's
//! end: the snapshot that contains it is sent whole, then the stream is over.

use std::collections::VecDeque;

use checkpoint::{Cursor, ReadLimit, Seqno, SnapshotMarker, SnapshotRange, VBucket, Vbid};

use super::ProducerError;
use super::control::Options;
use crate::wire::{Command, Marker, Request, StreamEndReason, StreamRequest};

/// A read takes whole checkpoints; it goes on to another only below this.
const READ_LIMIT: ReadLimit = ReadLimit { items: 1_000, bytes: 1 << 20 };

#[derive(Debug)]
pub(super) struct ActiveStream {
    vb: Vbid,
    opaque: u32,
    cursor: Cursor,
    end: Seqno,
    /// Where the first marker starts; afterwards the seqno after the last one's end.
    next_start: Seqno,
    /// Start of the checkpoint the last marker belonged to.
    checkpoint_start: Option<Seqno>,
    sent: Seqno,
    queue: VecDeque<Request>,
    is_over: bool,
}

impl ActiveStream {
    pub(super) fn new(request: &Request, wanted: &StreamRequest, end: Seqno, cursor: Cursor) -> Self {
        Self {
            vb: request.vb,
            opaque: request.opaque,
            cursor,
            end,
            next_start: wanted.snapshot_start,
            checkpoint_start: None,
            sent: wanted.start,
            queue: VecDeque::new(),
            is_over: false,
        }
    }

    pub(super) fn sent_seqno(&self) -> Seqno {
        self.sent
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The next message; `None` when there is none now, or no more at all.
    pub(super) fn next(
        &mut self,
        vbucket: &VBucket,
        options: &Options,
    ) -> Result<Option<Request>, ProducerError> {
        if self.is_over {
            return Ok(None);
        }
        if self.queue.is_empty() {
            if self.sent >= self.end {
                self.is_over = true;
                return Ok(Some(self.message(Command::StreamEnd(StreamEndReason::Ok))));
            }
            self.refill(vbucket, options)?;
        }
        let Some(message) = self.queue.pop_front() else { return Ok(None) };
        self.sent = self.sent.max(seqno_of(&message.command).unwrap_or_default());
        Ok(Some(message))
    }

    pub(super) fn message(&self, command: Command) -> Request {
        Request::new(self.vb, self.opaque, command)
    }

    /// Gives up its cursor.
    pub(super) fn close(&self, vbucket: &VBucket) {
        // A cursor that is gone already needs nothing more.
        let _gone = vbucket.manager().unregister(self.cursor);
    }

    fn refill(&mut self, vbucket: &VBucket, options: &Options) -> Result<(), ProducerError> {
        let read = vbucket.manager().read(self.cursor, READ_LIMIT);
        let batch = read.map_err(|source| ProducerError::Checkpoint { vb: self.vb, source })?;
        let mut items = batch.items().filter(|item| item.operation.namespace().is_some()).peekable();
        for range in batch.ranges() {
            let mut is_announced = false;
            while let Some(item) = items.next_if(|item| item.seqno <= range.end) {
                if !is_announced {
                    self.announce(range, options);
                    is_announced = true;
                }
                let message = Request::from_item(self.vb, self.opaque, item, &options.item_format())?;
                self.queue.push_back(message);
            }
            if range.end >= self.end {
                break;
            }
        }
        Ok(())
    }

    fn announce(&mut self, range: &SnapshotRange, options: &Options) {
        // A snapshot that this node receives itself may go on in another checkpoint: it was announced whole.
        if range.end < self.next_start && self.checkpoint_start.is_some() {
            return;
        }
        let snapshot = SnapshotMarker {
            start: self.next_start,
            end: range.end,
            snapshot_type: range.snapshot_type,
            visible: Some(range.visible),
            high_completed_seqno: range.high_completed_seqno,
            high_prepared_seqno: range.high_prepared_seqno,
            purge_seqno: range.purge_seqno,
            extend: self.checkpoint_start == Some(range.start),
            history: range.history,
        };
        self.next_start = range.end.next();
        self.checkpoint_start = Some(range.start);
        let marker = if options.marker_v2_2 {
            Marker::from_snapshot_v2_2(&snapshot)
        } else {
            Marker::from_snapshot(&snapshot)
        };
        self.queue.push_back(self.message(Command::SnapshotMarker(marker)));
    }
}

/// The seqno a consumer has once it has this message.
fn seqno_of(command: &Command) -> Option<Seqno> {
    match command {
        Command::Mutation(message) => Some(message.seqno),
        Command::Deletion(message) => Some(message.seqno),
        Command::Expiration(message) => Some(message.seqno),
        Command::Prepare(message) => Some(message.seqno),
        Command::Commit(message) => Some(message.seqno),
        Command::Abort(message) => Some(message.seqno),
        Command::SystemEvent(message) => Some(message.seqno),
        Command::SeqnoAdvanced(seqno) => Some(*seqno),
        _ => None,
    }
}
