//! What a stream has to send: markers and items in their order, and how far the last marker reaches.
//!
//! What always holds: the first message is a marker that starts where the client's snapshot does; each later one starts
//! after the end of the one before (S1). A marker's start says that the client has everything before it whole. So a snapshot
//! that is cut short, because its sender receives it itself and lost its cursor inside it or was sent the rest as a part of
//! another, goes on with a marker that starts where the cut one did (S28), and says that a key may come again (S32). No item lies outside the last marker's range.

use std::collections::VecDeque;

use lowtide_checkpoint::{Item, Seqno, SnapshotMarker};

use crate::fault::{self, Fault};
use crate::producer::collections::Collections;
use crate::producer::filter::Filter;
use crate::producer::session::Options;
use crate::producer::stream_key::StreamKey;
use crate::producer::translate;
use crate::wire::{Command, Marker, MarkerFlags, Request, StreamEndReason, WireError};

/// Where a snapshot's items come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The snapshot in memory with that id.
    Memory(u64),
    /// One commit.
    Disk,
    /// A commit and checkpoints, or several checkpoints: a key may come from each.
    Joined,
}

/// What a marker announced.
#[derive(Clone, Copy, Debug)]
struct Announced {
    start: Seqno,
    end: Seqno,
}

#[derive(Debug)]
pub(super) struct Outbox {
    key: StreamKey,
    opaque: u32,
    messages: VecDeque<Request>,
    /// Where the next marker starts: at first the client's snapshot, then the seqno after the last one's end; of a snapshot
    /// that was cut short its start.
    next_start: Seqno,
    /// The last marker's range.
    announced: Option<Announced>,
    /// What is left of that range comes under another marker.
    is_cut: bool,
    /// The snapshot in memory that the last marker belonged to; none for one from disk.
    snapshot_id: Option<u64>,
    /// The last seqno the client is told of.
    told: Seqno,
    filter: Filter,
    /// The client hears of what it does not see.
    knows_collections: bool,
    /// Markers ask to be answered.
    asks_answers: bool,
    unanswered_markers: usize,
}

impl Outbox {
    /// Of a client that stands at `start` in a snapshot that starts at `snapshot_start`.
    pub(super) fn new(
        key: StreamKey,
        opaque: u32,
        (snapshot_start, start): (Seqno, Seqno),
        filter: Filter,
        knows_collections: bool,
        asks_answers: bool,
    ) -> Self {
        Self {
            key,
            opaque,
            messages: VecDeque::new(),
            next_start: snapshot_start,
            announced: None,
            is_cut: false,
            snapshot_id: None,
            told: start,
            filter,
            knows_collections,
            asks_answers,
            unanswered_markers: 0,
        }
    }

    pub(super) fn opaque(&self) -> u32 {
        self.opaque
    }

    /// Markers that were queued or sent and not answered yet.
    pub(super) fn unanswered_markers(&self) -> usize {
        self.unanswered_markers
    }

    pub(super) fn marker_answered(&mut self) {
        self.unanswered_markers = self.unanswered_markers.saturating_sub(1);
    }

