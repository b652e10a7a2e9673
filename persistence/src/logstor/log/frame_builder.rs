//! The frames of one append while they are being filled: a record is placed into the frame of an
//! open segment.
//!
//! Commits and rewriting place records by the same rule, so it is written once. Nothing is written
//! to disk here.
//!
//! # Invariants
//!
//! No record crosses the end of a segment. An append has at most one frame in a segment, which
//! begins where the segment's last durable frame ended.

use std::sync::Arc;

use lowtide_checkpoint::internal::{Invariant, Violation, checked_invariant};

use super::segment::Segment;
use crate::logstor::format::{
    Fragment, FrameDetail, FrameHeader, FrameKind, HEADER_BYTES, Location, RecordView, epoch_range,
    frame_bytes, records_in, to_u32, to_u64, to_usize,
};
use crate::logstor::hash_key::HashKey;

/// A segment that is open for appending.
#[derive(Clone, Debug)]
pub(in crate::logstor) struct OpenSegment {
    pub(in crate::logstor) segment: Arc<Segment>,
    /// End of its durable frames.
    pub(in crate::logstor) used: u32,
}

impl OpenSegment {
    /// Returns a segment without frames.
    pub(in crate::logstor) const fn new(segment: Arc<Segment>) -> Self {
        Self { segment, used: 0 }
    }
}

/// The frame that an append fills in one open segment; none before its first record.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::logstor) struct FrameSlot(Option<usize>);

/// A frame to be written.
#[derive(Debug)]
pub(in crate::logstor) struct PendingFrame {
    pub(in crate::logstor) segment: Arc<Segment>,
    /// Offset in the segment.
    pub(in crate::logstor) offset: u32,
    kind: FrameKind,
    /// The fragment of a large record that it holds.
    fragment: Option<Fragment>,
    /// Space for the header, then the records.
    bytes: Vec<u8>,
}

impl PendingFrame {
    fn new(segment: Arc<Segment>, offset: u32, kind: FrameKind) -> Self {
        Self {
            segment,
            offset,
            kind,
            fragment: None,
            bytes: vec![0; to_usize(HEADER_BYTES)],
        }
    }

    /// Reserves memory for this many bytes of records.
    fn reserve(&mut self, bytes: usize) {
        // With the padding, which would otherwise copy the frame.
        let frame = frame_bytes(u32::try_from(bytes).unwrap_or(u32::MAX));
        let more = to_usize(frame.min(self.segment.bytes - self.offset));
        self.bytes
            .reserve_exact(more.saturating_sub(self.bytes.len()));
    }

    /// Returns the offset of the next record in the segment.
    fn next_offset(&self) -> u32 {
        self.offset + to_u32(self.bytes.len())
    }

    /// Returns the end of the segment's frames once this one is durable.
    fn end(&self) -> u32 {
        self.offset + frame_bytes(to_u32(self.bytes.len()) - HEADER_BYTES)
    }

    /// Returns the bytes to be written.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns whether a reader of the sealed frame would find what was placed.
    fn is_readable(&self, header: &FrameHeader, hash_key: HashKey) -> bool {
        let is_found = FrameHeader::decode(&self.bytes, self.segment.id, hash_key) == Some(*header);
        let end = to_usize(HEADER_BYTES + header.payload_bytes);
        let payload = self.bytes.get(to_usize(HEADER_BYTES)..end);
        is_found
            && payload.is_some_and(|payload| {
                self.fragment.is_some()
                    || records_in(payload, self.offset).all(|record| record.is_some())
            })
    }

    /// Fills in the header, and pads the frame.
    ///
    /// # Errors
    /// A [`Violation`] if the frame has no place for its header.
    pub(super) fn seal(
        &mut self,
        append_seqno: u64,
        settled: u64,
        (part, parts): (u32, u32),
        hash_key: HashKey,
    ) -> Result<(), Violation> {
        let (head, payload) = self
            .bytes
            .split_at_mut_checked(to_usize(HEADER_BYTES))
            .invariant("L2", "a frame has the place of its header")?;
        let detail = match self.fragment {
            Some(fragment) => FrameDetail::Fragment(fragment),
            None => {
                let (lowest, highest) = epoch_range(payload);
                FrameDetail::Epochs(lowest, highest)
            }
        };
        let header = FrameHeader {
            kind: self.kind,
            generation: self.segment.generation,
            append_seqno,
            settled,
            part,
            parts,
            detail,
            payload_bytes: to_u32(payload.len()),
            payload_crc: crc32c::crc32c(payload),
            segment: self.segment.id,
        };
        head.copy_from_slice(&header.encode(hash_key));
        self.bytes.resize(to_usize(header.frame_bytes()), 0);
        checked_invariant!(
            self.is_readable(&header, hash_key),
            "L3",
            "a frame that is written can be read"
        );
        Ok(())
    }
}

