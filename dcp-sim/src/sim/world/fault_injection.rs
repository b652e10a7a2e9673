//! What each kind of fault does to the world, and how it ends.
//!
//! What always holds: a fault that lasts has its end scheduled when it strikes, within half a second; after the time for
//! faults none strikes.

use lowtide_checkpoint::{Seqno, Vbid};
use lowtide_persistence::disk::Fault;

use super::cluster::Move;
use super::host::Loss;
use super::state::{Due, World};
use crate::node::NodeId;
use crate::sim::config::FaultKind;
use crate::sim::error::SimError;
use crate::sim::hardware::LinkId;

/// The longest a fault lasts.
const LAST_MICROS_MAX: u64 = 400_000;
/// Bytes that wait so long make the ends give their connection up.
const TIME_OUT_MICROS: u64 = 150_000;

/// How a fault ends.
#[derive(Clone, Debug)]
pub(in crate::sim) enum Undo {
    /// Ways open again.
    OpenWays(Vec<(NodeId, NodeId)>),
    /// A node can be reached again.
    Rejoin(NodeId),
    /// These connections have waited too long, if their ways are closed still.
    TimeOut(Vec<LinkId>),
    /// A direction is as fast as ever.
    Speed(NodeId, NodeId),
    /// A disk is as fast as ever.
    DiskSpeed(NodeId),
    /// A node has all its memory again.
    Memory(NodeId),
}

impl Undo {
    /// The nodes, or ways between them, that the fault is at.
    fn where_it_is(&self) -> String {
        match self {
            Self::OpenWays(ways) => ways
                .iter()
                .map(|(from, to)| format!("{from}→{to}"))
                .collect::<Vec<_>>()
                .join(", "),
            Self::Speed(from, to) => format!("{from}→{to}"),
            Self::Rejoin(node) | Self::DiskSpeed(node) | Self::Memory(node) => {
                format!("node {node}")
            }
            Self::TimeOut(links) => format!("{} connections", links.len()),
        }
    }
}

impl World {
    /// A fault of that kind strikes, and the next one is drawn.
    pub(super) fn strike(&mut self, kind: FaultKind) -> Result<(), SimError> {
        let noted = self
            .timeline
            .as_ref()
            .map_or(0, |timeline| timeline.spans.len());
        self.strike_later(kind);
        let has_struck = match kind {
            FaultKind::Delay | FaultKind::SlowConsumer => self.slow_down(kind),
            FaultKind::Disconnect => self.disconnect()?,
            FaultKind::Partition => self.partition(),
            FaultKind::StalledAcks => self.stall_acknowledgements(),
            FaultKind::Crash => self.crash_or_stop()?,
            FaultKind::PowerLoss => self.power_loss()?,
            FaultKind::DiskError | FaultKind::DiskFull | FaultKind::SlowDisk => {
                self.hurt_disk(kind)
            }
            FaultKind::FailOver => self.fail_over_node()?,
            FaultKind::Move => self.move_something()?,
            FaultKind::Compaction => self.compact_something(),
            FaultKind::Memory => self.take_memory(),
        };
        let is_noted = self
            .timeline
            .as_ref()
            .is_none_or(|timeline| timeline.spans.len() > noted);
        // A compaction that is begun is noted as the job it is.
        if has_struck && !is_noted && kind != FaultKind::Compaction {
            self.note_fault(kind, 0, String::new());
        }
        if let Some(chaos) = self.chaos.as_mut().filter(|_| has_struck) {
            *chaos.figures.struck.entry(kind.name()).or_default() += 1;
        }
        Ok(())
    }

    pub(super) fn undo(&mut self, undo: Undo) -> Result<(), SimError> {
        match undo {
            Undo::OpenWays(ways) => {
                for (from, to) in ways {
                    self.release(from, to);
                }
            }
            Undo::Rejoin(node) => {
                let Some(chaos) = &mut self.chaos else {
                    return Ok(());
                };
                if let Some(reasons) = chaos.cut_off.get_mut(&node) {
                    *reasons -= 1;
                    if *reasons == 0 {
                        chaos.cut_off.remove(&node);
                    }
                }
            }
            Undo::TimeOut(links) => {
                for link in links {
                    let is_stuck = self.links.get(link).is_some_and(|link| {
                        [true, false].into_iter().any(|to_consumer| {
                            let (from, to) = link.direction(to_consumer);
                            !self.links.is_way_open(from, to)
                        })
                    });
                    if is_stuck {
                        self.lose(link)?;
                    }
                }
            }
            Undo::Speed(from, to) => self.network.slow_down((from, to), 0),
            Undo::DiskSpeed(node) => self.set_slowness(node, 1),
            Undo::Memory(node) => {
                if let Some(host) = self.hosts.get_mut(node) {
                    host.node.set_quota(self.config.node.quota);
                }
            }
        }
        self.reconcile_soon();
        Ok(())
    }

    fn draw(&mut self, kind: FaultKind, low: u64, high: u64) -> u64 {
        self.chaos
            .as_mut()
            .map_or(low, |chaos| chaos.plan.draw(kind, low, high))
    }

    /// Any node, or any but one.
    fn any_node(&mut self, kind: FaultKind, but: Option<NodeId>) -> Option<NodeId> {
        let nodes: Vec<_> = self
            .topology
            .nodes()
            .filter(|node| Some(*node) != but)
            .collect();
        let index = self.draw(kind, 0, (nodes.len() as u64).saturating_sub(1)) as usize;
        nodes.get(index).copied()
    }

