//! Kinds of faults, and the frequency of each.
//!
//! # Invariants
//!
//! - Each kind draws from a random stream of its own, so removing one does not change the others.
//! - The system promises to survive every fault (`docs/simulation.md`).

use std::collections::{BTreeMap, BTreeSet};

use crate::sim::rng::SimRng;

/// Kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FaultKind {
    /// One direction between two nodes is slow for a while.
    Delay,
    /// A connection is lost, with all bytes in flight except the first ones.
    Disconnect,
    /// Two nodes, or one and all others, cannot reach one another for a while, perhaps in one
    /// direction only.
    Partition,
    /// A consumer reads slowly for a while.
    SlowConsumer,
    /// A consumer's acknowledgements are delayed for a while.
    StalledAcks,
    /// A process dies and restarts; its disk keeps everything.
    Crash,
    /// A machine loses power, perhaps in the middle of a write. Any part of the unsynced data may
    /// be lost.
    PowerLoss,
    /// Writes or syncs of a disk fail.
    DiskError,
    /// A disk is full for a while.
    DiskFull,
    /// A disk is slow for a while.
    SlowDisk,
    /// A node's vBuckets fail over to their replicas; the node may be up.
    FailOver,
    /// A copy of a vBucket moves to another node, or its active hands over in order.
    Move,
    /// A vBucket is compacted, and its old tombstones are purged.
    Compaction,
    /// A node has little memory for a while.
    Memory,
}

impl FaultKind {
    /// All kinds, by number.
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

    /// Returns the name on the command line and in reports.
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

    /// Returns the kind with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Returns the seed's stream of this kind. The number never changes, since it determines the
    /// meaning of a seed.
    const fn stream(self) -> u64 {
        100 + self as u64
    }

    /// Returns the factor by which it is rarer than the commonest kinds. Compactions and power
    /// losses cost a run more than lost connections.
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

/// Intensity of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// No faults.
    Calm,
    /// Occasional faults; between two of them the cluster usually settles.
    Stormy,
    /// Constant faults, several at once.
    Hostile,
}

impl Profile {
    /// Returns the name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Stormy => "stormy",
            Self::Hostile => "hostile",
        }
    }

    /// Returns the mean virtual time between two faults of the commonest kinds.
    #[must_use]
    pub const fn interval_micros(self) -> u64 {
        match self {
            Self::Calm => u64::MAX / 16,
            Self::Stormy => 500_000,
            Self::Hostile => 60_000,
        }
    }
}

/// Kinds, frequency and duration of faults.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultConfig {
    /// Kinds that occur.
    pub kinds: BTreeSet<FaultKind>,
    /// Mean virtual time between two faults of the commonest kinds.
    pub interval_micros: u64,
    /// Mean virtual time between two faults of a kind, unless it follows from `interval_micros`.
    pub intervals_micros: BTreeMap<FaultKind, u64>,
    /// Duration of the safety phase in virtual time; then everything must settle.
    pub duration_micros: u64,
    /// Virtual time between two reads on replicas; at least 1.
    pub read_every_micros: u64,
}

impl Default for FaultConfig {
    /// No faults for five seconds, and a read every millisecond.
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
    /// Creates the faults of these kinds, as often as the profile says.
    #[must_use]
    pub fn new(profile: Profile, kinds: impl IntoIterator<Item = FaultKind>) -> Self {
        Self {
            kinds: kinds.into_iter().collect(),
            ..Self::default()
        }
        .with_interval_micros(profile.interval_micros())
    }

    /// Sets the mean virtual time between two faults of the commonest kinds.
    #[must_use]
    pub const fn with_interval_micros(mut self, micros: u64) -> Self {
        self.interval_micros = micros;
        self
    }

    /// Sets the duration of the safety phase.
    #[must_use]
    pub const fn with_duration_micros(mut self, micros: u64) -> Self {
        self.duration_micros = micros;
        self
    }

    /// Sets the virtual time between two reads on replicas.
    #[must_use]
    pub const fn with_read_every_micros(mut self, micros: u64) -> Self {
        self.read_every_micros = micros;
        self
    }

    /// Returns the mean virtual time between two faults of a kind.
    #[must_use]
    pub fn interval_of(&self, kind: FaultKind) -> u64 {
        let own = self.intervals_micros.get(&kind).copied();
        own.unwrap_or_else(|| self.interval_micros.saturating_mul(kind.rarity()))
    }
}

/// Draws the times of the faults.
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

    /// Draws the microseconds to the next fault of that kind; `None` if the run has no such faults.
    pub(in crate::sim) fn next(&mut self, kind: FaultKind) -> Option<u64> {
        let mean = self.config.interval_of(kind);
        let rng = self.stream(kind)?;
        // A mean beyond the range of the clock means never.
        Some(rng.range(1, mean.saturating_mul(2)))
    }

    /// Returns the random stream of that kind; `None` if the run has no such faults.
    pub(in crate::sim) fn stream(&mut self, kind: FaultKind) -> Option<&mut SimRng> {
        self.streams.get_mut(&kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removing_a_fault_kind_does_not_change_the_others() {
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
                plan.stream(FaultKind::Delay)
                    .map(|rng| rng.range(0, 1 << 40)),
            ]
        };
        assert_eq!(drawn(&[FaultKind::Delay]), drawn(&FaultKind::ALL));
    }

    #[test]
    fn fault_kind_is_found_by_its_name() {
        for kind in FaultKind::ALL {
            assert_eq!(FaultKind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(FaultKind::from_name("flood"), None);
    }

    #[test]
    fn each_setter_of_faults_sets_its_own_field() {
        assert_eq!(
            FaultConfig::new(Profile::Hostile, [FaultKind::Crash])
                .with_interval_micros(1)
                .with_duration_micros(2)
                .with_read_every_micros(3),
            FaultConfig {
                kinds: BTreeSet::from([FaultKind::Crash]),
                interval_micros: 1,
                intervals_micros: BTreeMap::new(),
                duration_micros: 2,
                read_every_micros: 3,
            }
        );
    }
}