/// The frames of one append.
#[derive(Debug, Default)]
pub(in crate::logstor) struct FrameBuilder {
    frames: Vec<PendingFrame>,
    /// Bytes of records to come, approximately.
    expected_bytes: usize,
}

impl FrameBuilder {
    /// Reserves memory for this many bytes of records in the frames that begin from now on.
    pub(in crate::logstor) fn expect(&mut self, bytes: usize) {
        self.expected_bytes = bytes;
    }

    /// Places a record into the frame of an open segment. `None` if the segment has no space for
    /// it.
    ///
    /// Inlined: every record of every commit passes here, and a call made commits 1 % slower.
    #[inline(always)]
    pub(in crate::logstor) fn place(
        &mut self,
        kind: FrameKind,
        open: &OpenSegment,
        slot: &mut FrameSlot,
        record: &[u8],
    ) -> Option<Location> {
        let len = to_u32(record.len());
        let location = |offset: u32| {
            (offset + len <= open.segment.bytes).then_some(Location {
                segment: open.segment.id,
                offset,
                len,
            })
        };
        if let Some(frame) = slot.0.and_then(|frame| self.frames.get_mut(frame)) {
            let location = location(frame.next_offset())?;
            frame.bytes.extend_from_slice(record);
            return Some(location);
        }
        let location = location(open.used + HEADER_BYTES)?;
        self.begin_frame(kind, open, slot, record);
        Some(location)
    }

    /// Begins the frame of an open segment, with its first record.
    #[cold]
    fn begin_frame(
        &mut self,
        kind: FrameKind,
        open: &OpenSegment,
        slot: &mut FrameSlot,
        record: &[u8],
    ) {
        checked_invariant!(slot.0.is_none(), "L13", "a slot leads to its frame");
        let mut frame = PendingFrame::new(Arc::clone(&open.segment), open.used, kind);
        if self.expected_bytes > 0 {
            frame.reserve(self.expected_bytes);
        }
        frame.bytes.extend_from_slice(record);
        slot.0 = Some(self.frames.len());
        self.frames.push(frame);
    }

    /// Returns the record that was placed at a location. For checks: O(frames).
    pub(in crate::logstor) fn record_at(&self, location: Location) -> Option<RecordView<'_>> {
        let in_segment = |frame: &&PendingFrame| frame.segment.id == location.segment;
        let frame = self.frames.iter().find(in_segment)?;
        let start = to_usize(location.offset.checked_sub(frame.offset)?);
        let record = frame.bytes.get(start..start + to_usize(location.len))?;
        RecordView::verified(record).filter(|view| view.len == location.len)
    }

    /// Places a record that is larger than a segment: a fragment in each of these segments, which
    /// hold nothing else.
    pub(in crate::logstor) fn place_large(&mut self, segments: &[Arc<Segment>], record: &[u8]) {
        let count = to_u32(segments.len());
        let mut left = record;
        for (index, segment) in (0..).zip(segments) {
            let room = to_usize(segment.bytes - HEADER_BYTES);
            let (bytes, behind) = left.split_at(left.len().min(room));
            left = behind;
            let mut frame = PendingFrame::new(Arc::clone(segment), 0, FrameKind::Large);
            frame.fragment = Some(Fragment { index, count });
            frame.bytes.extend_from_slice(bytes);
            self.frames.push(frame);
        }
        checked_invariant!(
            left.is_empty(),
            "L13",
            "the segments of a large record hold all of it"
        );
    }

    /// Returns the end of a segment's frames once the append is durable.
    pub(in crate::logstor) fn end(&self, open: &OpenSegment, slot: FrameSlot) -> u32 {
        let frame = slot.0.and_then(|frame| self.frames.get(frame));
        frame.map_or(open.used, PendingFrame::end)
    }

    /// Returns the offset of the append's frame in a segment, if it has one there.
    pub(in crate::logstor) fn begins_at(&self, segment: u32) -> Option<u32> {
        let mut frames = self.frames.iter();
        frames
            .find(|frame| frame.segment.id == segment)
            .map(|frame| frame.offset)
    }

    pub(in crate::logstor) fn frames(&self) -> &[PendingFrame] {
        &self.frames
    }

    pub(super) fn frames_mut(&mut self) -> &mut [PendingFrame] {
        &mut self.frames
    }

    /// Returns the bytes of all frames. Padding is added when they are sealed.
    pub(in crate::logstor) fn bytes(&self) -> u64 {
        let bytes = self.frames.iter().map(|frame| to_u64(frame.bytes.len()));
        bytes.sum()
    }

    /// Forgets all frames.
    pub(in crate::logstor) fn clear(&mut self) {
        self.frames.clear();
    }
}
