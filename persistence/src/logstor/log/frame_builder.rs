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

use super::segment::Segment;
use crate::logstor::format::{
    Fragment, FrameDetail, FrameHeader, FrameKind, HEADER_BYTES, Location, epoch_range, frame_bytes,
};

/// A segment that is open for appending.
#[derive(Clone, Debug)]
pub(in crate::logstor) struct OpenSegment {
    pub(in crate::logstor) segment: Arc<Segment>,
    /// End of its durable frames.
    pub(in crate::logstor) used: u32,
}

impl OpenSegment {
    /// A segment without frames.
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
    /// Of a large record.
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
            bytes: vec![0; HEADER_BYTES as usize],
        }
    }

    /// Reserves memory for this many bytes of records.
    fn reserve(&mut self, bytes: usize) {
        // With the padding, which would otherwise copy the frame.
        let frame = frame_bytes(u32::try_from(bytes).unwrap_or(u32::MAX));
        let more = frame.min(self.segment.bytes - self.offset) as usize;
        self.bytes
            .reserve_exact(more.saturating_sub(self.bytes.len()));
    }

    /// Offset of the next record in the segment.
    fn next_offset(&self) -> u32 {
        self.offset + self.bytes.len() as u32
    }

    /// End of the segment's frames once this one is durable.
    fn end(&self) -> u32 {
        self.offset + frame_bytes(self.bytes.len() as u32 - HEADER_BYTES)
    }

    /// Bytes to be written.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Fills in the header, and pads the frame.
    pub(super) fn seal(
        &mut self,
        append_seqno: u64,
        settled: u64,
        (part, parts): (u32, u32),
        hash_key: [u64; 2],
    ) {
        let payload = self.bytes.get(HEADER_BYTES as usize..).unwrap_or_default();
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
            payload_bytes: payload.len() as u32,
            payload_crc: crc32c::crc32c(payload),
            segment: self.segment.id,
        };
        if let Some(place) = self.bytes.get_mut(..HEADER_BYTES as usize) {
            place.copy_from_slice(&header.encode(hash_key));
        }
        self.bytes.resize(header.frame_bytes() as usize, 0);
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
    /// it. `len` is the record's length without padding.
    // Once for each record of every commit.
    ///
    /// Inlined: every record of every commit passes here, and a call made commits 1 % slower.
    #[inline(always)]
    pub(in crate::logstor) fn place(
        &mut self,
        kind: FrameKind,
        open: &OpenSegment,
        slot: &mut FrameSlot,
        record: &[u8],
        len: u32,
    ) -> Option<Location> {
        let offset = match slot.0.and_then(|frame| self.frames.get(frame)) {
            Some(frame) => frame.next_offset(),
            None => open.used + HEADER_BYTES,
        };
        if offset.saturating_add(record.len() as u32) > open.segment.bytes {
            return None;
        }
        let number = match slot.0 {
            Some(number) => number,
            None => self.begin_frame(kind, open, slot),
        };
        if let Some(frame) = self.frames.get_mut(number) {
            frame.bytes.extend_from_slice(record);
        }
        Some(Location {
            segment: open.segment.id,
            offset,
            len,
        })
    }

    /// Begins the frame of an open segment. Returns its number.
    #[cold]
    fn begin_frame(&mut self, kind: FrameKind, open: &OpenSegment, slot: &mut FrameSlot) -> usize {
        let mut frame = PendingFrame::new(Arc::clone(&open.segment), open.used, kind);
        if self.expected_bytes > 0 {
            frame.reserve(self.expected_bytes);
        }
        let number = self.frames.len();
        self.frames.push(frame);
        slot.0 = Some(number);
        number
    }

    /// Places a record that is larger than a segment: a fragment in each of these segments, which
    /// hold nothing else.
    pub(in crate::logstor) fn place_large(&mut self, segments: &[Arc<Segment>], record: &[u8]) {
        let count = segments.len() as u32;
        let Some(first) = segments.first() else {
            return;
        };
        let fragment_bytes = (first.bytes - HEADER_BYTES) as usize;
        for ((index, segment), bytes) in (0..).zip(segments).zip(record.chunks(fragment_bytes)) {
            let mut frame = PendingFrame::new(Arc::clone(segment), 0, FrameKind::Large);
            frame.fragment = Some(Fragment { index, count });
            frame.bytes.extend_from_slice(bytes);
            self.frames.push(frame);
        }
    }

    /// End of a segment's frames once the append is durable.
    pub(in crate::logstor) fn end(&self, open: &OpenSegment, slot: FrameSlot) -> u32 {
        let frame = slot.0.and_then(|frame| self.frames.get(frame));
        frame.map_or(open.used, PendingFrame::end)
    }

    /// Offset of the append's frame in a segment, if it has one there.
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

    /// Bytes of all frames. Padding is added when they are sealed.
    pub(in crate::logstor) fn bytes(&self) -> u64 {
        let bytes = self.frames.iter().map(|frame| frame.bytes.len() as u64);
        bytes.sum()
    }

    /// Forgets all frames.
    pub(in crate::logstor) fn clear(&mut self) {
        self.frames.clear();
    }
}
