//! W14: when faults have stopped, everything comes to rest within a stated time of the simulation.

use crate::sim::record::Verdict;

pub(in crate::sim) fn check(settled_micros: Option<u64>, limit_micros: u64) -> Verdict {
    let mut verdict = Verdict::new("W14", "after the last fault everything settles in time");
    verdict.check(settled_micros.is_none().then(|| {
        format!(
            "something still goes on after {} s",
            limit_micros / 1_000_000
        )
    }));
    verdict
}
