//! The scan of a segment's bytes: its frames, and the records in each.
//!
//! # Invariants
//!
//! Frames are taken from the start, one after the other, as long as they carry the generation of
//! the first (L1). No bytes make it panic or read beyond them.

use super::frame::{FrameHeader, FrameKind, HEADER_BYTES};
use super::integers::{to_u32, to_usize};
use super::record::RecordView;
use crate::logstor::config::BLOCK_BYTES;
use crate::logstor::hash_key::HashKey;

/// A frame of a segment.
#[derive(Clone, Copy, Debug)]
pub(in crate::logstor) struct ScannedFrame {
    pub(in crate::logstor) offset: u32,
    pub(in crate::logstor) header: FrameHeader,
    /// Its payload has the right checksum.
    pub(in crate::logstor) is_whole: bool,
}

impl ScannedFrame {
    /// Returns the offset of the next frame; beyond the segment if the header lies about its
    /// payload.
    pub(in crate::logstor) fn end(&self) -> u32 {
        self.offset.saturating_add(self.header.frame_bytes())
    }
}

/// A segment's frames.
#[derive(Clone, Debug, Default)]
pub(in crate::logstor) struct ScannedFrames {
    /// Generation of this use of the segment; `None` if it was never used.
    pub(in crate::logstor) generation: Option<u64>,
    /// The header that says that the segment is free, if it is.
    pub(in crate::logstor) free: Option<FrameHeader>,
    pub(in crate::logstor) frames: Vec<ScannedFrame>,
    /// Offset at which a header must be damaged. Either a sound frame of this use follows one that
    /// is not sound, so it is not a torn end. Or the segment does not begin with a header, or its
    /// frames end before they should.
    pub(in crate::logstor) beyond_damage: Option<u32>,
}

/// Finds the frames in a segment's bytes. For a use that was cut off, `valid_bytes` returns the end
/// of its frames, given its generation. They end at exactly that byte, because the part that was
/// cut off began at the end of a frame. Any other use ends where no more frames follow.
pub(in crate::logstor) fn scan_frames(
    bytes: &[u8],
    segment: u32,
    hash_key: HashKey,
    valid_bytes: impl Fn(u64) -> Option<u32>,
) -> ScannedFrames {
    let header_at =
        |offset: u32| FrameHeader::decode(bytes.get(to_usize(offset)..)?, segment, hash_key);
    let mut found = ScannedFrames::default();
    let Some(first) = header_at(0) else {
        // Headers are written as a whole: a segment that was used begins with one.
        let is_blank = bytes
            .iter()
            .take(to_usize(HEADER_BYTES))
            .all(|byte| *byte == 0);
        let lost = behind(bytes, 0).find(|&at| header_at(at).is_some());
        found.beyond_damage = if is_blank { lost } else { Some(0) };
        return found;
    };
    found.generation = Some(first.generation);
    if first.kind == FrameKind::Free {
        found.free = Some(first);
        return found;
    }
    let limit = valid_bytes(first.generation);
    let len = to_u32(bytes.len());
    let end = limit.map_or(len, |limit| len.min(limit));
    let is_ours = |header: &FrameHeader| {
        header.generation == first.generation && header.kind != FrameKind::Free
    };
    let mut at = 0;
    while at < end
        && let Some(header) = header_at(at).filter(is_ours)
    {
        let payload = payload_of(bytes, at, &header);
        let is_whole = payload.is_some_and(|payload| crc32c::crc32c(payload) == header.payload_crc);
        found.frames.push(ScannedFrame {
            offset: at,
            header,
            is_whole,
        });
        at = at.saturating_add(header.frame_bytes());
    }
    found.beyond_damage = match limit {
        None => behind(bytes, at).find(|&at| header_at(at).is_some_and(|header| is_ours(&header))),
        Some(_) => (at < end).then_some(at),
    };
    found
}

/// Returns the offsets of the blocks from there on.
fn behind(bytes: &[u8], from: u32) -> impl Iterator<Item = u32> {
    (from..to_u32(bytes.len())).step_by(to_usize(BLOCK_BYTES))
}

/// Returns the payload of a frame.
pub(in crate::logstor) fn payload_of<'a>(
    bytes: &'a [u8],
    offset: u32,
    header: &FrameHeader,
) -> Option<&'a [u8]> {
    let start = to_usize(offset.saturating_add(HEADER_BYTES));
    bytes.get(start..start.saturating_add(to_usize(header.payload_bytes)))
}

/// Same as [`records_in`], for a frame whose own checksum was right: the records' checksums are not
/// compared.
pub(in crate::logstor) fn verified_records_in(
    payload: &[u8],
    offset: u32,
) -> impl Iterator<Item = Option<(u32, RecordView<'_>)>> {
    records_by(payload, offset, RecordView::unverified)
}

/// Returns the records of a frame, each with its offset in the segment; `None` at a record that is
/// not sound.
pub(in crate::logstor) fn records_in(
    payload: &[u8],
    offset: u32,
) -> impl Iterator<Item = Option<(u32, RecordView<'_>)>> {
    records_by(payload, offset, RecordView::verified)
}

fn records_by<'a>(
    payload: &'a [u8],
    offset: u32,
    view: impl Fn(&'a [u8]) -> Option<RecordView<'a>>,
) -> impl Iterator<Item = Option<(u32, RecordView<'a>)>> {
    let mut at = 0_usize;
    std::iter::from_fn(move || {
        let rest = payload.get(at..).filter(|rest| !rest.is_empty())?;
        let record = view(rest);
        let here = offset + HEADER_BYTES + to_u32(at);
        at = record.map_or(payload.len(), |record| at + to_usize(record.len));
        Some(record.map(|record| (here, record)))
    })
}
