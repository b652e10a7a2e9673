//! One vBucket's stream to one consumer: from a cursor's batches, or from disk, to markers and
//! items.
//!
//! ```text
//!               memory no longer has the next items
//!        memory ------------------------------------> disk ----> over
//!           ^     the snapshot from disk was sent       |
//!           +-------------------------------------------+
//! ```
//!
//! # Invariants
//!
//! - Every item is read once, in order, from memory or from disk (S9).
//! - A dropped cursor moves the stream to disk; it does not end it (S10).
//! - The requested end names the end of a snapshot. The snapshot that contains it is sent whole,
//!   then the stream ends (S3).
//! - Every other end has a reason (S13).

use lowtide_checkpoint::{
    CheckpointError, Cursor, CursorBatch, CursorOptions, Registration, Seqno, State, VBucket,
};

use super::outbox::Outbox;
use super::progress::{Hidden, Standstill};
use super::stage::{Disk, Source, Survey, Takeover, Turn};
use crate::producer::error::ProducerError;
use crate::producer::filter::Filter;
use crate::producer::session::Options;
use crate::producer::stream_key::StreamKey;
use crate::wire::{Request, StreamEndReason, StreamRequest, StreamRequestFlags};

#[derive(Debug)]
pub(in crate::producer) struct ActiveStream {
    pub(super) key: StreamKey,
    cursor_name: String,
    is_droppable: bool,
    pub(super) flags: StreamRequestFlags,
    /// State of the vBucket when the stream was opened. The stream ends when the state changes.
    pub(super) state: State,
    pub(super) start: Seqno,
    pub(super) end: Seqno,
    /// The client knows that tombstones up to here are purged.
    pub(super) client_purge: Seqno,
    /// The client missed no tombstone of its collections up to here.
    pub(super) seen_purge: Seqno,
    pub(super) source: Source,
    pub(super) cursor: Option<Cursor>,
    /// Everything up to here that the client sees is in the outbox or was sent.
    pub(super) read: Seqno,
    sent: Seqno,
    /// End of the snapshot that the client is inside. The client is complete only at the end of a
    /// snapshot that reaches it.
    pub(super) reach: Option<Seqno>,
    /// Batches read from memory before the disk, to find the end of the snapshot.
    pub(super) gathered: Vec<CursorBatch>,
    /// First pass over a snapshot from disk, before any of it is sent.
    pub(super) survey: Option<Survey>,
    /// Step of the takeover, if one was requested.
    pub(super) takeover: Option<Takeover>,
    /// Items read from disk since the last message to the client.
    pub(super) hidden: Hidden,
    /// Number of messages sent and slices read.
    pub(super) steps_done: u64,
    pub(super) standstill: Option<Standstill>,
    pub(super) outbox: Outbox,
}

/// Parameters of a new stream.
#[derive(Debug)]
pub(in crate::producer) struct Opening {
    pub(in crate::producer) key: StreamKey,
    pub(in crate::producer) opaque: u32,
    pub(in crate::producer) wanted: StreamRequest,
    pub(in crate::producer) filter: Filter,
    /// End seqno that follows from the flags and the vBucket's history.
    pub(in crate::producer) end: Seqno,
    pub(in crate::producer) client_purge: Seqno,
    pub(in crate::producer) seen_purge: Seqno,
    /// `true` if the client learns of items that it does not see.
    pub(in crate::producer) knows_collections: bool,
    pub(in crate::producer) cursor_name: String,
    pub(in crate::producer) is_droppable: bool,
}

impl ActiveStream {
    /// Opens a stream after its request passed the checks.
    ///
    /// # Errors
    /// If the cursor cannot be registered: the client claims items that are not queued yet.
    pub(in crate::producer) fn open(
        opening: Opening,
        vbucket: &VBucket,
    ) -> Result<Self, CheckpointError> {
        let Opening {
            key,
            opaque,
            wanted,
            filter,
            end,
            client_purge,
            seen_purge,
            ..
        } = opening;
        let is_takeover = wanted.flags.contains(StreamRequestFlags::TAKEOVER);
        let starts = (wanted.snapshot_start, wanted.start);
        let outbox = Outbox::new(
            key,
            opaque,
            starts,
            filter,
            opening.knows_collections,
            is_takeover,
        );
        let mut stream = Self {
            key,
            cursor_name: opening.cursor_name,
            is_droppable: opening.is_droppable,
            flags: wanted.flags,
            state: vbucket.state(),
            start: wanted.start,
            end,
            client_purge,
            seen_purge,
            source: Source::Disk(Disk::Wanted),
            cursor: None,
            read: wanted.start,
            sent: wanted.start,
            reach: Some(wanted.snapshot_end)
                .filter(|&end| wanted.snapshot_start < wanted.start && wanted.start < end),
            gathered: Vec::new(),
            survey: None,
            takeover: is_takeover.then_some(Takeover::Sending),
            hidden: Hidden::default(),
            steps_done: 0,
            standstill: None,
            outbox,
        };
        if !stream.is_disk_only() {
            let registration = stream.register(vbucket, wanted.start)?;
            stream.source = Source::after(registration);
        }
        Ok(stream)
    }

