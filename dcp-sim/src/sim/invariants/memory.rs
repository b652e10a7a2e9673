//! W16: a node is over its memory's limit by no more than what it took in at once: when it is used up, others wait.

use checkpoint::QuotaStats;

use super::Verdict;
use crate::node::NodeId;

/// What a queue allocates at once, beside what it was given: chunks of slots, and index tables that double.
const SLACK_BYTES: usize = 256 << 10;
/// What an item takes beside its bytes is at most so many times these.
const OVERHEAD_TIMES: usize = 8;

pub(in crate::sim) fn verdict() -> Verdict {
    Verdict::new("W16", "a node that has used up its memory takes nothing more in")
}

/// `before_bytes` were used when so many `bytes` came in.
pub(in crate::sim) fn check(
    verdict: &mut Verdict,
    node: NodeId,
    stats: &QuotaStats,
    before_bytes: usize,
    bytes: usize,
) {
    let allowed = before_bytes.max(stats.limit_bytes).saturating_add(bytes * OVERHEAD_TIMES + SLACK_BYTES);
    verdict.check(
        (stats.used_bytes > allowed)
            .then(|| format!("node {node}: {bytes} bytes came in at {before_bytes}, now it is {stats:?}")),
    );
}
