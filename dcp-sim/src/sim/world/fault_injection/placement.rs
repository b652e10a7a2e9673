//! Fail-overs, and moves of copies between nodes.

use lowtide_checkpoint::Vbid;
use lowtide_checkpoint::internal::Violation;

use crate::node::NodeId;
use crate::sim::config::FaultKind;
use crate::sim::error::SimError;
use crate::sim::world::due::{Due, Move};
use crate::sim::world::host::Loss;
use crate::sim::world::state::World;

/// Numbers that a move draws: the active hands over, by the manager or through the stream. Any other
/// number moves a copy.
const HAND_OVER: u64 = 0;
const TAKE_OVER: u64 = 1;

impl World {
    pub(super) fn fail_over_node(&mut self) -> Result<bool, SimError> {
        let kind = FaultKind::FailOver;
        let node = self.any_node(kind)?;
        if self.draw(kind, 0, 1)? == 0 {
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
        let vb = self.any_vbucket(kind)?;
        let how = self.draw(kind, 0, 2)?;
        let replicas: Vec<_> = self.topology.replicas(vb).collect();
        let Some(replica) = self.pick(kind, &replicas)? else {
            return self.move_only_copy(vb);
        };
        if how == HAND_OVER {
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
        if how == TAKE_OVER {
            return self.take_over(vb, replica).map(|()| true);
        }
        // One move of a copy at a time: the next one may need a copy that this one removes.
        if replicas.len() > self.config.replicas {
            return Ok(false);
        }
        let Some(to) = self.any_node_without(kind, vb)? else {
            return Ok(false);
        };
        self.move_copy(vb, replica, to);
        Ok(true)
    }

    /// Moves a vBucket without replicas: a copy is built on another node, and takes over.
    fn move_only_copy(&mut self, vb: Vbid) -> Result<bool, SimError> {
        let Some(to) = self.any_node_without(FaultKind::Move, vb)? else {
            return Ok(false);
        };
        self.move_copy(vb, self.topology.active(vb), to);
        Ok(true)
    }

    fn any_node_without(&mut self, kind: FaultKind, vb: Vbid) -> Result<Option<NodeId>, Violation> {
        let free: Vec<_> = self
            .topology
            .nodes()
            .filter(|&node| self.topology.role(vb, node).is_none())
            .collect();
        self.pick(kind, &free)
    }
}