    /// Whether nothing can pass its filter any more.
    pub(super) fn is_filter_empty(&self) -> bool {
        self.filter.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn pop(&mut self) -> Option<Request> {
        self.messages.pop_front()
    }

    /// Whether a client that has come to `seqno` has all of the last snapshot.
    pub(super) fn is_whole(&self, seqno: Seqno) -> bool {
        self.announced
            .is_none_or(|announced| announced.end <= seqno)
    }

    /// Whether the last marker reaches less far.
    pub(super) fn is_announced_below(&self, end: Seqno) -> bool {
        self.announced.is_some_and(|announced| announced.end < end)
    }

    /// Whether the last marker was of another snapshot in memory than that one.
    pub(super) fn is_of_another(&self, snapshot_id: u64) -> bool {
        self.snapshot_id.is_some_and(|last| last != snapshot_id)
    }

    /// Announces a snapshot, but for what of it was announced already. A second marker of one checkpoint goes on with it.
    pub(super) fn announce(
        &mut self,
        snapshot: &SnapshotMarker,
        origin: Origin,
        options: &Options,
    ) {
        // A snapshot that this node receives itself may go on in another checkpoint: it was announced whole.
        if !self.is_cut
            && self
                .announced
                .is_some_and(|announced| snapshot.end <= announced.end)
        {
            return;
        }
        let snapshot_id = match origin {
            Origin::Memory(id) => Some(id),
            Origin::Disk | Origin::Joined => None,
        };
        let extend = snapshot_id.is_some() && self.snapshot_id == snapshot_id;
        // What was sent of a snapshot before it was cut may have a key that comes again.
        let goes_on = std::mem::take(&mut self.is_cut);
        let may_repeat_keys = snapshot.may_repeat_keys || origin == Origin::Joined || goes_on;
        let snapshot = SnapshotMarker {
            start: self.next_start,
            extend,
            may_repeat_keys,
            ..*snapshot
        };
        self.snapshot_id = snapshot_id;
        self.next_start = snapshot.end.next();
        self.announced = Some(Announced {
            start: snapshot.start,
            end: snapshot.end,
        });
        let mut marker = match options {
            Options {
                marker_v2_2: true, ..
            } => Marker::from_snapshot_v2_2(&snapshot),
            Options {
                is_replica_link: true,
                ..
            }
            | Options {
                sync_writes: true, ..
            } => Marker::from_snapshot_v2_0(&snapshot),
            _ => Marker::from_snapshot(&snapshot),
        };
        if self.asks_answers {
            marker.flags = marker.flags.with(MarkerFlags::ACK);
            // A client that answers when it has the snapshot whole answers one that was cut with the rest of it: once.
            self.unanswered_markers += usize::from(!goes_on || self.unanswered_markers == 0);
        }
        self.push(Command::SnapshotMarker(marker));
    }

    /// An item of the snapshot, if the client is to see it.
    /// Returns whether it is.
    pub(super) fn item(&mut self, item: &Item, options: &Options) -> Result<bool, WireError> {
        self.tell(item, options, translate::command)
    }

    /// The same for an item from disk.
    pub(super) fn disk_item(&mut self, item: &Item, options: &Options) -> Result<bool, WireError> {
        self.tell(item, options, translate::disk_command)
    }

    fn tell(
        &mut self,
        item: &Item,
        options: &Options,
        command: impl FnOnce(&Item, &Options) -> Result<Option<Command>, WireError>,
    ) -> Result<bool, WireError> {
        let mut is_told = false;
        // First: a hidden item's key may be one that this connection can't be sent.
        if self.filter.passes(item)
            && let Some(command) = command(item, options)?
        {
            (self.told, is_told) = (item.seqno, true);
            self.push(command);
        }
        self.filter.take_note(item);
        Ok(is_told)
    }

    /// Whether the client is to see an item.
    pub(super) fn shows(&self, item: &Item, options: &Options) -> bool {
        translate::is_shown(item, options) && self.filter.passes(item)
    }

    /// All of the snapshot that ends there was read: a client that does not see its last items learns that it has it whole.
    pub(super) fn close_snapshot(&mut self, end: Seqno) {
        let is_end = self.announced.is_some_and(|announced| announced.end == end);
        if is_end && self.told < end && self.knows_collections {
            self.told = end;
            self.push(Command::SeqnoAdvanced(end));
        }
    }

    /// The client has all of the snapshot that comes up to `seqno`, and sees nothing of the last part.
    pub(super) fn advance_to(&mut self, seqno: Seqno) {
        let is_inside = self
            .announced
            .is_some_and(|announced| seqno < announced.end);
        if is_inside && self.told < seqno && self.knows_collections {
            self.told = seqno;
            self.push(Command::SeqnoAdvanced(seqno));
        }
    }

    /// Whether everything its filter lets through of a vBucket came up to `seqno` (S24).
    pub(super) fn has_all_collections(&self, known: &Collections, seqno: Seqno) -> bool {
        self.filter.high(known).is_some_and(|high| high <= seqno)
    }

    /// Everything up to `seqno` was sent. If the last marker reaches further, its snapshot is cut short there: the next marker
    /// starts where that one did, since the client has nothing of it whole (S28). Returns where it would have ended.
    pub(super) fn cut_short(&mut self, seqno: Seqno) -> Option<Seqno> {
        let cut = self.announced.filter(|announced| announced.end > seqno)?;
        self.next_start = if fault::is(Fault::CutSnapshotStartsAnew) {
            seqno.next()
        } else {
            cut.start
        };
        self.is_cut = true;
        self.snapshot_id = None;
        Some(cut.end)
    }

    /// Nothing but the end is sent any more.
    pub(super) fn end(&mut self, reason: StreamEndReason) {
        self.messages.clear();
        let end = self.end_message(reason);
        self.messages.push_back(end);
    }

    /// The stream's last message. A client that knows nothing of collections does not know the reasons they give, either.
    pub(super) fn end_message(&self, reason: StreamEndReason) -> Request {
        let is_of_collections = matches!(
            reason,
            StreamEndReason::FilterEmpty | StreamEndReason::LostPrivileges
        );
        let reason = if is_of_collections && !self.knows_collections {
            StreamEndReason::Ok
        } else {
            reason
        };
        self.message(Command::StreamEnd(reason))
    }

    pub(super) fn message(&self, command: Command) -> Request {
        Request {
            stream_id: self.key.id,
            ..Request::new(self.key.vb, self.opaque, command)
        }
    }

    pub(super) fn push(&mut self, command: Command) {
        let message = self.message(command);
        self.messages.push_back(message);
    }
}
