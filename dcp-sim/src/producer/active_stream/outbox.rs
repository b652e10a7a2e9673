//! What a stream has to send: markers and items in their order, and how far the last marker reaches.
//!
//! What always holds: the first message is a marker that starts where the client's snapshot does; each later one starts
//! after the end of the one before (S1), or after the last item where that one was cut short: its sender was receiving
//! the same snapshot, and lost its cursor in the middle of it or was sent the rest as a part of another. No item lies
//! outside the last marker's range.

use std::collections::VecDeque;

use checkpoint::{Item, Seqno, SnapshotMarker};

use crate::producer::control::Options;
use crate::producer::filter::Filter;
use crate::producer::stream_key::StreamKey;
use crate::producer::translate;
use crate::wire::{Command, Marker, MarkerFlags, Request, StreamEndReason, WireError};

/// Where a snapshot's items come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The checkpoint that starts there.
    Checkpoint(Seqno),
    /// One commit.
    Disk,
    /// A commit and checkpoints, or several checkpoints: a key may come from each.
    Joined,
}

#[derive(Debug)]
pub(super) struct Outbox {
    key: StreamKey,
    opaque: u32,
    messages: VecDeque<Request>,
    /// Where the next marker starts: at first the client's snapshot, then the seqno after the last one's end.
    next_start: Seqno,
    /// End of the last marker.
    announced: Option<Seqno>,
    /// Start of the checkpoint the last marker belonged to; none for one from disk.
    checkpoint_start: Option<Seqno>,
    /// The last seqno the client is told of.
    told: Seqno,
    filter: Filter,
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
        asks_answers: bool,
    ) -> Self {
        Self {
            key,
            opaque,
            messages: VecDeque::new(),
            next_start: snapshot_start,
            announced: None,
            checkpoint_start: None,
            told: start,
            filter,
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
        self.announced.is_none_or(|end| end <= seqno)
    }

    /// Whether the last marker reaches less far.
    pub(super) fn is_announced_below(&self, end: Seqno) -> bool {
        self.announced.is_some_and(|announced| announced < end)
    }

    /// Announces a snapshot, but for what of it was announced already. A second marker of one checkpoint goes on with it.
    pub(super) fn announce(&mut self, snapshot: &SnapshotMarker, origin: Origin, options: &Options) {
        // A snapshot that this node receives itself may go on in another checkpoint: it was announced whole.
        if self.announced.is_some_and(|end| snapshot.end <= end) {
            return;
        }
        let checkpoint_start = match origin {
            Origin::Checkpoint(start) => Some(start),
            Origin::Disk | Origin::Joined => None,
        };
        let extend = checkpoint_start.is_some() && self.checkpoint_start == checkpoint_start;
        let snapshot = SnapshotMarker { start: self.next_start, extend, ..*snapshot };
        self.checkpoint_start = checkpoint_start;
        self.next_start = snapshot.end.next();
        self.announced = Some(snapshot.end);
        let mut marker = match options {
            Options { marker_v2_2: true, .. } => Marker::from_snapshot_v2_2(&snapshot),
            Options { is_replica_link: true, .. } | Options { sync_writes: true, .. } => {
                Marker::from_snapshot_v2_0(&snapshot)
            }
            _ => Marker::from_snapshot(&snapshot),
        };
        if origin == Origin::Joined {
            marker.flags = marker.flags.with(MarkerFlags::MAY_DUPLICATE_KEYS);
        }
        if self.asks_answers {
            marker.flags = marker.flags.with(MarkerFlags::ACK);
            self.unanswered_markers += 1;
        }
        self.push(Command::SnapshotMarker(marker));
    }

    /// An item of the snapshot, if the client is to see it.
    pub(super) fn item(&mut self, item: &Item, options: &Options) -> Result<(), WireError> {
        self.tell(item, translate::command(item, options)?);
        Ok(())
    }

    /// The same for an item from disk.
    pub(super) fn disk_item(&mut self, item: &Item, options: &Options) -> Result<(), WireError> {
        self.tell(item, translate::disk_command(item, options)?);
        Ok(())
    }

    fn tell(&mut self, item: &Item, command: Option<Command>) {
        if let Some(command) = command.filter(|_| self.filter.passes(item)) {
            self.told = item.seqno;
            self.push(command);
        }
    }

    /// All of the snapshot that ends there was read: a client that does not see its last items learns that it has it whole.
    pub(super) fn close_snapshot(&mut self, end: Seqno) {
        if self.announced == Some(end) && self.told < end {
            self.told = end;
            self.push(Command::SeqnoAdvanced(end));
        }
    }

    /// The snapshot was cut short after `seqno`: the next one begins there. Returns where it would have ended.
    pub(super) fn go_on_after(&mut self, seqno: Seqno) -> Option<Seqno> {
        let end = self.announced.filter(|&end| end > seqno)?;
        self.next_start = seqno.next();
        self.announced = Some(seqno);
        self.checkpoint_start = None;
        Some(end)
    }

    /// Nothing but the end is sent any more.
    pub(super) fn end(&mut self, reason: StreamEndReason) {
        self.messages.clear();
        self.push(Command::StreamEnd(reason));
    }

    pub(super) fn message(&self, command: Command) -> Request {
        Request { stream_id: self.key.id, ..Request::new(self.key.vb, self.opaque, command) }
    }

    pub(super) fn push(&mut self, command: Command) {
        let message = self.message(command);
        self.messages.push_back(message);
    }
}
