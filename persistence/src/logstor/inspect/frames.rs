//! A segment's frames, damaged ones and what is behind them included: bytes go in; frames, where they end, and what is
//! wrong come out.
//!
//! Always: whatever recovery would take is here, and whatever it would stumble over is told. Two things are told that it
//! can't act on, because a value could be made to look so: a segment that begins with neither zeros nor a header, and
//! what looks like a damaged header where the frames end.

use crate::logstor::config::BLOCK_BYTES;
use crate::logstor::frame::{self, FrameKind, HEADER_BYTES, Header};
use crate::logstor::scan::{self, Frame};

/// One use of a segment, as far as it can be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Use {
    /// `None` if there never was one.
    pub(super) generation: Option<u64>,
    /// What says that the segment is free, if it is.
    pub(super) free: Option<Header>,
    pub(super) frames: Vec<Frame>,
    /// Where the last frame ends.
    pub(super) end: u32,
    /// Headers that can't be read, or can't be right: where, and why.
    pub(super) damage: Vec<(u32, &'static str)>,
}

/// Takes a segment's bytes apart. `valid_bytes` tells, for a generation, how far they count.
pub(super) fn read(
    bytes: &[u8],
    segment: u32,
    hash_key: [u64; 2],
    valid_bytes: impl Fn(u64) -> Option<u32>,
) -> Use {
    let header_at = |offset: u32| Header::decode(bytes.get(offset as usize..)?, segment, hash_key);
    let mut found = Use::default();
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
    let end = limit.map_or(bytes.len(), |limit| bytes.len().min(limit as usize)) as u32;
    let ours_at = |at: u32| {
        header_at(at)
            .filter(|header| header.generation == generation && header.kind != FrameKind::Free)
    };
    let (mut at, mut number) = (0, 0);
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
        if header.number <= number || header.stable >= header.number || header.part >= header.parts
        {
            found
                .damage
                .push((at, "a header contradicts itself, or the one before it"));
        }
        number = header.number;
        let payload = scan::payload(bytes, at, &header);
        let is_whole = payload.is_some_and(|payload| crc32c::crc32c(payload) == header.payload_crc);
        found.frames.push(Frame {
            offset: at,
            header,
            is_whole,
        });
        at = at.saturating_add(header.frame_bytes());
        found.end = at.min(bytes.len() as u32);
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

/// A segment that does not begin with a header: the generation of what is behind.
fn lost_start(
    bytes: &[u8],
    found: &mut Use,
    header_at: impl Fn(u32) -> Option<Header>,
) -> Option<u64> {
    let behind = blocks(BLOCK_BYTES, bytes.len() as u32).filter_map(header_at);
    let generation = behind
        .filter(|header| header.kind != FrameKind::Free)
        .map(|header| header.generation)
        .max();
    let is_blank = bytes
        .iter()
        .take(HEADER_BYTES as usize)
        .all(|byte| *byte == 0);
    if generation.is_some() || !is_blank {
        found
            .damage
            .push((0, "the segment's first header is damaged"));
    }
    generation
}

fn blocks(from: u32, to: u32) -> impl Iterator<Item = u32> {
    (from..to).step_by(BLOCK_BYTES as usize)
}

/// Whether a header of this use is there but for some bytes: a changed byte leaves either mark.
fn is_like_header(bytes: &[u8], at: u32, generation: u64) -> bool {
    let header = bytes.get(at as usize..).unwrap_or_default();
    header.starts_with(&frame::MAGIC)
        || header
            .get(8..)
            .is_some_and(|rest| rest.starts_with(&generation.to_be_bytes()))
}
