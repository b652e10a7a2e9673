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

use super::ProducerError;
use super::backfill::BackfillScan;
use super::control::Options;
use super::filter::Filter;
use super::stream_key::StreamKey;
use crate::wire::{Request, StreamEndReason, StreamRequest, StreamRequestFlags};

mod disk;
mod memory;
mod outbox;
mod progress;
mod survey;
mod takeover;

use disk::Disk;
pub(super) use disk::Negotiated;
use outbox::Outbox;
use progress::{Hidden, Standstill};
use survey::Survey;
use takeover::Takeover;

#[derive(Debug)]
pub(super) struct ActiveStream {
    key: StreamKey,
    cursor_name: String,
    is_droppable: bool,
    flags: StreamRequestFlags,
    /// What the vBucket was when the stream was opened: it serves this stream while it is that.
    state: State,
    start: Seqno,
    end: Seqno,
    /// Tombstones up to there the client knows to be gone.
    client_purge: Seqno,
    /// Of tombstones up to there it has missed none of its collections.
    seen_purge: Seqno,
    source: Source,
    cursor: Option<Cursor>,
    /// Everything up to here is in the outbox or was sent, as far as the client is to see it.
    read: Seqno,
    sent: Seqno,
    /// The client is inside a snapshot that ends there: it is whole only at the end of one that reaches as far.
    reach: Option<Seqno>,
    /// What was read from memory before the disk, to know where the snapshot ends.
    gathered: Vec<Batch>,
    /// What is found on disk that the client is to see, before any of it is sent.
    survey: Option<Survey>,
    /// How far it is with handing the vBucket over, if that is wanted.
    takeover: Option<Takeover>,
    /// What a scan has read since the client was last told anything.
    hidden: Hidden,
    /// Messages sent and slices read.
    moves: u64,
    standstill: Option<Standstill>,
    outbox: Outbox,
}

/// Where the next items come from.
#[derive(Debug)]
enum Source {
    Memory,
    Disk(Disk),
    /// The disk has been read, and that was all that was wanted.
    Exhausted,
    /// Nowhere: what is in the outbox is the last.
    Over,
}

/// What a stream does next.
#[derive(Debug)]
pub(super) enum Turn {
    /// Send this.
    Message(Request),
    /// It needs the disk, from after the seqno it has read.
    Backfill,
    /// It has room for the next slice.
    ReadOn(BackfillScan),
    /// Nothing until something happens.
    Nothing,
}

/// What a stream is opened with.
#[derive(Debug)]
pub(super) struct Opening<'a> {
    pub(super) key: StreamKey,
    pub(super) opaque: u32,
    pub(super) wanted: &'a StreamRequest,
    pub(super) filter: Filter,
    /// As the flags and the vBucket's history say.
    pub(super) end: Seqno,
    pub(super) client_purge: Seqno,
    pub(super) seen_purge: Seqno,
    /// Whether its client hears of what it does not see.
    pub(super) knows_collections: bool,
    pub(super) cursor_name: String,
    pub(super) is_droppable: bool,
}

impl ActiveStream {
    /// A stream whose request was found good.
    ///
    /// # Errors
    /// If there is no place for its cursor: the client claims to have what is not queued yet.
    pub(super) fn open(opening: Opening<'_>, vbucket: &VBucket) -> Result<Self, CheckpointError> {
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

    pub(super) fn sent_seqno(&self) -> Seqno {
        self.sent
    }

    pub(super) fn read_seqno(&self) -> Seqno {
        self.read
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.source, Source::Over) && self.outbox.is_empty()
    }

    /// Whether it waits for the disk and has nothing else to do: news in memory are none for it.
    pub(super) fn waits_for_disk(&self) -> bool {
        matches!(&self.source, Source::Disk(disk) if disk.waits()) && self.outbox.is_empty()
    }

    /// The opaque of its request, which all its messages carry.
    pub(super) fn opaque(&self) -> u32 {
        self.outbox.opaque()
    }

    /// What comes next.
    pub(super) fn next(
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
    pub(super) fn expects(&self, vbucket: &VBucket) -> bool {
        vbucket.state() == State::Dead && self.may_be_dead()
    }

    /// The stream is over, for that reason: what was not sent yet is not sent any more.
    pub(super) fn end(&mut self, reason: StreamEndReason) {
        if !matches!(self.source, Source::Over) {
            self.outbox.end(reason);
            self.gathered.clear();
            self.source = Source::Over;
        }
    }

    /// The message that ends it at once.
    pub(super) fn farewell(&self, reason: StreamEndReason) -> Request {
        self.outbox.farewell(reason)
    }

    /// Gives up its cursor.
    pub(super) fn close(&mut self, vbucket: &VBucket) {
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

    fn is_disk_only(&self) -> bool {
        self.flags.contains(StreamRequestFlags::DISK_ONLY)
    }

    /// Stands its cursor after a seqno; one it had before is gone in the same step.
    fn register(
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

impl Source {
    fn after(registration: Registration) -> Self {
        if registration.backfill {
            Self::Disk(Disk::Wanted)
        } else {
            Self::Memory
        }
    }
}
