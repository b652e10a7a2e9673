//! One vBucket's stream to one consumer: from a cursor's batches, or from disk, to markers and items.
//!
//! ```text
//!                 memory no longer has what comes next
//!        memory ------------------------------------> disk ----> over
//!           ^     the snapshot from disk was sent       |
//!           +-------------------------------------------+
//! ```
//!
//! What always holds: every message is read once, in order, from one of the two (S9); a cursor that is dropped takes the
//! stream to the disk, not to its end (S10). The wanted end names a snapshot's end: the snapshot that contains it is sent
//! whole, then the stream is over (S3). Every other end has its reason (S13).

use lowtide_checkpoint::{Batch, CheckpointError, Cursor, Registration, Seqno, State, VBucket};

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
    /// What the vBucket was when the stream was opened: it serves this stream while it is that.
    pub(super) state: State,
    pub(super) start: Seqno,
    pub(super) end: Seqno,
    /// Tombstones up to there the client knows to be gone.
    pub(super) client_purge: Seqno,
    /// Of tombstones up to there it has missed none of its collections.
    pub(super) seen_purge: Seqno,
    pub(super) source: Source,
    pub(super) cursor: Option<Cursor>,
    /// Everything up to here is in the outbox or was sent, as far as the client is to see it.
    pub(super) read: Seqno,
    sent: Seqno,
    /// The client is inside a snapshot that ends there: it is whole only at the end of one that reaches as far.
    pub(super) reach: Option<Seqno>,
    /// What was read from memory before the disk, to know where the snapshot ends.
    pub(super) gathered: Vec<Batch>,
    /// What is found on disk that the client is to see, before any of it is sent.
    pub(super) survey: Option<Survey>,
    /// How far it is with handing the vBucket over, if that is wanted.
    pub(super) takeover: Option<Takeover>,
    /// What a scan has read since the client was last told anything.
    pub(super) hidden: Hidden,
    /// Messages sent and slices read.
    pub(super) moves: u64,
    pub(super) standstill: Option<Standstill>,
    pub(super) outbox: Outbox,
}

/// What a stream is opened with.
#[derive(Debug)]
pub(in crate::producer) struct Opening<'a> {
    pub(in crate::producer) key: StreamKey,
    pub(in crate::producer) opaque: u32,
    pub(in crate::producer) wanted: &'a StreamRequest,
    pub(in crate::producer) filter: Filter,
    /// As the flags and the vBucket's history say.
    pub(in crate::producer) end: Seqno,
    pub(in crate::producer) client_purge: Seqno,
    pub(in crate::producer) seen_purge: Seqno,
    /// Whether its client hears of what it does not see.
    pub(in crate::producer) knows_collections: bool,
    pub(in crate::producer) cursor_name: String,
    pub(in crate::producer) is_droppable: bool,
}

impl ActiveStream {
    /// A stream whose request was found good.
    ///
    /// # Errors
    /// If there is no place for its cursor: the client claims to have what is not queued yet.
    pub(in crate::producer) fn open(
        opening: Opening<'_>,
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
            moves: 0,
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

    /// Whether it waits for the disk and has nothing else to do: news in memory are none for it.
    pub(in crate::producer) fn waits_for_disk(&self) -> bool {
        matches!(&self.source, Source::Disk(disk) if disk.waits()) && self.outbox.is_empty()
    }

    /// The opaque of its request, which all its messages carry.
    pub(in crate::producer) fn opaque(&self) -> u32 {
        self.outbox.opaque()
    }

    /// What comes next.
    pub(in crate::producer) fn next(
        &mut self,
        vbucket: &VBucket,
        options: &Options,
    ) -> Result<Turn, ProducerError> {
        while self.outbox.is_empty() {
            self.look_at_end(vbucket);
            if !self.outbox.is_empty() {
                break;
            }
            if matches!(self.source, Source::Disk(Disk::Halved)) && self.awaits_rest(vbucket) {
                return Ok(Turn::Nothing);
            }
            match &mut self.source {
                Source::Exhausted | Source::Over => return Ok(Turn::Nothing),
                Source::Disk(disk) => return Ok(disk.next()),
                Source::Memory => {}
            }
            let has_read = self.refill(vbucket, options)?;
            if !has_read && !self.hand_on(vbucket) && self.outbox.is_empty() {
                return Ok(Turn::Nothing);
            }
        }
        let Some(message) = self.outbox.pop() else {
            return Ok(Turn::Nothing);
        };
        self.sent = self.sent.max(message.command.seqno().unwrap_or_default());
        self.moves += 1;
        Ok(Turn::Message(message))
    }

    /// Whether a change of its vBucket's state is what it waits for.
    pub(in crate::producer) fn expects(&self, vbucket: &VBucket) -> bool {
        vbucket.state() == State::Dead && self.may_be_dead()
    }

    /// The stream is over, for that reason: what was not sent yet is not sent any more.
    pub(in crate::producer) fn end(&mut self, reason: StreamEndReason) {
        if !matches!(self.source, Source::Over) {
            self.outbox.end(reason);
            self.gathered.clear();
            self.source = Source::Over;
        }
    }

    /// The message that ends it at once.
    pub(in crate::producer) fn end_message(&self, reason: StreamEndReason) -> Request {
        self.outbox.end_message(reason)
    }

    /// Gives up its cursor.
    pub(in crate::producer) fn close(&mut self, vbucket: &VBucket) {
        if let Some(cursor) = self.cursor.take() {
            // One that memory recovery dropped needs nothing more.
            let _gone = vbucket.manager().unregister(cursor);
        }
    }

    /// Ends it where its client wanted, or when the vBucket no longer is what it was.
    fn look_at_end(&mut self, vbucket: &VBucket) {
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

    /// Stands its cursor after a seqno; one it had before is gone in the same step.
    pub(super) fn register(
        &mut self,
        vbucket: &VBucket,
        after: Seqno,
    ) -> Result<Registration, CheckpointError> {
        let registration = vbucket.manager().register(
            &self.cursor_name,
            after,
            lowtide_checkpoint::CursorOptions::new().with_droppable(self.is_droppable),
        )?;
        self.cursor = Some(registration.cursor);
        Ok(registration)
    }
}
