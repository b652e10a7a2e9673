//! The cost rule: it reduces writes, strikes and reads of a drawn shape that would run too long.
//!
//! A unit is about a microsecond of one core in a release build. The estimate is coarse: it bounds
//! the mean and the tail, and does not predict a run.

use std::collections::BTreeSet;

use super::dimension as d;
use super::dimension::Dimension;
use super::draw::Shape;
use crate::sim::config::FaultKind;

/// Largest cost of a drawn shape.
pub(super) const COST_MAX: u64 = 400_000;

/// Cost of a write on each copy: in memory, on the stream, on disk.
const WRITE: u64 = 5;
/// Cost of a commit: a batch of one vBucket.
const COMMIT: u64 = 25;
/// Bytes that are written, streamed and checked in a unit.
const BYTES: u64 = 100;
/// Cost of a strike, without its node's work on each vBucket.
const STRIKE: u64 = 60;
/// Cost of a vBucket in a node's start, a fail-over or a check by the manager.
const VBUCKET: u64 = 3;
/// Cost of a read, which is sometimes of all documents.
const READ: u64 = 4;

impl Shape {
    /// Reduces the shape to the rule's limit. `kinds` are the faults of the shape.
    pub(super) fn apply_cost_rule(&mut self, kinds: &BTreeSet<FaultKind>) {
        // Each of the three has its own share, so none starves another.
        let share = COST_MAX / 3;
        let scaled =
            |value: u64, cost: u64, share: u64| (value.saturating_mul(share) / cost.max(1)).max(1);
        let large = self.cost_of_large_values();
        if large > share / 2 {
            self.set(
                d::LARGE_BYTES,
                scaled(self.get(d::LARGE_BYTES), large, share / 2),
            );
        }
        let writes = self.cost_of_writes();
        let strikes = self.cost_of_strikes(kinds);
        let reads = self.cost_of_reads();
        let left = share - self.cost_of_large_values();
        if writes > left {
            self.set(
                Dimension::OPS,
                scaled(self.get(Dimension::OPS), writes, left),
            );
        }
        if strikes > share {
            for kind in FaultKind::ALL {
                let rarer = self.get(Dimension::Fault(kind)).saturating_mul(strikes) / share;
                self.set(Dimension::Fault(kind), rarer);
            }
        }
        if reads > share {
            self.set(d::READS, scaled(self.get(d::READS), reads, share));
        }
    }

    /// Returns the total cost.
    #[cfg(test)]
    pub(super) fn cost(&self) -> u64 {
        let strikes = self.cost_of_strikes(&self.faults().collect());
        self.cost_of_large_values() + self.cost_of_writes() + strikes + self.cost_of_reads()
    }

    /// Returns the number of copies of each vBucket.
    fn copies(&self) -> u64 {
        self.get(Dimension::REPLICAS)
            .min(self.get(Dimension::NODES) - 1)
            + 1
    }

    /// Returns the number of copies and clients that follow; each client follows about half of the
    /// vBuckets.
    fn followers(&self) -> u64 {
        self.copies() + self.get(Dimension::CLIENTS).div_ceil(2)
    }

    fn cost_of_large_values(&self) -> u64 {
        self.followers() * (self.get(d::LARGE_VALUES) * self.get(d::LARGE_BYTES) / BYTES)
    }

    fn cost_of_writes(&self) -> u64 {
        let commits = COMMIT / self.get(d::FLUSH_ITEMS).clamp(1, COMMIT);
        let bytes = self.get(Dimension::VALUE_BYTES) + self.get(d::KEY_BYTES);
        // A node's vBuckets share its disk: with more vBuckets the same writes need more commits.
        let spread = u64::from(self.get(Dimension::VBUCKETS).ilog2()) * 2;
        let write = WRITE + commits + spread + bytes / BYTES / 4;
        self.followers() * self.get(Dimension::OPS) * write
    }

    fn cost_of_strikes(&self, kinds: &BTreeSet<FaultKind>) -> u64 {
        let nodes = self.get(Dimension::NODES);
        let vbuckets = self.get(Dimension::VBUCKETS);
        let per_node = vbuckets * self.copies() / nodes + 1;
        // After a strike the manager checks all vBuckets several times.
        let strike = STRIKE + per_node * VBUCKET * 4 + nodes * vbuckets / 10;
        let duration = self.get(Dimension::DURATION);
        let struck = kinds
            .iter()
            .map(|&kind| duration / self.get(Dimension::Fault(kind)).max(1));
        struck.sum::<u64>() * strike
    }

    fn cost_of_reads(&self) -> u64 {
        let documents = self.get(Dimension::KEYS).min(self.get(Dimension::OPS));
        self.get(d::READS) * (READ + documents / self.get(Dimension::VBUCKETS) / 16)
    }
}
