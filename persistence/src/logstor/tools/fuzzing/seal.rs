//! Correction of checksums after bytes were changed, so that the code behind them is reached.

use crate::logstor::config::BLOCK_BYTES;
use crate::logstor::format::{HEADER_BYTES, MAGIC, keyed_crc, to_usize, u32_at};
use crate::logstor::hash_key::HashKey;
use crate::shared::record::FRAME_BYTES;

fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(place) = bytes.get_mut(at..at.saturating_add(4)) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// Corrects the checksum of the record at the start. Returns its length, if it can be a record.
pub(super) fn record(bytes: &mut [u8]) -> Option<usize> {
    let len = u32_at(bytes, 4)?;
    let crc = crc32c::crc32c(bytes.get(4..to_usize(len))?);
    put(bytes, 0, crc);
    Some(to_usize(len))
}

/// Corrects the checksum of the header at the start.
pub(super) fn header(bytes: &mut [u8], hash_key: HashKey) {
    let end = to_usize(HEADER_BYTES) - 4;
    if let Some(checked) = bytes.get(..end) {
        let crc = keyed_crc(hash_key, checked);
        put(bytes, end, crc);
    }
}

/// Corrects the checksums of every frame in a segment.
pub(super) fn segment(bytes: &mut [u8], hash_key: HashKey) {
    for start in (0..bytes.len()).step_by(to_usize(BLOCK_BYTES)) {
        let Some(rest) = bytes
            .get_mut(start..)
            .filter(|rest| rest.starts_with(&MAGIC))
        else {
            continue;
        };
        let payload_bytes = to_usize(u32_at(rest, 48).unwrap_or(0));
        let end = to_usize(HEADER_BYTES)
            .saturating_add(payload_bytes)
            .min(rest.len());
        let payload = rest
            .get_mut(to_usize(HEADER_BYTES)..end)
            .unwrap_or_default();
        let mut at = 0_usize;
        while let Some(taken) = payload.get_mut(at..).and_then(record) {
            at = at.saturating_add(taken.max(8));
        }
        let crc = crc32c::crc32c(payload);
        put(rest, 52, crc);
        header(rest, hash_key);
    }
}

/// Corrects the checksums of every frame in a manifest, slot by slot.
pub(super) fn manifest(bytes: &mut [u8]) {
    let (first, second) = bytes.split_at_mut(bytes.len() / 2);
    slot(first);
    slot(second);
}

fn slot(bytes: &mut [u8]) {
    let mut at = 0_usize;
    while let Some(len) = u32_at(bytes, at) {
        let start = at.saturating_add(FRAME_BYTES);
        let end = start.saturating_add(to_usize(len));
        let Some(body) = bytes.get(start..end).filter(|_| len > 0) else {
            return;
        };
        let crc = crc32c::crc32c(body);
        put(bytes, at + 4, crc);
        at = end;
    }
}
