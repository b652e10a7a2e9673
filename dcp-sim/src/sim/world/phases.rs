//! First things go wrong, then everything must come to rest.

use super::due::Due;
use super::state::World;
use crate::node::Event;
use crate::sim::config::FaultKind;
use crate::sim::error::SimError;
use crate::sim::judge::liveness;
use crate::sim::record::Verdict;

/// After the last fault everything must have come to rest within this virtual time.
pub(in crate::sim) const SETTLE_MICROS: u64 = 60_000_000;

/// Batches that come one after the other without a pause, on average.
const BURST: u64 = 24;

/// Batches that are expected where their source does not say.
const BATCHES_EXPECTED: u64 = 10_000;

/// Nodes are told how late it is this often, while faults strike.
const TICK_MICROS: u64 = 20_000;

impl World {
    /// From here on things go wrong.
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

    /// Tells every node how late it is, as long as faults strike: what stands still after that moves on by itself.
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

    /// Schedules the next fault of a kind, if it comes in the time for faults.
    pub(super) fn strike_later(&mut self, kind: FaultKind) {
        let Some(chaos) = &mut self.chaos else { return };
        let delay = chaos.plan.next(kind);
        if self.clock.now_micros() + delay < chaos.ends_micros {
            self.clock.schedule(delay, Due::Strike(kind));
        }
    }

    /// From here on nothing does.
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

    /// Whether what should have come to rest has not.
    pub(super) fn is_out_of_time(&self) -> bool {
        let calm = self.chaos.as_ref().and_then(|chaos| chaos.calm_micros);
        calm.is_some_and(|calm| self.clock.now_micros() > calm + SETTLE_MICROS)
    }

    /// W14, and how long it took.
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

    /// How long the client waits before its next batch; `None` if it writes no more.
    pub(super) fn think(&mut self) -> Option<u64> {
        let batches = self.source.batches_total().unwrap_or(BATCHES_EXPECTED);
        let Some(chaos) = &mut self.chaos else {
            return Some(0);
        };
        if chaos.calm_micros.is_some() {
            return None;
        }
        // The writes come over all of the time in which things go wrong, most of them right after one another: so that
        // faults meet a cluster that is busy, and one that is not.
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
