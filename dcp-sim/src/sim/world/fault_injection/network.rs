//! Faults of the network.

use crate::node::NodeId;
use crate::sim::config::FaultKind;
use crate::sim::error::SimError;
use crate::sim::world::due::{Due, Undo};
use crate::sim::world::state::World;

/// Time after which ends close a connection whose bytes wait.
const TIME_OUT_MICROS: u64 = 150_000;

impl World {
    pub(super) fn slow_down(&mut self, kind: FaultKind) -> bool {
        let Some(from) = self.any_node(kind, None) else {
            return false;
        };
        let Some(to) = self.any_node(kind, Some(from)) else {
            return false;
        };
        let extra = match kind {
            FaultKind::Delay => self.draw(kind, 500, 20_000),
            _ => self.draw(kind, 20_000, 100_000),
        };
        self.network.slow_down((from, to), extra);
        self.end_later(kind, Undo::Speed(from, to));
        true
    }

    pub(super) fn disconnect(&mut self) -> Result<bool, SimError> {
        let open: Vec<_> = self.links.open().map(|(id, _)| id).collect();
        let index = self.draw(
            FaultKind::Disconnect,
            0,
            (open.len() as u64).saturating_sub(1),
        ) as usize;
        let Some(&link) = open.get(index) else {
            return Ok(false);
        };
        self.lose(link)?;
        Ok(true)
    }

    pub(super) fn partition(&mut self) -> bool {
        let kind = FaultKind::Partition;
        let Some(node) = self.any_node(kind, None) else {
            return false;
        };
        let other = self.any_node(kind, Some(node));
        let ways: Vec<_> = match (other, self.draw(kind, 0, 3)) {
            (Some(other), 0) => vec![(node, other)],
            (Some(other), 1) => vec![(node, other), (other, node)],
            _ => {
                let others = self.topology.nodes().filter(|&other| other != node);
                others
                    .flat_map(|other| [(node, other), (other, node)])
                    .collect()
            }
        };
        // A cluster's only node has no ways, only clients and a manager.
        let is_alone = ways.len() == 2 * (self.config.nodes - 1);
        for &(from, to) in &ways {
            self.links.close_way(from, to);
        }
        let crosses =
            |ends: (NodeId, NodeId)| ways.contains(&ends) || ways.contains(&(ends.1, ends.0));
        let cut: Vec<_> = self
            .links
            .open()
            .filter(|(_, link)| crosses(link.ends))
            .map(|(id, _)| id)
            .collect();
        let micros = self.end_later(kind, Undo::OpenWays(ways));
        if is_alone {
            if let Some(chaos) = &mut self.chaos {
                *chaos.cut_off.entry(node).or_default() += 1;
            }
            self.clock.schedule(micros, Due::Undo(Undo::Rejoin(node)));
        }
        self.clock
            .schedule(TIME_OUT_MICROS, Due::Undo(Undo::TimeOut(cut)));
        true
    }

    pub(super) fn stall_acknowledgements(&mut self) -> bool {
        let kind = FaultKind::StalledAcks;
        let open: Vec<_> = self
            .links
            .open()
            .map(|(_, link)| link.direction(false))
            .collect();
        let index = self.draw(kind, 0, (open.len() as u64).saturating_sub(1)) as usize;
        let Some(&(from, to)) = open.get(index) else {
            return false;
        };
        self.links.close_way(from, to);
        self.end_later(kind, Undo::OpenWays(vec![(from, to)]));
        true
    }
}
