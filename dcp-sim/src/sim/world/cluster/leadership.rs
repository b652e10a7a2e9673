//! Leadership: the cluster's manager assigns the roles of the topology, and chooses new actives.
//!
//! # Invariants
//!
//! - At most one copy of a vBucket is made active at a time.
//! - A copy is promoted only if it has on disk everything that all copies acknowledged as
//!   persisted.
//! - A copy follows no node when it becomes active.

use std::cmp::Reverse;

use lowtide_checkpoint::internal::{Invariant, Violation};
use lowtide_checkpoint::{Seqno, State, Vbid};

use crate::node::{Event, NodeId, Partition};
use crate::sim::error::SimError;
use crate::sim::world::chaos::{self, ONLY_WITH_FAULTS};
use crate::sim::world::state::World;

impl World {
    /// Assigns the roles of all vBuckets to every reachable node.
    pub(in crate::sim::world) fn assign_roles(&mut self) -> Result<(), SimError> {
        for node in self.topology.nodes() {
            if !self.is_reachable(node)? {
                continue;
            }
            for vb in self.topology.vbuckets() {
                self.assign_role(node, vb)?;
            }
        }
        Ok(())
    }

    fn assign_role(&mut self, node: NodeId, vb: Vbid) -> Result<(), SimError> {
        let host = self.hosts.at(node)?;
        let is_settled = host.node.is_settled(vb);
        let state = host
            .node
            .partition(vb)
            .map(|partition| partition.vbucket.state());
        // The two nodes of a takeover manage its states.
        let chaos = chaos::required(&mut self.chaos)?;
        if chaos.taking_over.contains_key(&vb) {
            return Ok(());
        }
        match (self.topology.role(vb, node), state) {
            (None, Some(_)) if is_settled => {
                self.leave(node, vb)?;
                self.step(node, Event::Drop { vb })
            }
            (Some(_), None) => {
                let uuid = chaos.uuid();
                chaos.made(node, vb);
                self.order.restart(node, vb, Seqno::ZERO);
                self.step(node, Event::Create { vb, uuid })
            }
            (Some(State::Replica), Some(State::Active | State::Pending | State::Dead)) => self
                .step(
                    node,
                    Event::SetState {
                        vb,
                        state: State::Replica,
                        uuid: None,
                    },
                ),
            (Some(State::Active), Some(state)) if is_settled && state != State::Active => {
                self.promote(node, vb)
            }
            _ => Ok(()),
        }
    }

    /// Makes a copy active on a new branch.
    fn promote(&mut self, node: NodeId, vb: Vbid) -> Result<(), SimError> {
        let uuid = Some(chaos::required(&mut self.chaos)?.uuid());
        self.leave(node, vb)?;
        let copy = self.hosts.copy(node, vb)?;
        let before = copy.map(|copy| copy.vbucket.failover_log().newest().uuid);
        self.step(
            node,
            Event::SetState {
                vb,
                state: State::Active,
                uuid,
            },
        )?;
        self.branched(node, vb, before)
    }

    /// Ends the stream of a copy.
    pub(in crate::sim::world) fn leave(&mut self, node: NodeId, vb: Vbid) -> Result<(), SimError> {
        let followed = self.hosts.at(node)?.node.followed(vb);
        match followed.and_then(|producer| self.links.current((producer, node))) {
            Some(link) => self.cut(link),
            None => Ok(()),
        }
    }

    /// Promotes the best replica of a vBucket; `false` if none is eligible. Its stream ends now, so
    /// nothing can replace the data that made it the best.
    pub(in crate::sim::world) fn fail_over(&mut self, vb: Vbid) -> Result<bool, SimError> {
        if chaos::required(&mut self.chaos)?
            .taking_over
            .contains_key(&vb)
        {
            return Ok(false);
        }
        // Of two equal ones the one with the lower number is chosen.
        let mut best: Option<(Seqno, Reverse<NodeId>)> = None;
        for node in self.topology.replicas(vb) {
            best = best.max(self.merit(node, vb)?.map(|merit| (merit, Reverse(node))));
        }
        let Some((_, Reverse(node))) = best else {
            return Ok(false);
        };
        self.topology.promote(vb, node);
        self.depose(node, vb)?;
        self.assign_role(node, vb)?;
        self.reconcile_soon();
        Ok(true)
    }

    /// Demotes a copy that was active before and never noticed its replacement. Others started
    /// branches meanwhile, so it must not continue as before.
    fn depose(&mut self, node: NodeId, vb: Vbid) -> Result<(), SimError> {
        let copy = self.hosts.copy(node, vb)?;
        match copy.map(|copy| copy.vbucket.state()) {
            Some(State::Active) => self.step(
                node,
                Event::SetState {
                    vb,
                    state: State::Replica,
                    uuid: None,
                },
            ),
            _ => Ok(()),
        }
    }

    /// Returns the complete part of the vBucket's history that a copy has; `None` if it must not
    /// become active.
    fn merit(&self, node: NodeId, vb: Vbid) -> Result<Option<Seqno>, Violation> {
        let chaos = self.chaos.as_ref().invariant("W21", ONLY_WITH_FAULTS)?;
        let host = self.hosts.at(node)?;
        if !self.is_reachable(node)? || !host.node.is_settled(vb) {
            return Ok(None);
        }
        let Some(partition) = host.node.partition(vb) else {
            return Ok(None);
        };
        let branch = partition.vbucket.failover_log().newest().uuid;
        if !chaos.history.knows(vb, branch) {
            return Ok(None);
        }
        let newest = chaos.history.newest(vb)?;
        let has = whole(partition).min(chaos.history.shared(vb, branch, newest));
        let is_eligible =
            has >= chaos.persisted.everywhere(vb) && self.is_safe_to_lead(node, vb)?;
        Ok(is_eligible.then_some(has))
    }

    /// Returns `true` if a copy has on disk everything that was acknowledged as persisted by every
    /// copy. An active with it only in memory would lose it for all.
    pub(in crate::sim::world) fn is_safe_to_lead(
        &self,
        node: NodeId,
        vb: Vbid,
    ) -> Result<bool, Violation> {
        let chaos = self.chaos.as_ref().invariant("W21", ONLY_WITH_FAULTS)?;
        let newest = chaos.history.newest(vb)?;
        Ok(chaos
            .persisted
            .has_everything(node, vb, newest, &chaos.history))
    }

    /// Returns `true` if clients and the manager can reach a node.
    pub(in crate::sim::world) fn is_reachable(&self, node: NodeId) -> Result<bool, Violation> {
        let is_cut_off = self
            .chaos
            .as_ref()
            .is_some_and(|chaos| chaos.cut_off.contains_key(&node));
        Ok(!is_cut_off && self.hosts.at(node)?.is_up)
    }
}

/// Returns the seqno up to which a copy has complete snapshots.
pub(in crate::sim::world) fn whole(partition: &Partition) -> Seqno {
    let point = partition.vbucket.resume_point();
    if point.snapshot_end == point.seqno {
        point.seqno
    } else {
        point.snapshot_start
    }
}
