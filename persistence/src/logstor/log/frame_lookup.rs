//! The lookup of the frame that a record lies in.
//!
//! A scan that wants most of a frame reads it as a whole, and compares one checksum for all of its
//! records.
//!
//! # Invariants
//!
//! A record is given out only if its own checksum was right, or that of its frame, read as a whole
//! (L27). A frame is known only by a header of this use, reached from the segment's start through
//! headers of this use.

use super::frame_bounds::FrameBounds;
use super::segment::Segment;
use crate::disk::DiskResult;
use crate::logstor::format::{FrameHeader, FrameKind, HEADER_BYTES, frame_bytes, to_usize};
use crate::logstor::hash_key::HashKey;

/// Finds the frame of the record at an offset; `None` if it can't be determined. Reads the headers
/// before it that are not known: O(frames) once, then O(log frames).
///
/// # Errors
/// Same as [`Segment::read`].
pub(in crate::logstor) fn find_frame(
    segment: &Segment,
    record: u32,
    hash_key: HashKey,
) -> DiskResult<Option<FrameBounds>> {
    let mut known = segment.frames.lock();
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
        let bytes = segment.read(next, to_usize(HEADER_BYTES))?;
        let is_ours = |header: &FrameHeader| {
            header.generation == segment.generation
                && matches!(header.kind, FrameKind::Commit | FrameKind::Moved)
        };
        let header = FrameHeader::decode(&bytes, segment.id, hash_key).filter(is_ours);
        let Some(header) = header else {
            return Ok(None);
        };
        known.push(FrameBounds {
            offset: next,
            payload_bytes: header.payload_bytes,
            payload_crc: header.payload_crc,
        });
    }
}
