//! Sealing: correcting the checksums of a changed file, so that a fuzzer gets past them.
//!
//! Checksums are corrected wherever a header or chunk could begin: headers at the beginning of
//! blocks, chunks one after another.

use crate::couchstore::format::block::{self, BLOCK_BYTES};
use crate::couchstore::format::chunk_head::HEAD_BYTES;
use crate::couchstore::format::{Checksum, ChunkHead, Fields};

/// Block type and length.
const BEFORE_CHECKSUM: usize = 5;
const CHECKSUM_BYTES: usize = 4;

/// Corrects the checksums of a file.
pub fn seal(bytes: &mut [u8]) {
    let mut checksum = Checksum::Crc32c;
    for start in (0..bytes.len()).step_by(BLOCK_BYTES as usize) {
        let header = bytes.get_mut(start..).and_then(seal_header);
        checksum = header.map_or(checksum, |(_, used)| used);
    }
    let mut position = 0;
    while position < bytes.len() as u64 {
        position = match seal_chunk(bytes, position, checksum) {
            Some(end) => end,
            None => block::next_boundary(position + 1),
        };
    }
}

/// Corrects the checksum of a header or a key block. Returns its end and the kind of checksum.
fn seal_header(bytes: &mut [u8]) -> Option<(u64, Checksum)> {
    let (before, rest) = bytes.split_at_mut_checked(BEFORE_CHECKSUM)?;
    let mut fields = Fields::new(before);
    let block_type = fields.u8()?;
    if ![block::HEADER, block::ENCRYPTION].contains(&block_type) {
        return None;
    }
    let length = fields.uint(4)? as usize;
    let (sum, body) = rest
        .get_mut(..length)?
        .split_at_mut_checked(CHECKSUM_BYTES)?;
    let used = match block_type {
        block::HEADER => Checksum::of_version(*body.first()?),
        _ => Checksum::Crc32c,
    };
    sum.copy_from_slice(&used.of(body).to_be_bytes());
    Some(((BEFORE_CHECKSUM + length) as u64, used))
}

/// Corrects the checksum of the chunk at `position`. Returns the end of the chunk.
fn seal_chunk(bytes: &mut [u8], position: u64, checksum: Checksum) -> Option<u64> {
    if position.is_multiple_of(BLOCK_BYTES)
        && let Some((length, _)) = bytes.get_mut(position as usize..).and_then(seal_header)
    {
        return Some(position + length);
    }
    let start = block::data_start(position);
    let upto = |length: u64| block::end_of(start, length);
    let read = |end: u64| {
        bytes
            .get(start as usize..end as usize)
            .map(|raw| block::strip(raw.to_vec(), start))
    };
    let head = ChunkHead::decode(&read(upto(HEAD_BYTES))?)?;
    let end = upto(HEAD_BYTES + head.body_bytes);
    let data = read(end)?;
    let sum = checksum.of(data.get(HEAD_BYTES as usize..)?).to_be_bytes();
    for (nth, byte) in (4..).zip(sum) {
        *bytes.get_mut(block::data_start(upto(nth)) as usize)? = byte;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use crate::couchstore::tests::support::fixture;

    use super::*;

    #[test]
    fn sealing_corrects_broken_checksums_and_no_others() {
        for case in [
            "b_ten",
            "d_rich",
            "e_base",
            "h_boundary",
            "g_ten_v11",
            "j_v7.6.11_d_rich",
        ] {
            let sound = std::fs::read(fixture(&format!("{case}.couch.1"))).expect("fixture");
            let mut bytes = sound.clone();
            seal(&mut bytes);
            assert!(bytes == sound, "{case}");
        }
        let sound = std::fs::read(fixture("e_base.couch.1")).expect("fixture");
        // In the checksum of the last header, and in that of the first body.
        for at in [12_288 + 5, 48 + 4] {
            let mut bytes = sound.clone();
            bytes[at] ^= 0xff;
            seal(&mut bytes);
            assert!(bytes == sound, "{at}");
        }
    }
}
