//! Faults of foreign clients, and their own decisions.
//!
//! Each client draws from a stream of its own, at the rate of the run's faults. A kind of fault
//! that the run excludes does not affect clients. It is drawn anyway, so its exclusion changes
//! nothing else.

use crate::sim::config::FaultKind;
use crate::sim::error::SimError;
use crate::sim::world::chaos;
use crate::sim::world::due::Turn;
use crate::sim::world::guests::peer;
use crate::sim::world::state::World;

/// Factor by which a client's faults are rarer than the commonest faults.
const RARITY: u64 = 2;
/// Longest duration of a client's fault.
const LASTS_MICROS: u64 = 400_000;

impl World {
    /// Schedules a client's next fault, unless it is after the safety phase.
    pub(super) fn whim_later(&mut self, client: usize) -> Result<(), SimError> {
        let chaos = chaos::required(&mut self.chaos)?;
        if chaos.plan.config.kinds.is_empty() {
            return Ok(());
        }
        let mean = chaos.plan.config.interval_micros.saturating_mul(RARITY);
        let ends_micros = chaos.ends_micros;
        let guest = self.foreign.guest_mut(client)?;
        // A delay beyond the clock's range is never over.
        let delay = guest.rng.range(1, mean.saturating_mul(2));
        if self.clock.now_micros().saturating_add(delay) < ends_micros {
            self.foreign_later(delay, Turn::Whim(client));
        }
        Ok(())
    }

    pub(super) fn whim(&mut self, client: usize) -> Result<(), SimError> {
        self.whim_later(client)?;
        let now = self.clock.now_micros();
        let guest = self.foreign.guest_mut(client)?;
        let what = guest.rng.range(0, 6);
        let which = guest.rng.range(0, u64::MAX - 1);
        let lasts = guest.rng.range(LASTS_MICROS / 20, LASTS_MICROS);
        let nodes: Vec<_> = guest.client.nodes().collect();
        // A client without a connection has nothing that could fail.
        let Some(&node) = which
            .checked_rem(nodes.len() as u64)
            .and_then(|nth| nodes.get(nth as usize))
        else {
            return Ok(());
        };
        let vbs: Vec<_> = guest.client.vbuckets().collect();
        let kind = match what {
            0 => FaultKind::Disconnect,
            1 => FaultKind::SlowConsumer,
            2 => FaultKind::StalledAcks,
            3 => FaultKind::Partition,
            4 => FaultKind::Delay,
            // The client closes some of its streams, and follows others.
            _ => {
                let closed = vbs
                    .iter()
                    .enumerate()
                    .filter(|(nth, _)| which >> (nth % 60) & 1 == 1);
                for (_, &vb) in closed {
                    guest.client.close(vb);
                }
                return nodes
                    .into_iter()
                    .try_for_each(|node| self.speak_foreign(client, node));
            }
        };
        let kinds = &chaos::required(&mut self.chaos)?.plan.config.kinds;
        if !kinds.contains(&kind) {
            return Ok(());
        }
        let to_client = (node, peer(client));
        let to_node = (peer(client), node);
        let slowed = if which % 2 == 0 { to_client } else { to_node };
        match kind {
            FaultKind::Disconnect => {
                if let Some(link) = self.foreign.links.current(to_client) {
                    self.lose_foreign(link)?;
                }
            }
            FaultKind::SlowConsumer => guest.stalled_micros = now + lasts,
            FaultKind::StalledAcks => self.close_foreign(to_node, lasts),
            FaultKind::Partition => {
                self.close_foreign(to_client, lasts);
                self.close_foreign(to_node, lasts);
            }
            _ => {
                self.foreign.network.slow_down(slowed, which % 50_000);
                self.foreign_later(
                    lasts,
                    Turn::Speed {
                        from: slowed.0,
                        to: slowed.1,
                    },
                );
            }
        }
        Ok(())
    }

    fn close_foreign(&mut self, (from, to): (usize, usize), lasts_micros: u64) {
        self.foreign.links.close_way(from, to);
        self.foreign_later(lasts_micros, Turn::Open { from, to });
    }
}
