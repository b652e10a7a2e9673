//! Strike of a fault, and its end.

use lowtide_checkpoint::Vbid;

use crate::node::NodeId;
use crate::sim::config::FaultKind;
use crate::sim::error::SimError;
use crate::sim::world::due::{Due, Undo};
use crate::sim::world::state::World;

/// Longest duration of a fault.
const LAST_MICROS_MAX: u64 = 400_000;

impl World {
    /// Injects a fault of that kind, and schedules the next one.
    pub(in crate::sim::world) fn strike(&mut self, kind: FaultKind) -> Result<(), SimError> {
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
        // A started compaction is recorded as a job.
        if has_struck && !is_noted && kind != FaultKind::Compaction {
            self.note_fault(kind, 0, String::new());
        }
        if let Some(chaos) = self.chaos.as_mut().filter(|_| has_struck) {
            *chaos.figures.struck.entry(kind.name()).or_default() += 1;
        }
        Ok(())
    }

    pub(in crate::sim::world) fn undo(&mut self, undo: Undo) -> Result<(), SimError> {
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
                if let (Some(host), Some(quota)) =
                    (self.hosts.get_mut(node), self.config.node.quota)
                {
                    host.node
                        .set_quota(quota)
                        .map_err(|error| SimError::Config(error.to_string()))?;
                }
            }
        }
        self.reconcile_soon();
        Ok(())
    }

    pub(super) fn draw(&mut self, kind: FaultKind, low: u64, high: u64) -> u64 {
        self.chaos
            .as_mut()
            .map_or(low, |chaos| chaos.plan.draw(kind, low, high))
    }

    /// Draws a node other than `but`.
    pub(super) fn any_node(&mut self, kind: FaultKind, but: Option<NodeId>) -> Option<NodeId> {
        let nodes: Vec<_> = self
            .topology
            .nodes()
            .filter(|node| Some(*node) != but)
            .collect();
        let index = self.draw(kind, 0, (nodes.len() as u64).saturating_sub(1)) as usize;
        nodes.get(index).copied()
    }

    pub(super) fn any_vbucket(&mut self, kind: FaultKind) -> Vbid {
        Vbid(self.draw(kind, 0, u64::from(self.config.vbuckets) - 1) as u16)
    }

    pub(super) fn end_later(&mut self, kind: FaultKind, undo: Undo) -> u64 {
        let micros = self.draw(kind, LAST_MICROS_MAX / 20, LAST_MICROS_MAX);
        self.note_fault(kind, micros, undo.place());
        self.clock.schedule(micros, Due::Undo(undo));
        micros
    }
}
