//! Hostile runs of clusters of any shape, as in `dcp-sim run --profile hostile`.

use std::panic::catch_unwind;

use dcp_sim::input::{Distribution, GeneratedSource, Preset, PresetSource, Source};
use dcp_sim::node::NodeConfig;
use dcp_sim::sim::{
    ClusterConfig, EngineKind, FaultConfig, FaultKind, Profile, Report, Silent, SimError, Storage,
    World,
};
use lowtide_checkpoint::QuotaConfig;

/// Kind of writes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Writes {
    /// By a distribution, with a number of keys and of bytes of each value.
    Made(Distribution, u64, usize),
    /// After measurements.
    Measured(Preset),
}

/// A cluster, its writes and the time during which faults strike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) nodes: usize,
    pub(crate) replicas: usize,
    pub(crate) vbuckets: u16,
    pub(crate) engine: EngineKind,
    pub(crate) writes: Writes,
    pub(crate) ops: u64,
    pub(crate) seconds: u64,
    /// Quota of a node's checkpoint managers.
    pub(crate) quota_bytes: usize,
    /// Kinds of faults, and the mean virtual time between two faults of the commonest kinds.
    pub(crate) kinds: &'static [FaultKind],
    pub(crate) interval_micros: u64,
}

impl Shape {
    /// Runs a seed to its end.
    ///
    /// # Errors
    ///
    /// Same as [`World::run`].
    pub(crate) fn run(self, seed: u64) -> Result<Report, SimError> {
        let kinds = self.kinds.iter().copied();
        let faults = FaultConfig::new(Profile::Hostile, kinds)
            .with_interval_micros(self.interval_micros)
            .with_duration_micros(self.seconds * 1_000_000);
        let quota = QuotaConfig::default().with_limit_bytes(self.quota_bytes);
        let node = NodeConfig::new().with_quota(quota);
        let cluster = ClusterConfig::default()
            .with_size(self.nodes, self.replicas, self.vbuckets)
            .with_seed(seed)
            .with_engine(self.engine)
            .with_node(node)
            .with_faults(faults);
        let source: Box<dyn Source> = match self.writes {
            Writes::Made(law, keys, bytes) => {
                Box::new(GeneratedSource::new(law, self.ops, keys, bytes, seed).expect("valid"))
            }
            Writes::Measured(preset) => {
                Box::new(PresetSource::new(preset, self.ops, seed).expect("valid"))
            }
        };
        World::new(cluster, &Storage::Memory, source)?.run(&mut Silent, None)
    }

    /// Returns the broken invariants of a seed's run, or the error that ended it; `None` if it is
    /// clean.
    pub(crate) fn broken(self, seed: u64) -> Option<String> {
        let Ok(run) = catch_unwind(|| self.run(seed)) else {
            return Some("it panics".to_owned());
        };
        match run {
            Ok(report) if report.is_clean() => None,
            Ok(report) => {
                let broken = report.verdicts.iter().filter(|verdict| !verdict.holds());
                Some(
                    broken
                        .map(|verdict| verdict.invariant)
                        .collect::<Vec<_>>()
                        .join(", "),
                )
            }
            Err(error) => Some(error.to_string()),
        }
    }
}
