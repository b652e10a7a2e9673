//! Strike of a fault, and its end.

use lowtide_checkpoint::Vbid;
use lowtide_checkpoint::internal::{Invariant, Violation};

use crate::node::NodeId;
use crate::sim::config::FaultKind;
use crate::sim::error::SimError;
use crate::sim::rng::SimRng;
use crate::sim::world::chaos;
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
        self.strike_later(kind)?;
        let has_struck = match kind {
            FaultKind::Delay | FaultKind::SlowConsumer => self.slow_down(kind)?,
            FaultKind::Disconnect => self.disconnect()?,
            FaultKind::Partition => self.partition()?,
            FaultKind::StalledAcks => self.stall_acknowledgements()?,
            FaultKind::Crash => self.crash_or_stop()?,
            FaultKind::PowerLoss => self.power_loss()?,
            FaultKind::DiskError | FaultKind::DiskFull | FaultKind::SlowDisk => {
                self.hurt_disk(kind)?
            }
            FaultKind::FailOver => self.fail_over_node()?,
            FaultKind::Move => self.move_something()?,
            FaultKind::Compaction => self.compact_something()?,
            FaultKind::Memory => self.take_memory()?,
        };
        let is_noted = self
            .timeline
            .as_ref()
            .is_none_or(|timeline| timeline.spans.len() > noted);
        // A started compaction is recorded as a job.
        if has_struck && !is_noted && kind != FaultKind::Compaction {
            self.note_fault(kind, 0, String::new());
        }
        if has_struck {
            let figures = &mut chaos::required(&mut self.chaos)?.figures;
            *figures.struck.entry(kind.name()).or_default() += 1;
        }
        Ok(())
    }

    pub(in crate::sim::world) fn undo(&mut self, undo: Undo) -> Result<(), SimError> {
        match undo {
            Undo::OpenWays(ways) => {
                for (from, to) in ways {
                    self.release(from, to)?;
                }
            }
            Undo::Rejoin(node) => {
                let chaos = chaos::required(&mut self.chaos)?;
                let reasons = chaos
                    .cut_off
                    .get_mut(&node)
                    .invariant("W21", "a node that rejoins was cut off")?;
                *reasons -= 1;
                if *reasons == 0 {
                    chaos.cut_off.remove(&node);
                }
            }
            Undo::TimeOut(links) => {
                // Others were lost meanwhile.
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
            Undo::DiskSpeed(node) => self.hosts.at_mut(node)?.slowness = 1,
            Undo::Memory(node) => {
                if let Some(quota) = self.config.node.quota {
                    self.hosts
                        .at_mut(node)?
                        .node
                        .set_quota(quota)
                        .map_err(|error| SimError::Config(error.to_string()))?;
                }
            }
        }
        self.reconcile_soon();
        Ok(())
    }

    /// Draws a number in `low..=high` from the stream of a kind.
    pub(super) fn draw(&mut self, kind: FaultKind, low: u64, high: u64) -> Result<u64, Violation> {
        Ok(self.stream_of(kind)?.range(low, high))
    }

    /// Draws one of the choices from the stream of a kind; `None` if there is none.
    pub(super) fn pick<T: Copy>(
        &mut self,
        kind: FaultKind,
        choices: &[T],
    ) -> Result<Option<T>, Violation> {
        Ok(self.stream_of(kind)?.pick(choices).copied())
    }

    /// Draws a node.
    pub(super) fn any_node(&mut self, kind: FaultKind) -> Result<NodeId, Violation> {
        let nodes: Vec<_> = self.topology.nodes().collect();
        self.pick(kind, &nodes)?
            .invariant("W21", "a cluster has a node")
    }

    /// Draws a node other than `but`; `None` if there is no other.
    pub(super) fn any_other_node(
        &mut self,
        kind: FaultKind,
        but: NodeId,
    ) -> Result<Option<NodeId>, Violation> {
        let nodes: Vec<_> = self.topology.nodes().filter(|&node| node != but).collect();
        self.pick(kind, &nodes)
    }

    pub(super) fn any_vbucket(&mut self, kind: FaultKind) -> Result<Vbid, Violation> {
        let vbuckets = self.config.vbuckets;
        Ok(self.stream_of(kind)?.vbucket(vbuckets))
    }

    /// Schedules the end of a fault. Returns its duration.
    pub(super) fn end_later(&mut self, kind: FaultKind, undo: Undo) -> Result<u64, Violation> {
        let micros = self.draw(kind, LAST_MICROS_MAX / 20, LAST_MICROS_MAX)?;
        self.note_fault(kind, micros, undo.place());
        self.clock.schedule(micros, Due::Undo(undo));
        Ok(micros)
    }

    fn stream_of(&mut self, kind: FaultKind) -> Result<&mut SimRng, Violation> {
        chaos::required(&mut self.chaos)?
            .plan
            .stream(kind)
            .invariant("W21", "a fault that strikes is of one of the run's kinds")
    }
}
