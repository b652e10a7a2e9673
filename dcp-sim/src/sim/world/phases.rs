//! Phases of a run: a fault phase, then a calm phase in which everything must come to rest.

use super::due::Due;
use super::state::World;
use crate::node::Event;
use crate::sim::config::FaultKind;
use crate::sim::error::SimError;
use crate::sim::judge::liveness;
use crate::sim::record::Verdict;

/// Virtual time after the last fault in which everything must come to rest.
pub(in crate::sim) const SETTLE_MICROS: u64 = 60_000_000;

/// Mean number of batches without a pause.
const BURST: u64 = 24;

/// Expected number of batches of a source that does not know it.
const BATCHES_EXPECTED: u64 = 10_000;

/// Interval of the nodes' timer events during the fault phase.
const TICK_MICROS: u64 = 20_000;

impl World {
    /// Starts the fault phase.
    pub(super) fn begin_faults(&mut self) {
        let Some(chaos) = &mut self.chaos else { return };
        let duration_micros = chaos.plan.config.duration_micros;
        chaos.ends_micros = self.clock.now_micros() + duration_micros;
        self.clock.schedule(duration_micros, Due::Calm);
        for kind in chaos.plan.config.kinds.clone() {
            self.strike_later(kind);
        }
        self.read_later();
        self.begin_foreign();
        self.clock.schedule(TICK_MICROS, Due::Tick);
    }

    /// Steps every node's timers during the fault phase. Afterwards everything that stands still
    /// advances by itself.
    pub(super) fn tick(&mut self) -> Result<(), SimError> {
        if self
            .chaos
            .as_ref()
            .is_some_and(|chaos| chaos.calm_micros.is_none())
        {
            self.clock.schedule(TICK_MICROS, Due::Tick);
        }
        (0..self.hosts.len()).try_for_each(|node| self.step(node, Event::Tick))
    }

    /// Schedules the next fault of a kind, unless it is after the fault phase.
    pub(super) fn strike_later(&mut self, kind: FaultKind) {
        let Some(chaos) = &mut self.chaos else { return };
        let delay = chaos.plan.next(kind);
        if self.clock.now_micros() + delay < chaos.ends_micros {
            self.clock.schedule(delay, Due::Strike(kind));
        }
    }

    /// Ends the fault phase.
    pub(super) fn calm(&mut self) -> Result<(), SimError> {
        let now = self.clock.now_micros();
        if let Some(chaos) = &mut self.chaos {
            chaos.calm_micros = Some(now);
        }
        for host in &self.hosts {
            if let Some(disk) = &host.storage.faulty {
                disk.clear_faults();
            }
        }
        self.reconcile_soon();
        Ok(())
    }

    /// Returns `true` if the cluster did not come to rest in time.
    pub(super) fn is_out_of_time(&self) -> bool {
        let calm = self.chaos.as_ref().and_then(|chaos| chaos.calm_micros);
        calm.is_some_and(|calm| self.clock.now_micros() > calm + SETTLE_MICROS)
    }

    /// Returns the verdict on W14, and records the settling time.
    pub(in crate::sim) fn settling(&mut self) -> Option<Verdict> {
        let is_at_rest = self.clock.is_empty();
        let now = self.clock.now_micros();
        let chaos = self.chaos.as_mut()?;
        let settled = chaos
            .calm_micros
            .filter(|_| is_at_rest)
            .map(|calm| now - calm);
        chaos.figures.settling_micros = settled.unwrap_or(SETTLE_MICROS);
        Some(liveness::check(settled, SETTLE_MICROS))
    }

    /// Returns the client's pause before its next batch, or `None` after the last one.
    pub(super) fn pause(&mut self) -> Option<u64> {
        let batches = self.source.batches_total().unwrap_or(BATCHES_EXPECTED);
        let Some(chaos) = &mut self.chaos else {
            return Some(0);
        };
        if chaos.calm_micros.is_some() {
            return None;
        }
        // The writes cover the whole fault phase, in bursts. So faults meet a busy cluster and an
        // idle one.
        let mean = chaos.plan.config.duration_micros / batches.max(1);
        let pauses = chaos.rng.range(1, BURST) == 1;
        Some(if pauses {
            chaos.rng.range(0, mean * BURST * 2)
        } else {
            0
        })
    }

    pub(super) fn refused(&mut self) {
        if let Some(chaos) = &mut self.chaos {
            chaos.figures.refused += 1;
        }
    }
}
