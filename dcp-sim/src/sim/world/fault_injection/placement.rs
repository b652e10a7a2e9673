//! Fail-overs, and moves of copies between nodes.

use lowtide_checkpoint::Vbid;

use crate::node::NodeId;
use crate::sim::config::FaultKind;
use crate::sim::error::SimError;
use crate::sim::world::due::{Due, Move};
use crate::sim::world::host::Loss;
use crate::sim::world::state::World;

impl World {
    pub(super) fn fail_over_node(&mut self) -> Result<bool, SimError> {
        let kind = FaultKind::FailOver;
        let Some(node) = self.any_node(kind, None) else {
            return Ok(false);
        };
        if self.draw(kind, 0, 1) == 0 {
            self.crash(node, Loss::Process)?;
        }
        let served: Vec<_> = self
            .topology
            .vbuckets()
            .filter(|&vb| self.topology.active(vb) == node)
            .collect();
        let mut is_given = false;
        for vb in served {
            is_given |= self.fail_over(vb)?;
        }
        Ok(is_given)
    }

    pub(super) fn move_something(&mut self) -> Result<bool, SimError> {
        let kind = FaultKind::Move;
        let (vb, how) = (self.any_vbucket(kind), self.draw(kind, 0, 2));
        let replicas: Vec<_> = self.topology.replicas(vb).collect();
        let index = self.draw(kind, 0, (replicas.len() as u64).saturating_sub(1)) as usize;
        let Some(&replica) = replicas.get(index) else {
            return Ok(self.move_only_copy(vb));
        };
        match how {
            0 => {
                self.clock.schedule(
                    0,
                    Due::Move(Move::HandOver {
                        vb,
                        to: replica,
                        looks: 0,
                    }),
                );
                return Ok(true);
            }
            1 => return self.take_over(vb, replica).map(|()| true),
            _ => {}
        }
        // One move of a copy at a time: the next one may need a copy that this one removes.
        if replicas.len() > self.config.replicas {
            return Ok(false);
        }
        let Some(to) = self.any_node_without(kind, vb) else {
            return Ok(false);
        };
        self.move_copy(vb, replica, to);
        Ok(true)
    }

    /// Moves a vBucket without replicas: a copy is built on another node, and takes over.
    fn move_only_copy(&mut self, vb: Vbid) -> bool {
        let Some(to) = self.any_node_without(FaultKind::Move, vb) else {
            return false;
        };
        self.move_copy(vb, self.topology.active(vb), to);
        true
    }

    fn any_node_without(&mut self, kind: FaultKind, vb: Vbid) -> Option<NodeId> {
        let free: Vec<_> = self
            .topology
            .nodes()
            .filter(|&node| self.topology.role(vb, node).is_none())
            .collect();
        let index = self.draw(kind, 0, (free.len() as u64).saturating_sub(1)) as usize;
        free.get(index).copied()
    }
}
