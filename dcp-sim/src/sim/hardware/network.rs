//! The simulated network: how long bytes take from one node to another.
//!
//! Each direction of a connection is a stream, as TCP is: bytes arrive in the order they were sent, each piece after a
//! delay of its own.

use std::collections::BTreeMap;

use crate::sim::rng::SimRng;

/// Least delay of a piece of bytes.
const DELAY_MICROS_MIN: u64 = 100;
/// Most delay of a piece of bytes, apart from its size.
const DELAY_MICROS_MAX: u64 = 400;
/// 10 Gbit/s.
const BYTES_PER_MICRO: u64 = 1_250;

/// One direction between two nodes, by their numbers.
pub type Direction = (usize, usize);

/// Delays of every direction, drawn from the simulation's seed.
#[derive(Debug, Default)]
pub struct Network {
    arrived_micros: BTreeMap<Direction, u64>,
    /// What slow directions take longer.
    extra_micros: BTreeMap<Direction, u64>,
    /// Bytes sent so far.
    pub bytes: u64,
    /// Pieces sent so far.
    pub messages: u64,
}

impl Network {
    /// From now on a direction takes so much longer; 0 for no longer than ever.
    pub fn slow_down(&mut self, direction: Direction, extra_micros: u64) {
        self.extra_micros.insert(direction, extra_micros);
    }

    /// How many microseconds from `now_micros` `bytes` sent there arrive.
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
    fn nothing_overtakes() {
        let (mut network, mut rng) = (Network::default(), SimRng::new(3));
        let arrivals: Vec<_> = (0..100)
            .map(|now| now + network.delay((0, 1), 10, now, &mut rng))
            .collect();
        assert!(arrivals.is_sorted(), "{arrivals:?}");
        let large = network.delay((0, 2), 12_500_000, 0, &mut rng);
        assert!(large >= 10_000, "12.5 MB take 10 ms: {large}");
    }
}