    pub(in crate::producer) fn sent_seqno(&self) -> Seqno {
        self.sent
    }

    pub(in crate::producer) fn read_seqno(&self) -> Seqno {
        self.read
    }

    pub(in crate::producer) fn is_over(&self) -> bool {
        matches!(self.source, Source::Over) && self.outbox.is_empty()
    }

    /// Returns `true` if the stream waits for the disk only, so new items in memory do not concern
    /// it.
    pub(in crate::producer) fn waits_for_disk(&self) -> bool {
        matches!(&self.source, Source::Disk(disk) if disk.waits()) && self.outbox.is_empty()
    }

    /// Returns the opaque of the request, which all messages of the stream carry.
    pub(in crate::producer) fn opaque(&self) -> u32 {
        self.outbox.opaque()
    }

    /// Returns the next action.
    pub(in crate::producer) fn next(
        &mut self,
        vbucket: &VBucket,
        options: &Options,
    ) -> Result<Turn, ProducerError> {
        loop {
            if let Some(message) = self.outbox.pop() {
                if let Some(seqno) = message.command.seqno() {
                    self.sent = self.sent.max(seqno);
                }
                self.steps_done += 1;
                return Ok(Turn::Message(message));
            }
            self.check_end(vbucket);
            if !self.outbox.is_empty() {
                continue;
            }
            if matches!(self.source, Source::Disk(Disk::AwaitingRest)) && self.awaits_rest(vbucket)
            {
                return Ok(Turn::Nothing);
            }
            match &mut self.source {
                Source::Exhausted | Source::Over => return Ok(Turn::Nothing),
                Source::Disk(disk) => return Ok(disk.next()),
                Source::Memory => {}
            }
            let has_read = self.refill(vbucket, options)?;
            if !has_read && !self.advance_takeover(vbucket) && self.outbox.is_empty() {
                return Ok(Turn::Nothing);
            }
        }
    }

    /// Returns `true` if the stream waits for this state of its vBucket.
    pub(in crate::producer) fn expects(&self, vbucket: &VBucket) -> bool {
        vbucket.state() == State::Dead && self.may_be_dead()
    }

    /// Ends the stream. Unsent messages are dropped.
    pub(in crate::producer) fn end(&mut self, reason: StreamEndReason) {
        if !matches!(self.source, Source::Over) {
            self.outbox.end(reason);
            self.gathered.clear();
            self.source = Source::Over;
        }
    }

    /// Returns the message that ends the stream.
    pub(in crate::producer) fn end_message(&self, reason: StreamEndReason) -> Request {
        self.outbox.end_message(reason)
    }

    /// Unregisters the cursor.
    pub(in crate::producer) fn close(&mut self, vbucket: &VBucket) {
        if let Some(cursor) = self.cursor.take() {
            // The cursor may be gone already: memory recovery dropped it.
            let _gone = vbucket.manager().unregister(cursor);
        }
    }

    /// Takes the name of the flusher's cursor, which the manager refuses, as a bug would.
    #[cfg(test)]
    pub(in crate::producer) fn take_reserved_cursor_name(&mut self) {
        lowtide_checkpoint::PERSISTENCE.clone_into(&mut self.cursor_name);
    }

    /// Ends the stream at its requested end, or when the vBucket's state changed.
    fn check_end(&mut self, vbucket: &VBucket) {
        if matches!(self.source, Source::Over) {
            return;
        }
        if vbucket.state() != self.state && !self.expects(vbucket) {
            self.end(StreamEndReason::StateChanged);
        } else if self.outbox.is_filter_empty() {
            self.end(StreamEndReason::FilterEmpty);
        } else if matches!(self.source, Source::Exhausted)
            || self.read >= self.end && self.outbox.is_whole(self.read)
        {
            self.end(StreamEndReason::Ok);
        }
    }

    pub(super) fn is_disk_only(&self) -> bool {
        self.flags.contains(StreamRequestFlags::DISK_ONLY)
    }

    /// Registers the cursor after a seqno. It replaces the previous cursor in the same step.
    pub(super) fn register(
        &mut self,
        vbucket: &VBucket,
        after: Seqno,
    ) -> Result<Registration, CheckpointError> {
        let options = CursorOptions::new().with_droppable(self.is_droppable);
        let registration = vbucket
            .manager()
            .register(&self.cursor_name, after, options)?;
        self.cursor = Some(registration.cursor);
        Ok(registration)
    }
}
