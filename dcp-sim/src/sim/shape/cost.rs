//! The cost rule: a drawn shape that would take long has fewer writes, strikes and reads.
//!
//! A unit is about a microsecond of one core in a release build. The estimate is coarse: it is there to bound the mean and
//! the tail, not to predict a run.

use std::collections::BTreeSet;

use super::dimension as d;
use super::{Dimension, Shape};
use crate::sim::faults::FaultKind;

/// The most a drawn shape may cost.
pub(super) const COST_MAX: u64 = 400_000;

/// What a write costs on each copy: in memory, on the stream, on disk.
const WRITE: u64 = 5;
/// A commit: a batch of one vBucket.
const COMMIT: u64 = 25;
/// Bytes that are written, streamed and checked in a unit.
const BYTES: u64 = 100;
/// A strike, apart from what it has its node do with each vBucket.
const STRIKE: u64 = 60;
/// What a node that starts, a fail-over or a look of the manager does with a vBucket.
const VBUCKET: u64 = 3;
/// A read, now and then of everything there is.
const READ: u64 = 4;

impl Shape {
    /// Makes it cheaper as far as the rule wants. `kinds` are the faults there are.
    pub(super) fn apply_cost_rule(&mut self, kinds: &BTreeSet<FaultKind>) {
        // Each of the three may take a share of its own, so that none of them is starved by another.
        let share = COST_MAX / 3;
        let (writes, strikes, reads) = self.costs(kinds);
        let scaled = |value: u64, cost: u64| (value.saturating_mul(share) / cost.max(1)).max(1);
        if writes > share {
            self.set(Dimension::OPS, scaled(self.get(Dimension::OPS), writes));
        }
        if strikes > share {
            for kind in FaultKind::ALL {
                let rarer = self.get(Dimension::Fault(kind)).saturating_mul(strikes) / share;
                self.set(Dimension::Fault(kind), rarer);
            }
        }
        if reads > share {
            self.set(d::READS, scaled(self.get(d::READS), reads));
        }
    }

    /// Estimated units of the writes, of the strikes and of the reads.
    pub(super) fn costs(&self, kinds: &BTreeSet<FaultKind>) -> (u64, u64, u64) {
        let of = |dimension| self.get(dimension);
        let (nodes, vbuckets) = (of(Dimension::NODES), of(Dimension::VBUCKETS));
        let copies = of(Dimension::REPLICAS).min(nodes - 1) + 1;
        let commits = COMMIT / of(d::FLUSH_ITEMS).clamp(1, COMMIT);
        let bytes = of(Dimension::VALUE_BYTES) + of(d::KEY_BYTES);
        // A node's vBuckets share its disk: the more there are, the more commits the same writes make.
        let write = WRITE + commits + vbuckets.ilog2() as u64 * 2 + bytes / BYTES / 4;
        let large = of(d::LARGE_VALUES) * of(d::LARGE_BYTES) / BYTES;
        let writes = copies * (of(Dimension::OPS) * write + large);
        let per_node = vbuckets * copies / nodes + 1;
        // Afterwards the manager looks at all of them several times.
        let strike = STRIKE + per_node * VBUCKET * 4 + nodes * vbuckets / 10;
        let duration = of(Dimension::DURATION);
        let struck = kinds.iter().map(|&kind| duration / of(Dimension::Fault(kind)).max(1)).sum::<u64>();
        let documents = of(Dimension::KEYS).min(of(Dimension::OPS)) / vbuckets + 1;
        let reads = of(d::READS) * (READ + documents / 16);
        (writes, struck * strike, reads)
    }
}
