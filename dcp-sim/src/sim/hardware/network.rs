//! Simulated network: delay of bytes from one node to another.
//!
//! Each direction of a connection is a stream, like TCP. Bytes arrive in order, each piece after a
//! delay of its own.

use std::collections::BTreeMap;

use crate::sim::rng::SimRng;

/// Smallest delay of a piece of bytes.
const DELAY_MICROS_MIN: u64 = 100;
/// Largest delay of a piece of bytes, without its transfer time.
const DELAY_MICROS_MAX: u64 = 400;
/// 10 Gbit/s.
const BYTES_PER_MICRO: u64 = 1_250;

/// Direction between two nodes, by number.
pub type Direction = (usize, usize);

/// Delays of every direction, drawn from the simulation's seed.
#[derive(Debug, Default)]
pub struct Network {
    arrived_micros: BTreeMap<Direction, u64>,
    /// Additional delay of slow directions.
    extra_micros: BTreeMap<Direction, u64>,
    /// Number of bytes sent.
    pub bytes: u64,
    /// Number of pieces sent.
    pub messages: u64,
}

impl Network {
    /// Sets the additional delay of a direction; 0 restores its speed.
    pub fn slow_down(&mut self, direction: Direction, extra_micros: u64) {
        self.extra_micros.insert(direction, extra_micros);
    }

    /// Returns the microseconds after `now_micros` at which `bytes` sent in that direction arrive.
    pub fn delay(
        &mut self,
        direction: Direction,
        bytes: usize,
        now_micros: u64,
        rng: &mut SimRng,
    ) -> u64 {
        let transfer = bytes as u64 / BYTES_PER_MICRO;
        let extra = self.extra_micros.get(&direction).copied().unwrap_or(0);
        let delay = rng.range(DELAY_MICROS_MIN, DELAY_MICROS_MAX) + transfer + extra;
        let last = self.arrived_micros.entry(direction).or_default();
        *last = (now_micros + delay).max(*last);
        self.bytes += bytes as u64;
        self.messages += 1;
        *last - now_micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_in_the_order_they_were_sent() {
        let mut network = Network::default();
        let mut rng = SimRng::new(3);
        let arrivals: Vec<_> = (0..100)
            .map(|now| now + network.delay((0, 1), 10, now, &mut rng))
            .collect();
        assert!(arrivals.is_sorted(), "{arrivals:?}");
        let large = network.delay((0, 2), 12_500_000, 0, &mut rng);
        assert!(large >= 10_000, "12.5 MB take 10 ms: {large}");
    }
}
