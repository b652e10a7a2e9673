//! Moves: an active hands over to a replica that has all of its writes, and copies change their
//! nodes.
//!
//! # Invariants
//!
//! - A hand-over keeps the branch. Nothing is written between the old active's last write and the
//!   new one's first.
//! - A copy is removed only when its replacement has caught up.

use lowtide_checkpoint::{State, Vbid};

use super::leadership::whole;
use crate::node::{Event, NodeId};
use crate::sim::error::SimError;
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
                if self.topology.role(vb, to) == Some(State::Replica) && !self.has_caught_up(vb, to)
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
    fn has_caught_up(&self, vb: Vbid, node: NodeId) -> bool {
        let active = self.topology.active(vb);
        let high = |node: NodeId| {
            Some(
                self.hosts
                    .get(node)?
                    .node
                    .partition(vb)?
                    .vbucket
                    .high_seqno(),
            )
        };
        let persisted = self
            .hosts
            .get(node)
            .and_then(|host| host.node.persisted_seqno(vb));
        let is_settled = self
            .hosts
            .get(node)
            .is_some_and(|host| host.node.is_settled(vb));
        is_settled
            && high(active).is_some()
            && high(active) == high(node)
            && persisted == high(node)
    }

    /// Handles the state change of a takeover on the new node. The last one makes it active.
    pub(in crate::sim::world) fn state_set(
        &mut self,
        node: NodeId,
        vb: Vbid,
        state: State,
    ) -> Result<(), SimError> {
        let is_wanted = self
            .chaos
            .as_ref()
            .is_some_and(|chaos| chaos.taking_over.get(&vb) == Some(&node));
        if state == State::Active && is_wanted {
            self.topology.promote(vb, node);
            self.end_taking_over(vb);
        }
        Ok(())
    }

    /// Starts a takeover of a replica from its active, through their stream.
    pub(in crate::sim::world) fn take_over(
        &mut self,
        vb: Vbid,
        to: NodeId,
    ) -> Result<(), SimError> {
        let from = self.topology.active(vb);
        let is_ready =
            self.hosts.get(to).is_some_and(|host| {
                host.node.followed(vb) == Some(from) && host.node.is_settled(vb)
            }) && self.is_safe_to_lead(to, vb);
        let Some(chaos) = self
            .chaos
            .as_mut()
            .filter(|chaos| is_ready && !chaos.taking_over.contains_key(&vb))
        else {
            return Ok(());
        };
        chaos.taking_over.insert(vb, to);
        self.clock
            .schedule(LOOK_MICROS, Due::Move(Move::TakeOver { vb, to, looks: 0 }));
        let micros = self.clock.now_micros();
        let Some(host) = self.hosts.get_mut(to) else {
            return Ok(());
        };
        let actions = host.node.take_over(from, vb);
        let actions = actions.map_err(|source| SimError::Node {
            node: to,
            micros,
            source,
        })?;
        self.carry_out(to, actions)
    }

    /// Checks a takeover. It is cancelled if its nodes or its connection failed, or if it takes too
    /// long; then the active stays. The connection is cut first, so no step of it arrives late.
    fn check_takeover(&mut self, vb: Vbid, to: NodeId, looks: u32) -> Result<(), SimError> {
        if self
            .chaos
            .as_ref()
            .is_none_or(|chaos| chaos.taking_over.get(&vb) != Some(&to))
        {
            return Ok(());
        }
        let from = self.topology.active(vb);
        let goes_on = looks < LOOKS_MAX
            && self.is_reachable(from)
            && self.is_reachable(to)
            && self
                .hosts
                .get(to)
                .is_some_and(|host| host.node.followed(vb) == Some(from));
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
            || !self.is_reachable(from)
            || !self.is_reachable(to)
        {
            return Ok(true);
        }
        let copy = |node: NodeId| {
            self.hosts
                .get(node)
                .and_then(|host| host.node.partition(vb))
        };
        let (Some(active), Some(replica)) = (copy(from), copy(to)) else {
            return Ok(true);
        };
        let uuid = active.vbucket.failover_log().newest().uuid;
        let is_ready = active.vbucket.state() == State::Active
            && replica.vbucket.failover_log().newest().uuid == uuid
            // A copy that was active before it went down must follow first.
            && !replica.vbucket.needs_branch()
            && whole(replica) == active.vbucket.high_seqno()
            && self.hosts.get(to).is_some_and(|host| host.node.is_settled(vb))
            && self.is_safe_to_lead(to, vb);
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
