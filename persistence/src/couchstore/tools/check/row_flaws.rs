//! Flaws of one row and of its body, without regard to any other row.
//!
//! The check, the audit of a compaction and the salvage of a file judge rows by these rules.

use bytes::Bytes;

use crate::couchstore::format::block::BLOCK_BYTES;
use crate::couchstore::format::{DocInfo, Tree, by_id, by_seqno, document, snappy};

use super::finding::FindingKind;

/// Reads the row of an index. Returns `None` if it is too short.
pub(crate) fn decode(tree: Tree, key: &Bytes, value: &Bytes) -> Option<DocInfo> {
    match tree {
        Tree::BySeqno => by_seqno::decode(key, value),
        Tree::ById => by_id::decode(key, value),
        Tree::Local => None,
    }
}

/// Returns the flaws of a row by itself, in a commit with this high seqno. Its body is not read.
pub(crate) fn flaws(high: u64, info: &DocInfo) -> Vec<(FindingKind, String)> {
    let mut flaws = Vec::new();
    if info.seqno.0 == 0 || info.seqno.0 > high {
        flaws.push((
            FindingKind::Seqno,
            format!("seqno {} is not one of 1 to {high}", info.seqno),
        ));
    }
    if let Err(what) = document::to_item(info, None) {
        flaws.push((FindingKind::Meta, what.to_owned()));
    }
    if info.body_position == 0 && !info.deleted {
        flaws.push((FindingKind::Body, document::NO_BODY.to_owned()));
    }
    if info.body_position == 0 && info.physical_bytes != 0 {
        let what = format!(
            "no body, but the row says it takes {} bytes",
            info.physical_bytes
        );
        flaws.push((FindingKind::Body, what));
    }
    flaws
}

/// Returns the flaw of a body whose checksum matches.
pub(crate) fn body_flaw(info: &DocInfo, stored: &[u8]) -> Option<&'static str> {
    (info.is_compressed() && snappy::decompress(stored).is_none())
        .then_some("body is not a snappy block")
}

/// Returns whether the size of a body in its row can be right. Compaction copies older sizes: they
/// include the type bytes inside the chunk, or are those of an encrypted chunk.
pub(crate) const fn is_plausible(claimed: u64, disk_bytes: u64) -> bool {
    const ENCRYPTION_BYTES: u64 = 12;
    let most = disk_bytes + ENCRYPTION_BYTES;
    // Each block begins with a type byte, and the chunk may begin anywhere in its first block.
    let type_bytes_max = most / (BLOCK_BYTES - 1) + 1;
    claimed >= disk_bytes && claimed <= most + type_bytes_max
}
