//! W14: after the last fault the cluster comes to rest within a fixed virtual time.

use crate::sim::record::InvariantVerdict;

pub(in crate::sim) fn check(settled_micros: Option<u64>, limit_micros: u64) -> InvariantVerdict {
    let mut verdict =
        InvariantVerdict::new("W14", "after the last fault everything settles in time");
    // The event that ends the wait may be the last one: nothing is left then, but too late.
    let is_in_time = settled_micros.is_some_and(|micros| micros <= limit_micros);
    verdict.check((!is_in_time).then(|| {
        format!(
            "the cluster is not at rest after {} s",
            limit_micros / 1_000_000
        )
    }));
    verdict
}