    fn any_vbucket(&mut self, kind: FaultKind) -> Vbid {
        Vbid(self.draw(kind, 0, u64::from(self.config.vbuckets) - 1) as u16)
    }

    fn end_later(&mut self, kind: FaultKind, undo: Undo) -> u64 {
        let micros = self.draw(kind, LAST_MICROS_MAX / 20, LAST_MICROS_MAX);
        self.note_fault(kind, micros, undo.where_it_is());
        self.clock.schedule(micros, Due::Undo(undo));
        micros
    }

    fn slow_down(&mut self, kind: FaultKind) -> bool {
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

    fn disconnect(&mut self) -> Result<bool, SimError> {
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

    fn partition(&mut self) -> bool {
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
        // A cluster's only node has no ways, but clients and a manager.
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

    fn stall_acknowledgements(&mut self) -> bool {
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

    fn crash_or_stop(&mut self) -> Result<bool, SimError> {
        let kind = FaultKind::Crash;
        let Some(node) = self.any_node(kind, None) else {
            return Ok(false);
        };
        let wants_order = self.draw(kind, 0, 2) == 0;
        let Some(host) = self.hosts.get_mut(node).filter(|host| host.is_up) else {
            return Ok(false);
        };
        if wants_order && host.node.is_idle() && host.job.is_none() {
            let closed = host.engine.take().map(|engine| engine.close());
            host.was_stopped_in_order = matches!(closed, Some(Ok(())));
        }
        self.crash(node, Loss::Process)?;
        Ok(true)
    }

    fn power_loss(&mut self) -> Result<bool, SimError> {
        let kind = FaultKind::PowerLoss;
        let Some(node) = self.any_node(kind, None) else {
            return Ok(false);
        };
        let (is_now, nth) = (self.draw(kind, 0, 2) == 0, self.draw(kind, 1, 30));
        let Some(host) = self.hosts.get(node).filter(|host| host.is_up) else {
            return Ok(false);
        };
        match &host.storage.faulty {
            Some(disk) if !is_now => disk.power_off_at_io(nth),
            _ => self.lose_power(node)?,
        }
        Ok(true)
    }

    fn hurt_disk(&mut self, kind: FaultKind) -> bool {
        let Some(node) = self.any_node(kind, None) else {
            return false;
        };
        let (how, nth) = (self.draw(kind, 0, 4), self.draw(kind, 1, 12));
        let Some(disk) = self
            .hosts
            .get(node)
            .and_then(|host| host.storage.faulty.clone())
        else {
            return false;
        };
        match (kind, how) {
            (FaultKind::SlowDisk, _) => {
                self.set_slowness(node, nth * 10);
                self.end_later(kind, Undo::DiskSpeed(node));
            }
            (FaultKind::DiskFull, _) => {
                (1..=nth).for_each(|nth| disk.fail_write(nth, Fault::Enospc))
            }
            (_, 0) => disk.fail_io(nth, Fault::Eio),
            (_, 1) => disk.fail_io(nth, Fault::EioPersisted),
            (_, 2) => disk.fail_write(nth, Fault::Torn { bytes: nth * 321 }),
            _ => disk.fail_sync(nth.div_ceil(3)),
        }
        true
    }

    fn set_slowness(&mut self, node: NodeId, times: u64) {
        if let Some(host) = self.hosts.get_mut(node) {
            host.slowness = times;
        }
    }

    fn fail_over_node(&mut self) -> Result<bool, SimError> {
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

    fn move_something(&mut self) -> Result<bool, SimError> {
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
        // One move of a copy at a time: the next one may need what this one gives up.
        if replicas.len() > self.config.replicas {
            return Ok(false);
        }
        let Some(to) = self.any_node_without(kind, vb) else {
            return Ok(false);
        };
        self.move_copy(vb, replica, to);
        Ok(true)
    }

    /// A vBucket without replicas goes to another node: one is built there, which takes over.
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

    fn compact_something(&mut self) -> bool {
        let kind = FaultKind::Compaction;
        let vb = self.any_vbucket(kind);
        let copies: Vec<_> = self.topology.copies_of(vb).collect();
        let index = self.draw(kind, 0, copies.len() as u64 - 1) as usize;
        let Some(&node) = copies.get(index) else {
            return false;
        };
        let persisted = self
            .hosts
            .get(node)
            .and_then(|host| host.node.persisted_seqno(vb));
        let upto = self.draw(kind, 0, persisted.map_or(0, |seqno| seqno.0));
        let purges = self.draw(kind, 0, 1) == 0;
        self.compact(node, vb, purges.then_some(Seqno(upto)));
        true
    }

    fn take_memory(&mut self) -> bool {
        let kind = FaultKind::Memory;
        let Some(node) = self.any_node(kind, None) else {
            return false;
        };
        let limit_bytes = self.draw(kind, 1 << 14, 1 << 18) as usize;
        let quota = self
            .config
            .node
            .quota
            .map(|quota| lowtide_checkpoint::QuotaConfig {
                limit_bytes,
                ..quota
            });
        if let Some(host) = self.hosts.get_mut(node) {
            host.node.set_quota(quota);
        }
        self.end_later(kind, Undo::Memory(node));
        true
    }
}
