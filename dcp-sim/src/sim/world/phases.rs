//! Phases of a run: a safety phase, in which faults strike, then a liveness phase, in which everything
//! must come to rest.

use lowtide_checkpoint::internal::Invariant;

use super::chaos;
use super::due::Due;
use super::state::World;
use crate::node::Event;
use crate::sim::config::FaultKind;
use crate::sim::error::SimError;
use crate::sim::judge::liveness;
use crate::sim::record::InvariantVerdict;

/// Virtual time after the last fault in which everything must come to rest.
pub(in crate::sim) const SETTLE_MICROS: u64 = 60_000_000;

/// Mean number of batches without a pause.
const BURST: u64 = 24;

/// Expected number of batches of a source that does not know it.
const BATCHES_EXPECTED: u64 = 10_000;

/// Interval of the nodes' timer events during the safety phase.
const TICK_MICROS: u64 = 20_000;

impl World {
    /// Starts the safety phase.
    pub(super) fn begin_faults(&mut self) -> Result<(), SimError> {
        let Some(chaos) = &mut self.chaos else {
            return Ok(());
        };
        let duration_micros = chaos.plan.config.duration_micros;
        chaos.ends_micros = self.clock.now_micros() + duration_micros;
        self.clock.schedule(duration_micros, Due::EndOfFaults);
        for kind in chaos.plan.config.kinds.clone() {
            self.strike_later(kind)?;
        }
        self.read_later()?;
        self.begin_foreign()?;
        self.clock.schedule(TICK_MICROS, Due::Tick);
        Ok(())
    }

    /// Steps every node's timers during the safety phase. Afterwards everything that stands still
    /// advances by itself.
    pub(super) fn tick(&mut self) -> Result<(), SimError> {
        if self
            .chaos
            .as_ref()
            .is_some_and(|chaos| chaos.liveness_micros.is_none())
        {
            self.clock.schedule(TICK_MICROS, Due::Tick);
        }
        (0..self.hosts.len()).try_for_each(|node| self.step(node, Event::Tick))
    }

    /// Schedules the next fault of a kind, unless it is after the safety phase.
    pub(super) fn strike_later(&mut self, kind: FaultKind) -> Result<(), SimError> {
        let chaos = chaos::required(&mut self.chaos)?;
        let delay = chaos
            .plan
            .next(kind)
            .invariant("W21", "a fault that strikes is of one of the run's kinds")?;
        // A delay beyond the clock's range is never over.
        if self.clock.now_micros().saturating_add(delay) < chaos.ends_micros {
            self.clock.schedule(delay, Due::Strike(kind));
        }
        Ok(())
    }

    /// Ends the safety phase.
    pub(super) fn end_faults(&mut self) -> Result<(), SimError> {
        let now = self.clock.now_micros();
        chaos::required(&mut self.chaos)?.liveness_micros = Some(now);
        for host in self.hosts.iter() {
            if let Some(disk) = &host.storage.faulty {
                disk.clear_faults();
            }
        }
        self.reconcile_soon();
        Ok(())
    }

    /// Returns `true` if the cluster did not come to rest in time.
    pub(super) fn is_out_of_time(&self) -> bool {
        let began = self.chaos.as_ref().and_then(|chaos| chaos.liveness_micros);
        began.is_some_and(|began| self.clock.now_micros() > began + SETTLE_MICROS)
    }

    /// Returns the verdict on W14, and records the settling time.
    pub(in crate::sim) fn settling(&mut self) -> Option<InvariantVerdict> {
        let is_at_rest = self.clock.is_empty();
        let now = self.clock.now_micros();
        let chaos = self.chaos.as_mut()?;
        let is_in_time = is_at_rest && !chaos.is_late;
        let settled = chaos
            .liveness_micros
            .filter(|_| is_in_time)
            .map(|began| now - began);
        chaos.figures.settling_micros = settled.unwrap_or(SETTLE_MICROS);
        Some(liveness::check(settled, SETTLE_MICROS))
    }

    /// Returns the client's pause before its next batch, or `None` after the last one.
    pub(super) fn pause(&mut self) -> Option<u64> {
        let batches = self.source.batches_total().unwrap_or(BATCHES_EXPECTED);
        let Some(chaos) = &mut self.chaos else {
            return Some(0);
        };
        if chaos.liveness_micros.is_some() {
            return None;
        }
        // The writes cover the whole safety phase, in bursts. So faults meet a busy cluster and an
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
