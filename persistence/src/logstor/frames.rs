//! Where the frames of a segment lie: the place of a record goes in, the frame it is in comes out. What was found is kept,
//! 12 bytes a frame, as long as the segment's use.
//!
//! Always (L27): a record is shown only if its own checksum was right, or that of the frame it lies in, read as a whole; and a
//! frame is known only from a header of this use, reached from the segment's start by headers of this use.

use crate::sync::Mutex;

use crate::disk::DiskResult;

use super::frame::{FrameKind, HEADER_BYTES, Header, frame_bytes};
use super::segment::Segment;

/// A frame of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameAt {
    offset: u32,
    pub(super) payload_bytes: u32,
    payload_crc: u32,
}

impl FrameAt {
    /// Where its records begin.
    pub(super) const fn start(&self) -> u32 {
        self.offset + HEADER_BYTES
    }

    /// Where its records end.
    pub(super) const fn end(&self) -> u32 {
        self.start().saturating_add(self.payload_bytes)
    }

    /// Whether these are its records.
    pub(super) fn is_whole(&self, payload: &[u8]) -> bool {
        payload.len() == self.payload_bytes as usize && crc32c::crc32c(payload) == self.payload_crc
    }
}

/// The frames that are known, from the segment's start on.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Vec<FrameAt>>);

impl Segment {
    /// The frame in which there is a record; `None` if that can't be told. Reads the headers before it that are not known
    /// yet: O(frames) once, then O(log frames).
    ///
    /// # Errors
    /// As [`Segment::read`].
    pub(super) fn frame_of(&self, record: u32, hash_key: [u64; 2]) -> DiskResult<Option<FrameAt>> {
        let mut known = self.frames.0.lock();
        loop {
            let behind = known.partition_point(|frame| frame.offset <= record);
            let next = match behind.checked_sub(1).and_then(|last| known.get(last)) {
                Some(frame) if record < frame.end() => return Ok(Some(*frame)),
                Some(frame) if behind == known.len() => frame
                    .offset
                    .saturating_add(frame_bytes(frame.payload_bytes)),
                None if known.is_empty() => 0,
                _ => return Ok(None),
            };
            if next > record {
                return Ok(None);
            }
            let header =
                Header::decode(&self.read(next, HEADER_BYTES as usize)?, self.id, hash_key);
            let is_ours = |header: &Header| {
                header.generation == self.generation
                    && matches!(header.kind, FrameKind::Commit | FrameKind::Moved)
            };
            let Some(Header {
                payload_bytes,
                payload_crc,
                ..
            }) = header.filter(is_ours)
            else {
                return Ok(None);
            };
            known.push(FrameAt {
                offset: next,
                payload_bytes,
                payload_crc,
            });
        }
    }
}
