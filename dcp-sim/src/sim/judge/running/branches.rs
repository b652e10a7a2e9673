//! W10: seqnos rise by one on a branch, and a branch starts with the writes of its copy.

use crate::sim::record::InvariantVerdict;

pub(in crate::sim) fn verdict() -> InvariantVerdict {
    InvariantVerdict::new(
        "W10",
        "seqnos rise by one on a branch, which begins with what was written before it",
    )
}
