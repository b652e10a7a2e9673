//! W16: a node exceeds its memory limit by at most the last accepted piece. When memory is used up
//! and cannot be recovered, streams wait and writes are refused.

use lowtide_checkpoint::QuotaStats;

use crate::node::NodeId;
use crate::sim::record::InvariantVerdict;

/// Allocation of each manager at its first item: a chunk of slots and a table of keys.
const FIRST_BYTES: usize = 4 << 10;
/// Largest single allocation of a queue besides its items: chunks of slots, and index tables that
/// double.
const SLACK_BYTES: usize = 256 << 10;
/// Largest ratio of an item's memory to its bytes.
const OVERHEAD_TIMES: usize = 8;

pub(in crate::sim) fn verdict() -> InvariantVerdict {
    InvariantVerdict::new("W16", "a node with no memory left accepts nothing")
}

/// Input that a node accepted.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) struct TakenIn {
    pub(in crate::sim) bytes: usize,
    /// Bytes in use before.
    pub(in crate::sim) before_bytes: usize,
    /// Memory was used up and could not be recovered.
    pub(in crate::sim) was_full: bool,
}

/// Checks a node that accepted input, with its current figures.
pub(in crate::sim) fn check(
    verdict: &mut InvariantVerdict,
    node: NodeId,
    stats: &QuotaStats,
    taken: TakenIn,
) {
    let TakenIn {
        bytes,
        before_bytes,
        was_full,
    } = taken;
    // One piece may contain an item for every vBucket.
    let slack_bytes = SLACK_BYTES + stats.managers * FIRST_BYTES;
    let allowed = before_bytes
        .max(stats.limit_bytes)
        .saturating_add(bytes * OVERHEAD_TIMES + slack_bytes);
    verdict.check((was_full || stats.used_bytes > allowed).then(|| {
        let full = if was_full { ", though it was full" } else { "" };
        format!("node {node}: {bytes} bytes came in at {before_bytes}{full}, now it is {stats:?}")
    }));
}
