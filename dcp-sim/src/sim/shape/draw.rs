//! A shape, and its drawing from a seed.
//!
//! Each dimension draws from a random stream of its own. Then the cost rule is applied, then the
//! fixed values are set, then drawn values yield to them.

use std::collections::{BTreeMap, BTreeSet};

use lowtide_checkpoint::internal::Invariant;
use serde::{Serialize, Serializer};

use super::dimension::{Dimension, ROWS};
use super::law;
use super::setting::Setting;
use crate::sim::config::FaultKind;
use crate::sim::error::SimError;
use crate::sim::rng::SimRng;

/// First of the seed's streams for dimensions; the row's index is added.
const STREAM: u64 = 10_000;
/// First of the seed's streams for kinds of faults; the kind's number is added.
const FAULT_STREAM: u64 = 11_000;
/// Stream for the share of kinds that occur.
const PRESENCE_STREAM: u64 = 10_999;
/// Thousandths of the kinds of faults that occur.
const PRESENCE: law::Law = law::Law::OneOf(&[0, 150, 300, 500, 500, 500, 700, 1_000]);
/// Shortest mean time between two faults of a kind, in microseconds.
pub(super) const INTERVAL_MIN: u64 = 20_000;
/// Smallest quota for each vBucket: an empty vBucket, and room to work.
pub(super) const QUOTA_BYTES_PER_VBUCKET: u64 = 8 << 10;

/// Shape of a cluster: a value for each dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    values: BTreeMap<Dimension, u64>,
    /// `true` if the writes are not drawn.
    pub(super) has_source: bool,
}

/// Fixed part of a shape; the rest is drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fixed {
    /// Dimensions with their values.
    pub settings: BTreeMap<Dimension, u64>,
    /// Kinds of faults that occur, each as often as drawn; `None` to draw the kinds.
    pub faults: Option<BTreeSet<FaultKind>>,
    /// `true` if the writes come from another source.
    pub has_source: bool,
}

impl Fixed {
    /// Fixes a dimension.
    #[must_use]
    pub fn with_setting(mut self, setting: Setting) -> Self {
        self.settings.insert(setting.dimension, setting.value);
        self
    }

    /// Takes the writes from another source, and draws none.
    #[must_use]
    pub const fn with_another_source(mut self) -> Self {
        self.has_source = true;
        self
    }

    /// Fixes the kinds of faults that occur.
    #[must_use]
    pub fn with_faults(mut self, kinds: impl IntoIterator<Item = FaultKind>) -> Self {
        self.faults = Some(kinds.into_iter().collect());
        self
    }
}

impl Shape {
    /// Draws the shape of a seed, with these dimensions fixed.
    ///
    /// # Errors
    /// [`SimError::Config`] if a fixed value is outside of its dimension's bounds, or contradicts
    /// another one.
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
            if !dimension.accepts(value) {
                return Err(SimError::Config(format!(
                    "{} cannot be {value}",
                    dimension.name()
                )));
            }
            shape.set(dimension, value);
        }
        shape.yield_to(fixed)?;
        Ok(shape)
    }

    /// Returns the value of a dimension.
    #[must_use]
    pub fn get(&self, dimension: Dimension) -> u64 {
        self.values
            .get(&dimension)
            .copied()
            .expected("W8", "a shape has a value for each dimension")
            // 0 is no number of nodes: the cluster is refused.
            .unwrap_or(0)
    }

    pub(super) fn set(&mut self, dimension: Dimension, value: u64) {
        self.values.insert(dimension, value);
    }

    /// Returns the kinds of faults that occur.
    pub fn faults(&self) -> impl Iterator<Item = FaultKind> {
        FaultKind::ALL
            .into_iter()
            .filter(|&kind| self.get(Dimension::Fault(kind)) > 0)
    }
}

/// One member for each meaningful dimension, by its name: a number, or the word of a setting.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setter_of_a_fixed_part_sets_its_own_field() {
        let setting = Setting {
            dimension: Dimension::DURATION,
            value: 1,
        };
        assert_eq!(
            Fixed::default()
                .with_setting(setting)
                .with_faults([FaultKind::Crash])
                .with_another_source(),
            Fixed {
                settings: BTreeMap::from([(Dimension::DURATION, 1)]),
                faults: Some(BTreeSet::from([FaultKind::Crash])),
                has_source: true,
            }
        );
    }
}
