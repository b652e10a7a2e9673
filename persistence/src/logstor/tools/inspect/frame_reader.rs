//! The reader of a segment's frames that does not stop at damage.
//!
//! # Invariants
//!
//! Every frame that recovery would accept is returned, and all damage that would stop recovery is
//! reported. Two kinds of damage are reported on which recovery can't act, because a value could be
//! crafted to look like them: a segment that begins with neither zeros nor a header, and bytes
//! behind the last frame that look like a damaged header.

use crate::logstor::config::BLOCK_BYTES;
use crate::logstor::format::{
    FrameHeader, FrameKind, HEADER_BYTES, MAGIC, ScannedFrame, payload_of, to_u32, to_usize,
};
use crate::logstor::hash_key::HashKey;

/// The frames of one use of a segment.
#[derive(Clone, Debug, Default)]
pub(super) struct FoundFrames {
    /// Generation of the use; `None` if there never was one.
    pub(super) generation: Option<u64>,
    /// The header that says that the segment is free, if it is.
    pub(super) free: Option<FrameHeader>,
    pub(super) frames: Vec<ScannedFrame>,
    /// End of the last frame.
    pub(super) end: u32,
    /// Offset of each unreadable or impossible header, and the reason.
    pub(super) damage: Vec<(u32, &'static str)>,
}

/// Reads the frames in a segment's bytes. For a generation that was cut off, `valid_bytes` returns
/// the end of its frames.
pub(super) fn read_frames(
    bytes: &[u8],
    segment: u32,
    hash_key: HashKey,
    valid_bytes: impl Fn(u64) -> Option<u32>,
) -> FoundFrames {
    let header_at =
        |offset: u32| FrameHeader::decode(bytes.get(to_usize(offset)..)?, segment, hash_key);
    let mut found = FoundFrames::default();
    let first = header_at(0);
    if let Some(free) = first.filter(|header| header.kind == FrameKind::Free) {
        found.generation = Some(free.generation);
        found.free = Some(free);
        return found;
    }
    let generation = match first {
        Some(first) => Some(first.generation),
        None => lost_start(bytes, &mut found, header_at),
    };
    let Some(generation) = generation else {
        return found;
    };
    found.generation = Some(generation);
    let limit = valid_bytes(generation);
    let len = to_u32(bytes.len());
    let end = limit.map_or(len, |limit| len.min(limit));
    let ours_at = |at: u32| {
        header_at(at)
            .filter(|header| header.generation == generation && header.kind != FrameKind::Free)
    };
    let mut at = 0;
    let mut number = 0;
    while at < end {
        let Some(header) = ours_at(at) else {
            let Some(next) = blocks(at, end).skip(1).find(|&at| ours_at(at).is_some()) else {
                break;
            };
            if at > 0 {
                found.damage.push((at, "a frame's header is damaged"));
            }
            at = next;
            continue;
        };
        if header.append_seqno <= number
            || header.settled >= header.append_seqno
            || header.part >= header.parts
        {
            found
                .damage
                .push((at, "a header contradicts itself, or the one before it"));
        }
        number = header.append_seqno;
        let payload = payload_of(bytes, at, &header);
        let is_whole = payload.is_some_and(|payload| crc32c::crc32c(payload) == header.payload_crc);
        found.frames.push(ScannedFrame {
            offset: at,
            header,
            is_whole,
        });
        at = at.saturating_add(header.frame_bytes());
        found.end = at.min(len);
    }
    match limit {
        Some(limit) if at < limit => found.damage.push((at, "a frame's header is damaged")),
        None if at > 0 && is_like_header(bytes, at, generation) && header_at(at).is_none() => {
            found
                .damage
                .push((at, "what was a frame's header is damaged"));
        }
        _ => {}
    }
    found
}

/// Determines the generation of a segment that does not begin with a header, from later headers.
fn lost_start(
    bytes: &[u8],
    found: &mut FoundFrames,
    header_at: impl Fn(u32) -> Option<FrameHeader>,
) -> Option<u64> {
    let behind = blocks(BLOCK_BYTES, to_u32(bytes.len())).filter_map(header_at);
    let generation = behind
        .filter(|header| header.kind != FrameKind::Free)
        .map(|header| header.generation)
        .max();
    let is_blank = bytes
        .iter()
        .take(to_usize(HEADER_BYTES))
        .all(|byte| *byte == 0);
    if generation.is_some() || !is_blank {
        found
            .damage
            .push((0, "the segment's first header is damaged"));
    }
    generation
}

fn blocks(from: u32, to: u32) -> impl Iterator<Item = u32> {
    (from..to).step_by(to_usize(BLOCK_BYTES))
}

/// Returns whether bytes look like a damaged header of this use: a changed byte leaves either mark.
fn is_like_header(bytes: &[u8], at: u32, generation: u64) -> bool {
    let header = bytes.get(to_usize(at)..).unwrap_or_default();
    header.starts_with(&MAGIC)
        || header
            .get(8..)
            .is_some_and(|rest| rest.starts_with(&generation.to_be_bytes()))
}
