//! Outbox of a stream: markers and items in order, and the range of the last marker.
//!
//! # Invariants
//!
//! - The first message is a marker that starts where the client's snapshot starts. Each later
//!   marker starts after the end of the previous one (S1).
//! - A marker's start says that the client has everything before it. A snapshot may be cut short:
//!   this node receives it itself, and lost its cursor inside it or received the rest as part of
//!   another one. The next marker then starts where the cut one did (S28), and says that a key may
//!   repeat (S32).
//! - S2. No item lies outside the last marker's range, and the seqnos rise.

use std::collections::VecDeque;

use lowtide_checkpoint::internal::checked_invariant;
use lowtide_checkpoint::{Item, Seqno, SnapshotMarker};

use crate::fault::{self, Fault};
use crate::producer::collections::Collections;
use crate::producer::filter::Filter;
use crate::producer::session::Options;
use crate::producer::stream_key::StreamKey;
use crate::producer::translate;
use crate::wire::{Command, Marker, MarkerFlags, Request, StreamEndReason, WireError};

/// Origin of a snapshot's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The snapshot in memory with this id.
    Memory(u64),
    /// One commit.
    Disk,
    /// A commit and checkpoints, or several checkpoints: each may contain the same key.
    Joined,
}

/// Range of a marker.
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
    /// Start of the next marker. Initially the client's snapshot, then the seqno after the last
    /// marker's end; after a cut snapshot, that snapshot's start.
    next_start: Seqno,
    /// Range of the last marker.
    announced: Option<Announced>,
    /// The rest of that range comes under another marker.
    is_cut: bool,
    /// Snapshot in memory of the last marker; `None` for one from disk.
    snapshot_id: Option<u64>,
    /// Last seqno that the client was informed of.
    informed_seqno: Seqno,
    filter: Filter,
    /// The client learns of items that it does not see.
    knows_collections: bool,
    /// Markers ask for an answer.
    asks_answers: bool,
    unanswered_markers: usize,
}

