//! W16: a node is over its memory's limit by no more than what it took in at once: when it is used up, and nothing more of
//! it can be recovered, others wait and writes are refused.

use lowtide_checkpoint::QuotaStats;

use crate::node::NodeId;
use crate::sim::record::Verdict;

/// What each manager of a node allocates with the first item it is given: a chunk of slots and a table of keys.
const FIRST_BYTES: usize = 4 << 10;
/// What a queue allocates at once, beside what it was given: chunks of slots, and index tables that double.
const SLACK_BYTES: usize = 256 << 10;
/// What an item takes beside its bytes is at most so many times these.
const OVERHEAD_TIMES: usize = 8;

pub(in crate::sim) fn verdict() -> Verdict {
    Verdict::new(
        "W16",
        "a node that has used up its memory takes nothing more in",
    )
}

/// What came in, and into what.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) struct TakenIn {
    pub(in crate::sim) bytes: usize,
    /// What was used before.
    pub(in crate::sim) before_bytes: usize,
    /// It was used up, and nothing more could be recovered.
    pub(in crate::sim) was_full: bool,
}

/// A node that has taken something in, with its figures since.
pub(in crate::sim) fn check(
    verdict: &mut Verdict,
    node: NodeId,
    stats: &QuotaStats,
    taken: TakenIn,
) {
    let TakenIn {
        bytes,
        before_bytes,
        was_full,
    } = taken;
    // One piece may hold something for every vBucket.
    let slack_bytes = SLACK_BYTES + stats.managers * FIRST_BYTES;
    let allowed = before_bytes
        .max(stats.limit_bytes)
        .saturating_add(bytes * OVERHEAD_TIMES + slack_bytes);
    verdict.check((was_full || stats.used_bytes > allowed).then(|| {
        let full = if was_full { ", though it was full" } else { "" };
        format!("node {node}: {bytes} bytes came in at {before_bytes}{full}, now it is {stats:?}")
    }));
}
