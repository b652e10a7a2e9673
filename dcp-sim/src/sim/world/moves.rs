//! Moves: an active hands over to a replica that has all it has, and copies go to other nodes.
//!
//! What always holds: a hand-over keeps the branch, and nothing is written between the old active's last write and the new
//! one's first; a copy is given up only when the one that takes its place has caught up.

use checkpoint::{State, Vbid};

use super::leadership::whole;
use super::{Due, World};
use crate::node::{Event, NodeId};
use crate::sim::error::SimError;

/// A move is looked at so often.
const LOOK_MICROS: u64 = 1_000;
/// A hand-over that finds no moment in so many looks is given up.
const LOOKS_MAX: u32 = 200;

/// A move under way.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) enum Move {
    /// The active is to hand over to that replica.
    HandOver { vb: Vbid, to: NodeId, looks: u32 },
    /// A copy is being built on one node, to take the place of another's.
    Copy { vb: Vbid, from: NodeId, to: NodeId },
}

impl World {
    /// Builds a copy of a vBucket on a node that has none, to take the place of a replica's.
    pub(super) fn move_copy(&mut self, vb: Vbid, from: NodeId, to: NodeId) {
        self.topology.add_replica(vb, to);
        self.reconcile_soon();
        self.clock.schedule(LOOK_MICROS, Due::Move(Move::Copy { vb, from, to }));
    }

    pub(super) fn go_on_moving(&mut self, step: Move) -> Result<(), SimError> {
        match step {
            Move::HandOver { vb, to, looks } => {
                let is_over = looks >= LOOKS_MAX || self.hand_over(vb, to)?;
                if !is_over {
                    let next = Move::HandOver { vb, to, looks: looks + 1 };
                    self.clock.schedule(LOOK_MICROS, Due::Move(next));
                }
            }
            Move::Copy { vb, from, to } => {
                if self.topology.role(vb, to) == Some(State::Replica) && !self.has_caught_up(vb, to) {
                    self.clock.schedule(LOOK_MICROS * 10, Due::Move(step));
                    return Ok(());
                }
                // Whichever of the two serves stays.
                let gone = if self.topology.role(vb, from) == Some(State::Replica) { from } else { to };
                self.topology.remove_replica(vb, gone);
                self.reconcile_soon();
            }
        }
        Ok(())
    }

    /// Whether a replica has on disk all its active has.
    fn has_caught_up(&self, vb: Vbid, node: NodeId) -> bool {
        let active = self.topology.active(vb);
        let high = |node: NodeId| Some(self.hosts.get(node)?.node.partition(vb)?.vbucket.high_seqno());
        let persisted = self.hosts.get(node).and_then(|host| host.node.persisted_seqno(vb));
        let is_settled = self.hosts.get(node).is_some_and(|host| host.node.is_settled(vb));
        is_settled && high(active).is_some() && high(active) == high(node) && persisted == high(node)
    }

    /// Hands a vBucket over if its replica has all of it now. Returns whether that is over, done or not.
    fn hand_over(&mut self, vb: Vbid, to: NodeId) -> Result<bool, SimError> {
        let from = self.topology.active(vb);
        if self.topology.role(vb, to) != Some(State::Replica)
            || !self.is_reachable(from)
            || !self.is_reachable(to)
        {
            return Ok(true);
        }
        let copy = |node: NodeId| self.hosts.get(node).and_then(|host| host.node.partition(vb));
        let (Some(active), Some(replica)) = (copy(from), copy(to)) else { return Ok(true) };
        let uuid = active.vbucket.failover_log().newest().uuid;
        let is_ready = active.vbucket.state() == State::Active
            && replica.vbucket.failover_log().newest().uuid == uuid
            && whole(replica) == active.vbucket.high_seqno()
            && self.hosts.get(to).is_some_and(|host| host.node.is_settled(vb));
        if !is_ready {
            return Ok(false);
        }
        self.leave(to, vb)?;
        self.step(from, Event::SetState { vb, state: State::Replica, uuid: None })?;
        self.topology.promote(vb, to);
        self.step(to, Event::SetState { vb, state: State::Active, uuid: None })?;
        self.reconcile_soon();
        Ok(true)
    }
}
