//! Meaning of dimensions: the ones that apply to a shape, and the rules by which drawn values yield
//! to fixed ones.

use super::dimension::{self, Dimension};
use super::draw::{Fixed, QUOTA_BYTES_PER_VBUCKET, Shape};
use crate::sim::error::SimError;

const LOGSTOR: u64 = 1;
const ZIPFIAN: u64 = 1;
pub(super) const LATEST: u64 = 2;
pub(super) const ETC: u64 = 3;

/// Topic of a dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topic {
    Cluster,
    Couchstore,
    Log,
    /// Every generated workload.
    Writes,
    /// Workloads that do not define their own number of keys.
    Keys,
    /// Workloads that leave all sizes open.
    Mix,
}

impl Dimension {
    fn topic(self) -> Topic {
        match self {
            Self::WORKLOAD | Self::OPS => Topic::Writes,
            Self::KEYS => Topic::Keys,
            dimension::SKEW
            | dimension::DELETES
            | dimension::KEY_BYTES
            | Self::VALUE_BYTES
            | Self::VALUE_SPREAD
            | dimension::LARGE_VALUES
            | dimension::LARGE_BYTES => Topic::Mix,
            _ if self.name().starts_with("couchstore-") => Topic::Couchstore,
            _ if self.name().starts_with("log-") => Topic::Log,
            _ => Topic::Cluster,
        }
    }
}

impl Shape {
    /// Returns the dimensions that apply to this engine and workload.
    pub fn meaningful(&self) -> impl Iterator<Item = Dimension> {
        Dimension::all().filter(|&dimension| self.means(dimension))
    }

    fn means(&self, dimension: Dimension) -> bool {
        let engine = self.get(Dimension::ENGINE);
        let workload = self.get(Dimension::WORKLOAD);
        match dimension.topic() {
            Topic::Cluster => true,
            Topic::Couchstore => engine != LOGSTOR,
            Topic::Log => engine == LOGSTOR,
            Topic::Writes => !self.has_source,
            Topic::Keys => !self.has_source && workload <= ETC,
            Topic::Mix => !self.has_source && workload <= LATEST,
        }
    }

    /// Changes drawn values that contradict fixed ones.
    pub(super) fn yield_to(&mut self, fixed: &Fixed) -> Result<(), SimError> {
        let is_fixed = |dimension| fixed.settings.contains_key(&dimension);
        for &dimension in fixed.settings.keys() {
            match dimension.topic() {
                Topic::Couchstore if !is_fixed(Dimension::ENGINE) => self.set(Dimension::ENGINE, 0),
                Topic::Log if !is_fixed(Dimension::ENGINE) => self.set(Dimension::ENGINE, LOGSTOR),
                Topic::Keys | Topic::Mix
                    if !is_fixed(Dimension::WORKLOAD)
                        && !self.has_source
                        && !self.means(dimension) =>
                {
                    self.set(Dimension::WORKLOAD, ZIPFIAN);
                }
                _ => {}
            }
        }
        if let Some(&dimension) = fixed
            .settings
            .keys()
            .find(|&&dimension| !self.means(dimension))
        {
            return Err(SimError::Config(format!(
                "{} has no meaning {}",
                dimension.name(),
                self.why(dimension)
            )));
        }
        let nodes = self.get(Dimension::NODES);
        let replicas = self.get(Dimension::REPLICAS);
        if replicas >= nodes && !is_fixed(Dimension::REPLICAS) {
            self.set(Dimension::REPLICAS, nodes - 1);
        } else if replicas >= nodes && !is_fixed(Dimension::NODES) {
            self.set(Dimension::NODES, replicas + 1);
        }
        let least = self.get(Dimension::VBUCKETS) * QUOTA_BYTES_PER_VBUCKET;
        if !is_fixed(dimension::QUOTA) {
            self.set(dimension::QUOTA, self.get(dimension::QUOTA).max(least));
        }
        self.order_marks(
            is_fixed(dimension::UPPER_MARK),
            is_fixed(dimension::LOWER_MARK),
        )
    }

    fn why(&self, dimension: Dimension) -> String {
        let word = |dimension: Dimension| dimension.text(self.get(dimension));
        match dimension.topic() {
            Topic::Couchstore | Topic::Log => format!("with engine={}", word(Dimension::ENGINE)),
            _ if self.has_source => "with writes from another source".to_owned(),
            _ => format!(
                "with workload={}: it follows from the workload",
                word(Dimension::WORKLOAD)
            ),
        }
    }

    /// Keeps the lower mark of the quota below the upper one.
    fn order_marks(&mut self, is_upper_fixed: bool, is_lower_fixed: bool) -> Result<(), SimError> {
        let upper = self.get(dimension::UPPER_MARK);
        let lower = self.get(dimension::LOWER_MARK);
        if lower < upper {
            return Ok(());
        }
        match (is_upper_fixed, is_lower_fixed) {
            (true, true) => {
                let what =
                    format!("lower-mark-permille={lower} is not below upper-mark-permille={upper}");
                return Err(SimError::Config(what));
            }
            (_, false) => self.set(dimension::LOWER_MARK, upper - 1),
            (false, true) => self.set(dimension::UPPER_MARK, (lower + 1).min(1_000)),
        }
        Ok(())
    }
}