impl Outbox {
    /// Creates the outbox for a client at `start`, in a snapshot that starts at `snapshot_start`.
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
            informed_seqno: start,
            filter,
            knows_collections,
            asks_answers,
            unanswered_markers: 0,
        }
    }

    pub(super) fn opaque(&self) -> u32 {
        self.opaque
    }

    /// Returns the number of markers that were queued or sent and not answered.
    pub(super) fn unanswered_markers(&self) -> usize {
        self.unanswered_markers
    }

    /// Records the answer to a marker. An answer too many, which the client may send, is ignored.
    pub(super) fn marker_answered(&mut self) {
        self.unanswered_markers = self.unanswered_markers.saturating_sub(1);
    }

    /// Returns `true` if no item can pass the filter any more.
    pub(super) fn is_filter_empty(&self) -> bool {
        self.filter.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn pop(&mut self) -> Option<Request> {
        self.messages.pop_front()
    }

    /// Returns `true` if a client at `seqno` has all of the last snapshot.
    pub(super) fn is_whole(&self, seqno: Seqno) -> bool {
        self.announced
            .is_none_or(|announced| announced.end <= seqno)
    }

    /// Returns `true` if the last marker ends below `end`.
    pub(super) fn is_announced_below(&self, end: Seqno) -> bool {
        self.announced.is_some_and(|announced| announced.end < end)
    }

    /// Returns `true` if the last marker was of another snapshot in memory.
    pub(super) fn is_of_another(&self, snapshot_id: u64) -> bool {
        self.snapshot_id.is_some_and(|last| last != snapshot_id)
    }

    /// Announces a snapshot, except for a part that was announced before. A second marker of one
    /// checkpoint extends the first.
    pub(super) fn announce(
        &mut self,
        snapshot: &SnapshotMarker,
        origin: Origin,
        options: &Options,
    ) {
        // A snapshot that this node receives itself may continue in another checkpoint. It was
        // announced whole.
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
        // A key sent before the cut may repeat.
        let continues_cut = std::mem::take(&mut self.is_cut);
        let may_repeat_keys = snapshot.may_repeat_keys || origin == Origin::Joined || continues_cut;
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
            // The client answers a complete snapshot once, so a cut one and its rest get one
            // answer.
            self.unanswered_markers += usize::from(!continues_cut || self.unanswered_markers == 0);
        }
        self.push(Command::SnapshotMarker(marker));
    }

    /// Queues an item of the snapshot. Returns `true` if the client sees it.
    pub(super) fn item(&mut self, item: &Item, options: &Options) -> Result<bool, WireError> {
        self.push_visible(item, options, translate::command)
    }

    /// Same as [`Outbox::item`], for an item from disk.
    pub(super) fn disk_item(&mut self, item: &Item, options: &Options) -> Result<bool, WireError> {
        self.push_visible(item, options, translate::disk_command)
    }

    fn push_visible(
        &mut self,
        item: &Item,
        options: &Options,
        command: impl FnOnce(&Item, &Options) -> Result<Option<Command>, WireError>,
    ) -> Result<bool, WireError> {
        let mut is_sent = false;
        // Check the filter first: the key of a hidden item may not be encodable on this connection.
        if self.filter.passes(item)
            && let Some(command) = command(item, options)?
        {
            checked_invariant!(
                self.announces(item.seqno) || fault::is(Fault::MarkerEndsEarly),
                "S2",
                "an item lies inside the announced snapshot"
            );
            self.informed_seqno = item.seqno;
            is_sent = true;
            self.push(command);
        }
        self.filter.record(item);
        Ok(is_sent)
    }

    /// Returns `true` if the last marker covers `seqno` and nothing at or above it was sent.
    fn announces(&self, seqno: Seqno) -> bool {
        let is_inside = self
            .announced
            .is_some_and(|announced| announced.start <= seqno && seqno <= announced.end);
        is_inside && self.informed_seqno < seqno
    }

    /// Returns `true` if the client sees the item.
    pub(super) fn is_visible(&self, item: &Item, options: &Options) -> bool {
        translate::is_visible(item, options) && self.filter.passes(item)
    }

    /// Completes the snapshot that ends at `end`. A client that does not see its last items is sent
    /// an advance.
    pub(super) fn close_snapshot(&mut self, end: Seqno) {
        let is_end = self.announced.is_some_and(|announced| announced.end == end);
        if is_end && self.informed_seqno < end && self.knows_collections {
            self.informed_seqno = end;
            self.push(Command::SeqnoAdvanced(end));
        }
    }

    /// Advances the client to `seqno` inside the snapshot, after items that it does not see.
    pub(super) fn advance_to(&mut self, seqno: Seqno) {
        let is_inside = self
            .announced
            .is_some_and(|announced| seqno < announced.end);
        if is_inside && self.informed_seqno < seqno && self.knows_collections {
            self.informed_seqno = seqno;
            self.push(Command::SeqnoAdvanced(seqno));
        }
    }

    /// Returns `true` if everything that the filter lets through is at or below `seqno` (S24).
    pub(super) fn has_all_collections(&self, known: &Collections, seqno: Seqno) -> bool {
        self.filter.high(known).is_some_and(|high| high <= seqno)
    }

    /// Cuts the announced snapshot short at `seqno`, if it reaches further. The next marker starts
    /// where this one did, since the client has nothing of it complete (S28). Returns the announced
    /// end.
    pub(super) fn cut_short(&mut self, seqno: Seqno) -> Option<Seqno> {
        let cut = self.announced.filter(|announced| announced.end > seqno)?;
        self.next_start = start_of_rest(cut, seqno);
        self.is_cut = true;
        self.snapshot_id = None;
        Some(cut.end)
    }

    /// Drops all messages and queues the end of the stream.
    pub(super) fn end(&mut self, reason: StreamEndReason) {
        self.messages.clear();
        let end = self.end_message(reason);
        self.messages.push_back(end);
    }

    /// Returns the last message of the stream. A client without Collections does not know the
    /// reasons that concern them.
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

/// Returns the start of the marker that continues a snapshot cut short at `seqno`.
fn start_of_rest(cut: Announced, seqno: Seqno) -> Seqno {
    if fault::is(Fault::CutSnapshotStartsAnew) {
        return seqno.next();
    }
    cut.start
}
