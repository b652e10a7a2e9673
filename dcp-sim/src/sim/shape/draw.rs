//! The shape of a cluster that is drawn from its seed: nodes, stores, workload, limits, and which faults there are.
//!
//! [`Shape::draw`] is the only place where shapes come from. Its invariants:
//!
//! - Each dimension draws from a stream of the seed of its own, and the cost rule is applied to what was drawn. So fixing a
//!   dimension ([`Shape::draw`]'s settings) moves no other, except one that would contradict it: `replicas` stay below
//!   `nodes`, `quota-bytes` are enough for the vBuckets, the marks are in order, and `engine` and `workload` are such that
//!   every dimension that was fixed means something. What was fixed never yields.
//! - Every value is within its dimension's bounds, and those that were drawn are within the bounds of its law.
//! - *Cost rule.* A drawn shape costs at most [`cost::COST_MAX`] units, and few cost as much: where one costs more, its
//!   writes, strikes and reads become fewer. Shapes with fixed dimensions may cost more: their user asked for it.
//! - Every kind of fault may be absent (swarm testing: kinds that are never seen together by a fixed mix meet when others
//!   are away).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};

use super::dimension::{Dimension, ROWS};
use super::law;
use crate::sim::config::FaultKind;
use crate::sim::error::SimError;
use crate::sim::rng::SimRng;

/// The streams of the seed that the dimensions draw from, by their place.
const STREAM: u64 = 10_000;
/// The same for kinds of faults, by their number.
const FAULT_STREAM: u64 = 11_000;
/// The one for how many kinds of faults there are.
const PRESENCE_STREAM: u64 = 10_999;
/// Kinds of faults that exist, in a thousand.
const PRESENCE: law::Law = law::Law::OneOf(&[0, 150, 300, 500, 500, 500, 700, 1_000]);
/// The shortest mean time between two faults of a kind, in microseconds.
pub(super) const INTERVAL_MIN: u64 = 20_000;
/// What an empty vBucket may take of a quota, and some room to work in.
pub(super) const QUOTA_BYTES_PER_VBUCKET: u64 = 8 << 10;

/// A shape: a value for each dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    values: BTreeMap<Dimension, u64>,
    /// The writes come from elsewhere.
    pub(super) has_source: bool,
}

/// What is fixed of a shape; the rest is drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fixed {
    /// Dimensions with their values.
    pub settings: BTreeMap<Dimension, u64>,
    /// The kinds of faults there are: each as often as it is drawn.
    pub faults: Option<BTreeSet<FaultKind>>,
    /// Whether the writes are not drawn: they come from elsewhere.
    pub has_source: bool,
}

impl Shape {
    /// Draws the shape of a seed, with these dimensions fixed.
    ///
    /// # Errors
    /// [`SimError::Config`] if what is fixed contradicts itself.
    pub fn draw(seed: u64, fixed: &Fixed) -> Result<Self, SimError> {
        let mut values = BTreeMap::new();
        for (place, row) in ROWS.iter().enumerate() {
            let mut rng = SimRng::stream(seed, STREAM + place as u64);
            values.insert(Dimension::Row(place), row.law.draw(&mut rng));
        }
        let mut shape = Self {
            values,
            has_source: fixed.has_source,
        };
        let presence = PRESENCE.draw(&mut SimRng::stream(seed, PRESENCE_STREAM));
        let mut kinds = BTreeSet::new();
        for kind in FaultKind::ALL {
            let mut rng = SimRng::stream(seed, FAULT_STREAM + kind as u64);
            if rng.permille(presence) {
                kinds.insert(kind);
            }
            let interval = law::log(&mut rng, INTERVAL_MIN, shape.get(Dimension::DURATION));
            shape.set(Dimension::Fault(kind), interval);
        }
        shape.apply_cost_rule(&kinds);
        let kinds = fixed.faults.as_ref().unwrap_or(&kinds);
        for kind in FaultKind::ALL
            .into_iter()
            .filter(|kind| !kinds.contains(kind))
        {
            shape.set(Dimension::Fault(kind), 0);
        }
        for (&dimension, &value) in &fixed.settings {
            shape.set(dimension, value);
        }
        shape.yield_to(fixed)?;
        Ok(shape)
    }

    /// The value of a dimension.
    #[must_use]
    pub fn get(&self, dimension: Dimension) -> u64 {
        self.values.get(&dimension).copied().unwrap_or(0)
    }

    pub(super) fn set(&mut self, dimension: Dimension, value: u64) {
        self.values.insert(dimension, value);
    }

    /// The kinds of faults there are.
    pub fn faults(&self) -> impl Iterator<Item = FaultKind> {
        FaultKind::ALL
            .into_iter()
            .filter(|&kind| self.get(Dimension::Fault(kind)) > 0)
    }
}

/// One member for each dimension that means something, by its name: a number, or the word a setting has.
impl Serialize for Shape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.meaningful().map(|dimension| {
            let value = self.get(dimension);
            let json = match dimension.word(value) {
                Some(word) => serde_json::Value::from(word),
                None => serde_json::Value::from(value),
            };
            (dimension.name(), json)
        }))
    }
}
