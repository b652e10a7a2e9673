//! Moves: an active hands over to a replica that has all of its writes, and copies change their
//! nodes.
//!
//! # Invariants
//!
//! - A hand-over keeps the branch. Nothing is written between the old active's last write and the
//!   new one's first.
//! - A copy is removed only when its replacement has caught up.

use lowtide_checkpoint::internal::Violation;
use lowtide_checkpoint::{State, Vbid};

use super::leadership::whole;
use crate::node::{Event, NodeId};
use crate::sim::error::SimError;
use crate::sim::world::chaos;
use crate::sim::world::due::{Due, Move};
use crate::sim::world::state::World;

/// Interval of the steps of a move.
const LOOK_MICROS: u64 = 1_000;
/// Number of attempts after which a hand-over is cancelled.
const LOOKS_MAX: u32 = 200;

impl World {
    /// Adds a copy of a vBucket on a node without one, which replaces another copy.
    pub(in crate::sim::world) fn move_copy(&mut self, vb: Vbid, from: NodeId, to: NodeId) {
        self.topology.add_replica(vb, to);
        self.reconcile_soon();
        self.clock.schedule(
            LOOK_MICROS,
            Due::Move(Move::Copy {
                vb,
                from,
                to,
                looks: 0,
            }),
        );
    }

    pub(in crate::sim::world) fn advance_move(&mut self, step: Move) -> Result<(), SimError> {
        match step {
            Move::HandOver { vb, to, looks } => {
                let is_over = looks >= LOOKS_MAX || self.hand_over(vb, to)?;
                if !is_over {
                    let next = Move::HandOver {
                        vb,
                        to,
                        looks: looks + 1,
                    };
                    self.clock.schedule(LOOK_MICROS, Due::Move(next));
                }
            }
            Move::TakeOver { vb, to, looks } => self.check_takeover(vb, to, looks)?,
            Move::Copy {
                vb,
                from,
                to,
                looks,
            } => {
                if self.topology.role(vb, to) == Some(State::Replica)
                    && !self.has_caught_up(vb, to)?
                {
                    self.clock.schedule(LOOK_MICROS * 10, Due::Move(step));
                    return Ok(());
                }
                // A cancelled hand-over leaves the active: then the new copy is removed.
                let leads = self.topology.active(vb) == from && self.config.replicas == 0;
                if leads && looks < LOOKS_MAX && !self.hand_over(vb, to)? {
                    let next = Move::Copy {
                        vb,
                        from,
                        to,
                        looks: looks + 1,
                    };
                    self.clock.schedule(LOOK_MICROS, Due::Move(next));
                    return Ok(());
                }
                // The one that serves stays.
                let gone = if self.topology.role(vb, from) == Some(State::Replica) {
                    from
                } else {
                    to
                };
                self.topology.remove_replica(vb, gone);
                self.reconcile_soon();
            }
        }
        Ok(())
    }

    /// Returns `true` if a replica has all of its active's writes on disk.
    fn has_caught_up(&self, vb: Vbid, node: NodeId) -> Result<bool, Violation> {
        let (Some(active), Some(copy)) = (
            self.hosts.copy(self.topology.active(vb), vb)?,
            self.hosts.copy(node, vb)?,
        ) else {
            return Ok(false);
        };
        let high = active.vbucket.high_seqno();
        let node = &self.hosts.at(node)?.node;
        Ok(node.is_settled(vb)
            && copy.vbucket.high_seqno() == high
            && node.persisted_seqno(vb) == Some(high))
    }

    /// Handles the state change of a takeover on the new node. The last one makes it active.
    pub(in crate::sim::world) fn state_set(&mut self, node: NodeId, vb: Vbid, state: State) {
        let is_wanted = self
            .chaos
            .as_ref()
            .is_some_and(|chaos| chaos.taking_over.get(&vb) == Some(&node));
        if state == State::Active && is_wanted {
            self.topology.promote(vb, node);
            self.end_taking_over(vb);
        }
    }

    /// Starts a takeover of a replica from its active, through their stream.
    pub(in crate::sim::world) fn take_over(
        &mut self,
        vb: Vbid,
        to: NodeId,
    ) -> Result<(), SimError> {
        let from = self.topology.active(vb);
        let node = &self.hosts.at(to)?.node;
        let is_ready = node.followed(vb) == Some(from)
            && node.is_settled(vb)
            && self.is_safe_to_lead(to, vb)?;
        let chaos = chaos::required(&mut self.chaos)?;
        if !is_ready || chaos.taking_over.contains_key(&vb) {
            return Ok(());
        }
        chaos.taking_over.insert(vb, to);
        self.clock
            .schedule(LOOK_MICROS, Due::Move(Move::TakeOver { vb, to, looks: 0 }));
        let micros = self.clock.now_micros();
        let requested = self.hosts.at_mut(to)?.node.take_over(from, vb);
        let actions = requested.map_err(|source| SimError::Node {
            node: to,
            micros,
            source,
        })?;
        self.carry_out(to, actions)
    }

    /// Checks a takeover. It is cancelled if its nodes or its connection failed, or if it takes too
    /// long; then the active stays. The connection is cut first, so no step of it arrives late.
    fn check_takeover(&mut self, vb: Vbid, to: NodeId, looks: u32) -> Result<(), SimError> {
        if chaos::required(&mut self.chaos)?.taking_over.get(&vb) != Some(&to) {
            // It is done.
            return Ok(());
        }
        let from = self.topology.active(vb);
        let goes_on = looks < LOOKS_MAX
            && self.is_reachable(from)?
            && self.is_reachable(to)?
            && self.hosts.at(to)?.node.followed(vb) == Some(from);
        if goes_on {
            self.clock.schedule(
                LOOK_MICROS,
                Due::Move(Move::TakeOver {
                    vb,
                    to,
                    looks: looks + 1,
                }),
            );
            return Ok(());
        }
        self.leave(to, vb)?;
        self.end_taking_over(vb);
        Ok(())
    }

    fn end_taking_over(&mut self, vb: Vbid) {
        if let Some(chaos) = &mut self.chaos {
            chaos.taking_over.remove(&vb);
        }
        self.reconcile_soon();
    }

    /// Hands a vBucket over if its replica has all writes now. Returns `true` if the hand-over is
    /// done or impossible.
    fn hand_over(&mut self, vb: Vbid, to: NodeId) -> Result<bool, SimError> {
        let from = self.topology.active(vb);
        if self.topology.role(vb, to) != Some(State::Replica)
            || !self.is_reachable(from)?
            || !self.is_reachable(to)?
        {
            return Ok(true);
        }
        let (Some(active), Some(replica)) = (self.hosts.copy(from, vb)?, self.hosts.copy(to, vb)?)
        else {
            return Ok(true);
        };
        let uuid = active.vbucket.failover_log().newest().uuid;
        let is_ready = active.vbucket.state() == State::Active
            && replica.vbucket.failover_log().newest().uuid == uuid
            // A copy that was active before it went down must follow first.
            && !replica.vbucket.needs_branch()
            && whole(replica) == active.vbucket.high_seqno()
            && self.hosts.at(to)?.node.is_settled(vb)
            && self.is_safe_to_lead(to, vb)?;
        if !is_ready {
            return Ok(false);
        }
        self.leave(to, vb)?;
        self.step(
            from,
            Event::SetState {
                vb,
                state: State::Replica,
                uuid: None,
            },
        )?;
        self.topology.promote(vb, to);
        self.step(
            to,
            Event::SetState {
                vb,
                state: State::Active,
                uuid: None,
            },
        )?;
        self.reconcile_soon();
        Ok(true)
    }
}
