//! What goes wrong in a run: which kinds of faults, and how often each.
//!
//! What always holds: each kind draws from a stream of the seed of its own, so that taking one away moves none of the
//! others; no fault is one that the system does not promise to survive (`docs/simulation.md`).

use std::collections::{BTreeMap, BTreeSet};

use crate::sim::rng::SimRng;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// One direction between two nodes takes longer for a while.
    Delay,
    /// A connection is lost, with what was on its way, but for the first bytes of it.
    Disconnect,
    /// Two nodes, or one and all others, can't reach one another for a while, or only one way.
    Partition,
    /// A consumer reads slowly for a while.
    SlowConsumer,
    /// A consumer's acknowledgements are stuck for a while.
    StalledAcks,
    /// A process dies and starts again; its disk keeps all it was given.
    Crash,
    /// A machine loses its power, perhaps in the middle of a write; of what was not synced any part may be lost.
    PowerLoss,
    /// Writes or syncs of a disk fail.
    DiskError,
    /// A disk is full for a while.
    DiskFull,
    /// A disk is slow for a while.
    SlowDisk,
    /// A node's vBuckets are given to their replicas, whether it is down or only thought to be.
    FailOver,
    /// A vBucket's copy goes to another node, or its active does in order.
    Move,
    /// A vBucket is compacted, and its old tombstones are purged.
    Compaction,
    /// A node has little memory for a while.
    Memory,
}

impl FaultKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::Delay,
        Self::Disconnect,
        Self::Partition,
        Self::SlowConsumer,
        Self::StalledAcks,
        Self::Crash,
        Self::PowerLoss,
        Self::DiskError,
        Self::DiskFull,
        Self::SlowDisk,
        Self::FailOver,
        Self::Move,
        Self::Compaction,
        Self::Memory,
    ];

    /// Its name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Disconnect => "disconnect",
            Self::Partition => "partition",
            Self::SlowConsumer => "slow-consumer",
            Self::StalledAcks => "stalled-acks",
            Self::Crash => "crash",
            Self::PowerLoss => "power-loss",
            Self::DiskError => "disk-error",
            Self::DiskFull => "disk-full",
            Self::SlowDisk => "slow-disk",
            Self::FailOver => "fail-over",
            Self::Move => "move",
            Self::Compaction => "compaction",
            Self::Memory => "memory",
        }
    }

    /// The kind with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The seed's stream it draws from. A kind keeps its number for good: it is part of what a seed means.
    const fn stream(self) -> u64 {
        100 + self as u64
    }

    /// How rare it is, compared with the others: compactions and power losses cost a run more than lost connections.
    const fn rarity(self) -> u64 {
        match self {
            Self::Delay | Self::Disconnect => 1,
            Self::Partition
            | Self::SlowConsumer
            | Self::StalledAcks
            | Self::DiskError
            | Self::SlowDisk => 2,
            Self::Crash | Self::PowerLoss | Self::FailOver | Self::Compaction | Self::Memory => 3,
            Self::DiskFull | Self::Move => 4,
        }
    }
}

/// How much goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Nothing.
    Calm,
    /// Now and then something; between two faults a cluster mostly comes to rest.
    Stormy,
    /// All the time, several things at once.
    Hostile,
}

impl Profile {
    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Stormy => "stormy",
            Self::Hostile => "hostile",
        }
    }

    /// Virtual time between two faults of the commonest kinds, on average.
    #[must_use]
    pub const fn interval_micros(self) -> u64 {
        match self {
            Self::Calm => u64::MAX / 16,
            Self::Stormy => 500_000,
            Self::Hostile => 60_000,
        }
    }
}

/// What goes wrong, how often, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultConfig {
    /// What may go wrong.
    pub kinds: BTreeSet<FaultKind>,
    /// Virtual time between two faults of the commonest kinds, on average.
    pub interval_micros: u64,
    /// Virtual time between two faults of a kind, on average, where it does not follow from `interval_micros`.
    pub intervals_micros: BTreeMap<FaultKind, u64>,
    /// How long things go wrong, in virtual time; then everything must settle.
    pub duration_micros: u64,
    /// Virtual time between two reads on replicas; at least 1.
    pub read_every_micros: u64,
}

impl Default for FaultConfig {
    /// Nothing goes wrong for five seconds, and a client reads every millisecond.
    fn default() -> Self {
        Self {
            kinds: BTreeSet::new(),
            interval_micros: Profile::Calm.interval_micros(),
            intervals_micros: BTreeMap::new(),
            duration_micros: 5_000_000,
            read_every_micros: 1_000,
        }
    }
}

impl FaultConfig {
    /// Virtual time between two faults of a kind, on average.
    #[must_use]
    pub fn interval_of(&self, kind: FaultKind) -> u64 {
        let own = self.intervals_micros.get(&kind).copied();
        own.unwrap_or_else(|| self.interval_micros.saturating_mul(kind.rarity()))
    }
}

/// Draws when each kind strikes.
#[derive(Debug)]
pub(in crate::sim) struct FaultPlan {
    pub(in crate::sim) config: FaultConfig,
    streams: BTreeMap<FaultKind, SimRng>,
}

impl FaultPlan {
    pub(in crate::sim) fn new(config: FaultConfig, seed: u64) -> Self {
        let streams = config
            .kinds
            .iter()
            .map(|&kind| (kind, SimRng::stream(seed, kind.stream())));
        Self {
            streams: streams.collect(),
            config,
        }
    }

    /// Microseconds to the next fault of that kind.
    pub(in crate::sim) fn next(&mut self, kind: FaultKind) -> u64 {
        let mean = self.config.interval_of(kind);
        self.draw(kind, 1, mean.saturating_mul(2))
    }

    /// A number in `low..=high` from that kind's stream.
    pub(in crate::sim) fn draw(&mut self, kind: FaultKind, low: u64, high: u64) -> u64 {
        self.streams
            .get_mut(&kind)
            .map_or(low, |rng| rng.range(low, high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_a_kind_away_moves_no_other() {
        let drawn = |kinds: &[FaultKind]| {
            let kinds = kinds.iter().copied().collect();
            let config = FaultConfig {
                kinds,
                interval_micros: 1_000,
                ..FaultConfig::default()
            };
            let mut plan = FaultPlan::new(config, 7);
            let _others = plan.next(FaultKind::Crash);
            [
                plan.next(FaultKind::Delay),
                plan.draw(FaultKind::Delay, 0, 1 << 40),
            ]
        };
        assert_eq!(drawn(&[FaultKind::Delay]), drawn(&FaultKind::ALL));
    }

    #[test]
    fn names_are_those_of_their_kinds() {
        for kind in FaultKind::ALL {
            assert_eq!(FaultKind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(FaultKind::from_name("flood"), None);
    }
}
