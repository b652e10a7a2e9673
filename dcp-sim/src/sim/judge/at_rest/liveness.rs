//! W14: after the last fault the cluster comes to rest within a fixed virtual time.

use crate::sim::record::InvariantVerdict;

pub(in crate::sim) fn check(settled_micros: Option<u64>, limit_micros: u64) -> InvariantVerdict {
    let mut verdict =
        InvariantVerdict::new("W14", "after the last fault everything settles in time");
    verdict.check(settled_micros.is_none().then(|| {
        format!(
            "the cluster is not at rest after {} s",
            limit_micros / 1_000_000
        )
    }));
    verdict
}
