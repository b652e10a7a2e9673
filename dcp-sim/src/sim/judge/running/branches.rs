//! W10: seqnos rise by one on a branch, and a branch begins with what its copy's active had written.

use crate::sim::record::Verdict;

pub(in crate::sim) fn verdict() -> Verdict {
    Verdict::new(
        "W10",
        "seqnos rise by one on a branch, which begins with what was written before it",
    )
}
