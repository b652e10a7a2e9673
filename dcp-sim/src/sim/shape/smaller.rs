//! Shapes that are one step simpler, for shrinking.

use super::dimension::Dimension;
use super::draw::Shape;
use super::setting::Setting;

impl Shape {
    /// Returns the settings of each simpler shape; the largest steps come first.
    #[must_use]
    pub fn smaller(&self) -> Vec<Vec<Setting>> {
        let first = [
            Dimension::DURATION,
            Dimension::OPS,
            Dimension::VBUCKETS,
            Dimension::NODES,
            Dimension::REPLICAS,
        ];
        let faults = self.faults().map(Dimension::Fault);
        let rest = self
            .meaningful()
            .filter(|dimension| dimension.row().is_some() && !first.contains(dimension));
        let order: Vec<_> = faults.chain(first).chain(rest).collect();
        let meaningful: Vec<_> = self.meaningful().collect();
        let order = order
            .into_iter()
            .filter(|dimension| meaningful.contains(dimension));
        order.flat_map(|dimension| self.steps(dimension)).collect()
    }

    fn steps(&self, dimension: Dimension) -> Vec<Vec<Setting>> {
        let value = self.get(dimension);
        let Some(row) = dimension.row() else {
            // Without this kind of fault, or with one at half its frequency.
            let rarer = value * 2;
            let values = [
                Some(0),
                (rarer < self.get(Dimension::DURATION)).then_some(rarer),
            ];
            return values
                .into_iter()
                .flatten()
                .map(|value| vec![Setting { dimension, value }])
                .collect();
        };
        let simplest = row.simplest;
        let half = simplest.midpoint(value);
        let is_small =
            [Dimension::NODES, Dimension::REPLICAS, Dimension::VBUCKETS].contains(&dimension);
        let one_less = if is_small {
            value.saturating_sub(1).max(simplest)
        } else {
            simplest
        };
        let mut values = vec![simplest, half, one_less];
        values.retain(|&simpler| simpler != value);
        values.dedup();
        values
            .into_iter()
            .map(|value| self.step(dimension, value))
            .collect()
    }

    fn step(&self, dimension: Dimension, value: u64) -> Vec<Setting> {
        let mut settings = vec![Setting { dimension, value }];
        let replicas = self.get(Dimension::REPLICAS);
        if dimension == Dimension::NODES && replicas >= value {
            // Copies are on different nodes.
            settings.push(Setting {
                dimension: Dimension::REPLICAS,
                value: value.saturating_sub(1),
            });
        }
        settings
    }
}
