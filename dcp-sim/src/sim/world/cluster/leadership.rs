//! Leadership: the cluster's manager assigns the roles of the topology, and chooses new actives.
//!
//! # Invariants
//!
//! - At most one copy of a vBucket is made active at a time.
//! - A copy is promoted only if it has on disk everything that all copies acknowledged as
//!   persisted.
//! - A copy follows no node when it becomes active.

use lowtide_checkpoint::{Seqno, State, Vbid};

use crate::node::{Event, NodeId, Partition};
use crate::sim::error::SimError;
use crate::sim::world::state::World;

impl World {
    /// Assigns the roles of all vBuckets to every reachable node.
    pub(in crate::sim::world) fn assign_roles(&mut self) -> Result<(), SimError> {
        for node in self.topology.nodes() {
            if !self.is_reachable(node) {
                continue;
            }
            for vb in self.topology.vbuckets() {
                self.assign_role(node, vb)?;
            }
        }
        Ok(())
    }

    fn assign_role(&mut self, node: NodeId, vb: Vbid) -> Result<(), SimError> {
        let Some(host) = self.hosts.get(node) else {
            return Ok(());
        };
        let is_settled = host.node.is_settled(vb);
        let state = host
            .node
            .partition(vb)
            .map(|partition| partition.vbucket.state());
        // The two nodes of a takeover manage its states.
        if self
            .chaos
            .as_ref()
            .is_some_and(|chaos| chaos.taking_over.contains_key(&vb))
        {
            return Ok(());
        }
        match (self.topology.role(vb, node), state) {
            (None, Some(_)) if is_settled => {
                self.leave(node, vb)?;
                self.step(node, Event::Drop { vb })
            }
            (Some(_), None) => {
                let Some(chaos) = &mut self.chaos else {
                    return Ok(());
                };
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
        let Some(chaos) = &mut self.chaos else {
            return Ok(());
        };
        let uuid = Some(chaos.uuid());
        self.leave(node, vb)?;
        let copy = self
            .hosts
            .get(node)
            .and_then(|host| host.node.partition(vb));
        let before = copy.map(|copy| copy.vbucket.failover_log().newest().uuid);
        self.step(
            node,
            Event::SetState {
                vb,
                state: State::Active,
                uuid,
            },
        )?;
        self.branched(node, vb, before);
        Ok(())
    }

    /// Ends the stream of a copy.
    pub(in crate::sim::world) fn leave(&mut self, node: NodeId, vb: Vbid) -> Result<(), SimError> {
        let followed = self.hosts.get(node).and_then(|host| host.node.followed(vb));
        match followed.and_then(|producer| self.links.current((producer, node))) {
            Some(link) => self.cut(link),
            None => Ok(()),
        }
    }

    /// Promotes the best replica of a vBucket; `false` if none is eligible. Its stream ends now, so
    /// nothing can replace the data that made it the best.
    pub(in crate::sim::world) fn fail_over(&mut self, vb: Vbid) -> Result<bool, SimError> {
        let candidates = self
            .topology
            .replicas(vb)
            .filter_map(|node| Some((self.merit(node, vb)?, node)));
        // Of two equal ones the first is chosen.
        if self
            .chaos
            .as_ref()
            .is_some_and(|chaos| chaos.taking_over.contains_key(&vb))
        {
            return Ok(false);
        }
        let best = candidates.max_by_key(|&(merit, node)| (merit, std::cmp::Reverse(node)));
        let Some((_, node)) = best else {
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
        let copy = self
            .hosts
            .get(node)
            .and_then(|host| host.node.partition(vb));
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
    fn merit(&self, node: NodeId, vb: Vbid) -> Option<Seqno> {
        let chaos = self.chaos.as_ref()?;
        let host = self.hosts.get(node).filter(|_| self.is_reachable(node))?;
        let partition = host
            .node
            .partition(vb)
            .filter(|_| host.node.is_settled(vb))?;
        let branch = partition.vbucket.failover_log().newest().uuid;
        let newest = chaos
            .history
            .newest(vb)
            .filter(|_| chaos.history.knows(vb, branch))?;
        let has = whole(partition).min(chaos.history.shared(vb, branch, newest));
        (has >= chaos.persisted.everywhere(vb) && self.is_safe_to_lead(node, vb)).then_some(has)
    }

    /// Returns `true` if a copy has on disk everything that was acknowledged as persisted by every
    /// copy. An active with it only in memory would lose it for all.
    pub(in crate::sim::world) fn is_safe_to_lead(&self, node: NodeId, vb: Vbid) -> bool {
        let Some(chaos) = &self.chaos else {
            return true;
        };
        let newest = chaos.history.newest(vb);
        newest.is_some_and(|newest| {
            chaos
                .persisted
                .has_everything(node, vb, newest, &chaos.history)
        })
    }

    /// Returns `true` if clients and the manager can reach a node.
    pub(in crate::sim::world) fn is_reachable(&self, node: NodeId) -> bool {
        let is_cut_off = self
            .chaos
            .as_ref()
            .is_some_and(|chaos| chaos.cut_off.contains_key(&node));
        !is_cut_off && self.hosts.get(node).is_some_and(|host| host.is_up)
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
