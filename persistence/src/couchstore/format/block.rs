//! Blocks: every 4096th byte of a file is the type of a block and belongs to no data.
//!
//! A *position* is an offset in the file and counts type bytes; a *length* counts data only. A
//! position on a boundary means the type byte there, and the data begins one byte later. The rest
//! of the engine is written in terms of the few conversions in this file.

use crate::numbers::{part_to_usize, to_u64};

/// Bytes of a block, type byte included.
pub(crate) const BLOCK_BYTES: u64 = 4096;

/// Type of a block whose bytes are data from the second on.
pub(crate) const DATA: u8 = 0x00;
/// Type of a block that begins with a header.
pub(crate) const HEADER: u8 = 0x01;
/// Type of the block that describes the encryption of the file.
pub(crate) const ENCRYPTION: u8 = 0x02;

const DATA_BYTES: u64 = BLOCK_BYTES - 1;

/// Returns the position of the first data byte of something at `position`.
pub(crate) const fn data_start(position: u64) -> u64 {
    if position.is_multiple_of(BLOCK_BYTES) {
        position.saturating_add(1)
    } else {
        position
    }
}

/// Returns the first boundary at or after `position`.
pub(crate) const fn next_boundary(position: u64) -> u64 {
    position.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES)
}

/// Returns the position right after `length` bytes of data that begin at `position`. It lies on a
/// boundary if the data fills the block.
pub(crate) const fn end_of(position: u64, length: u64) -> u64 {
    if length == 0 {
        return position;
    }
    let start = data_start(position);
    let room = BLOCK_BYTES - start % BLOCK_BYTES;
    if length <= room {
        return start.saturating_add(length);
    }
    let rest = length - room;
    // Each further block, the last one too, has one type byte.
    start
        .saturating_add(length)
        .saturating_add(rest.div_ceil(DATA_BYTES))
}

/// Returns the first data byte of a chunk at `position`, and the byte after its last.
pub(crate) const fn extent(position: u64, disk_bytes: u64) -> (u64, u64) {
    let start = data_start(position);
    (start, end_of(start, disk_bytes))
}

/// Appends `bytes` to `out`, which ends at `position` in the file, with a type byte at each
/// boundary.
pub(crate) fn append(out: &mut Vec<u8>, position: &mut u64, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        if position.is_multiple_of(BLOCK_BYTES) {
            out.push(DATA);
            *position += 1;
        }
        let room = part_to_usize(BLOCK_BYTES - *position % BLOCK_BYTES);
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        out.extend_from_slice(now);
        *position += to_u64(now.len());
        bytes = later;
    }
}

/// Returns the number of data bytes that fit behind `start` in its block. `start` is not a
/// boundary.
pub(crate) const fn room(start: u64) -> u64 {
    BLOCK_BYTES - start % BLOCK_BYTES
}

/// Removes the type bytes from `raw`, which was read at `start` (not a boundary). Stops before a
/// block that is not data.
pub(crate) fn strip(raw: Vec<u8>, start: u64) -> Vec<u8> {
    if to_u64(raw.len()) <= room(start) {
        return raw;
    }
    let mut data = Vec::with_capacity(raw.len());
    strip_into(&mut data, &raw, start);
    data
}

/// Same as [`strip`], but appends to `data`.
pub(crate) fn strip_into(data: &mut Vec<u8>, raw: &[u8], start: u64) {
    let Some((first, rest)) = raw.split_at_checked(part_to_usize(room(start))) else {
        data.extend_from_slice(raw);
        return;
    };
    data.extend_from_slice(first);
    for block in rest.chunks(BLOCK_BYTES as usize) {
        match block.split_first() {
            Some((&DATA, bytes)) => data.extend_from_slice(bytes),
            _ => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_bytes_strip_to_themselves_at_any_position() {
        for start in [1, 48, 4093, 4094, 4095, 4096, 4097, 8191, 8192] {
            for length in [
                0, 1, 2, 3, 4093, 4094, 4095, 4096, 8190, 8191, 12_285, 12_286,
            ] {
                let bytes: Vec<u8> = (0..length).map(|n| (n % 251) as u8 + 1).collect();
                let (mut out, mut position) = (Vec::new(), start);
                append(&mut out, &mut position, &bytes);
                assert_eq!(position, end_of(start, length), "{start} {length}");
                assert_eq!(position, start + out.len() as u64);
                if length > 0 {
                    let raw = out.split_off((data_start(start) - start) as usize);
                    assert_eq!(strip(raw, data_start(start)), bytes, "{start} {length}");
                }
            }
        }
    }

    #[test]
    fn data_that_fills_a_block_ends_on_the_boundary() {
        assert_eq!(end_of(4090, 6), 4096);
        assert_eq!(end_of(4090, 7), 4098);
        assert_eq!(end_of(4096, 4095), 8192);
        assert_eq!(end_of(1, 2 * 4095), 8192);
    }

    #[test]
    fn strip_stops_before_a_block_that_is_not_data() {
        let mut raw = vec![7; 6];
        raw.push(HEADER);
        raw.extend([9; 20]);
        assert_eq!(strip(raw, 4090), vec![7; 6]);
    }
}
