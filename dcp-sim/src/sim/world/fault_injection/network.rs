//! Faults of the network.

use crate::node::NodeId;
use crate::sim::config::FaultKind;
use crate::sim::error::SimError;
use crate::sim::world::chaos;
use crate::sim::world::due::{Due, Undo};
use crate::sim::world::state::World;

/// Time after which ends close a connection whose bytes wait.
const TIME_OUT_MICROS: u64 = 150_000;

impl World {
    pub(super) fn slow_down(&mut self, kind: FaultKind) -> Result<bool, SimError> {
        let from = self.any_node(kind)?;
        let Some(to) = self.any_other_node(kind, from)? else {
            return Ok(false);
        };
        let extra = match kind {
            FaultKind::Delay => self.draw(kind, 500, 20_000)?,
            _ => self.draw(kind, 20_000, 100_000)?,
        };
        self.network.slow_down((from, to), extra);
        self.end_later(kind, Undo::Speed(from, to))?;
        Ok(true)
    }

    pub(super) fn disconnect(&mut self) -> Result<bool, SimError> {
        let open: Vec<_> = self.links.open().map(|(id, _)| id).collect();
        let Some(link) = self.pick(FaultKind::Disconnect, &open)? else {
            return Ok(false);
        };
        self.lose(link)?;
        Ok(true)
    }

    pub(super) fn partition(&mut self) -> Result<bool, SimError> {
        let kind = FaultKind::Partition;
        let node = self.any_node(kind)?;
        let other = self.any_other_node(kind, node)?;
        let ways: Vec<_> = match (other, self.draw(kind, 0, 3)?) {
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
        let micros = self.end_later(kind, Undo::OpenWays(ways))?;
        if is_alone {
            let cut_off = &mut chaos::required(&mut self.chaos)?.cut_off;
            *cut_off.entry(node).or_default() += 1;
            self.clock.schedule(micros, Due::Undo(Undo::Rejoin(node)));
        }
        self.clock
            .schedule(TIME_OUT_MICROS, Due::Undo(Undo::TimeOut(cut)));
        Ok(true)
    }

    pub(super) fn stall_acknowledgements(&mut self) -> Result<bool, SimError> {
        let kind = FaultKind::StalledAcks;
        let open: Vec<_> = self
            .links
            .open()
            .map(|(_, link)| link.direction(false))
            .collect();
        let Some((from, to)) = self.pick(kind, &open)? else {
            return Ok(false);
        };
        self.links.close_way(from, to);
        self.end_later(kind, Undo::OpenWays(vec![(from, to)]))?;
        Ok(true)
    }
}
