//! What a segment holds: its bytes go in, frames and records come out, as far as they are sound.
//!
//! Always: frames are taken from the start, one after the other, as long as they carry the generation of the first (L1);
//! no bytes make it panic or read beyond them.

use super::config::BLOCK_BYTES;
use super::entry::{self, Peek};
use super::frame::{FrameKind, HEADER_BYTES, Header};

/// A frame that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) offset: u32,
    pub(super) header: Header,
    /// Its payload is there, with its checksum right.
    pub(super) is_whole: bool,
}

impl Frame {
    /// Where the next one would begin.
    pub(super) fn end(&self) -> u32 {
        self.offset.saturating_add(self.header.frame_bytes())
    }
}

/// A segment's frames.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    /// Of this use of the segment; `None` if it was never used.
    pub(super) generation: Option<u64>,
    /// What says that the segment is free, if it is.
    pub(super) free: Option<Header>,
    pub(super) frames: Vec<Frame>,
    /// Where it shows that a header is damaged: a sound frame of this use behind one that is not, so no torn end; bytes at
    /// the segment's start that are none; or frames that end before they should.
    pub(super) beyond_damage: Option<u32>,
}

/// Finds the frames in a segment's bytes. `valid_bytes` tells, for a use that was cut off, where its frames end: at that
/// very byte, since what was cut off began where a frame had ended. Any other use ends where no more frames follow.
pub(super) fn frames(
    bytes: &[u8],
    segment: u32,
    hash_key: [u64; 2],
    valid_bytes: impl Fn(u64) -> Option<u32>,
) -> Frames {
    let header_at = |offset: u32| Header::decode(bytes.get(offset as usize..)?, segment, hash_key);
    let mut found = Frames::default();
    let Some(first) = header_at(0) else {
        // Headers are written as a whole: a segment begins with one, or was never used.
        let is_blank = bytes
            .iter()
            .take(HEADER_BYTES as usize)
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
    let end = limit.map_or(bytes.len(), |limit| bytes.len().min(limit as usize)) as u32;
    let is_ours =
        |header: &Header| header.generation == first.generation && header.kind != FrameKind::Free;
    let mut at = 0;
    while at < end
        && let Some(header) = header_at(at).filter(is_ours)
    {
        let payload = payload(bytes, at, &header);
        let is_whole = payload.is_some_and(|payload| crc32c::crc32c(payload) == header.payload_crc);
        found.frames.push(Frame {
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

/// The blocks from there on.
fn behind(bytes: &[u8], from: u32) -> impl Iterator<Item = u32> {
    (from..bytes.len() as u32).step_by(BLOCK_BYTES as usize)
}

/// A frame's payload.
pub(super) fn payload<'a>(bytes: &'a [u8], offset: u32, header: &Header) -> Option<&'a [u8]> {
    let start = offset.saturating_add(HEADER_BYTES) as usize;
    bytes.get(start..start.saturating_add(header.payload_bytes as usize))
}

/// As [`records`], of a frame that is whole: its checksum speaks for theirs.
pub(super) fn records_of_whole(
    payload: &[u8],
    offset: u32,
) -> impl Iterator<Item = Option<(u32, Peek<'_>)>> {
    records_by(payload, offset, entry::peek_sound)
}

/// The records of a frame, each with its offset in the segment; `None` at one that is not sound.
pub(super) fn records(
    payload: &[u8],
    offset: u32,
) -> impl Iterator<Item = Option<(u32, Peek<'_>)>> {
    records_by(payload, offset, entry::peek)
}

fn records_by<'a>(
    payload: &'a [u8],
    offset: u32,
    peek: impl Fn(&'a [u8]) -> Option<Peek<'a>>,
) -> impl Iterator<Item = Option<(u32, Peek<'a>)>> {
    let mut at = 0_usize;
    std::iter::from_fn(move || {
        let rest = payload.get(at..).filter(|rest| !rest.is_empty())?;
        let record = peek(rest);
        let here = offset + HEADER_BYTES + at as u32;
        at = record.map_or(payload.len(), |record| at + record.len as usize);
        Some(record.map(|record| (here, record)))
    })
}
