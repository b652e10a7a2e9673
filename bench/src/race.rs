//! One timed run: producers and consumers start together; the clock stops when every consumer has
//! everything.

use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Work of one thread.
pub type Part<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Runs all parts at once and returns the time they took.
pub fn race(parts: Vec<Part<'_>>) -> Duration {
    let start = Barrier::new(parts.len() + 1);
    let mut started = Instant::now();
    std::thread::scope(|scope| {
        for part in parts {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                part();
            });
        }
        start.wait();
        started = Instant::now();
    });
    started.elapsed()
}

/// Returns the median.
pub fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations[durations.len() / 2]
}

/// Returns a pseudo-random number for each number from 0 on, the same in every run.
pub fn scramble(n: u64) -> u64 {
    let mut x = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Keys with Zipf's distribution (0.99): rank r is drawn in proportion to r^-0.99.
pub struct Zipf(Vec<f64>);

impl Zipf {
    pub fn new(keys: usize) -> Self {
        let mut sum = 0.0;
        Self(
            (1..=keys)
                .map(|rank| {
                    sum += (rank as f64).powf(-0.99);
                    sum
                })
                .collect(),
        )
    }

    pub fn key(&self, n: u64) -> u64 {
        let total = self.0.last().copied().unwrap_or(1.0);
        let at = (scramble(n) >> 11) as f64 / (1_u64 << 53) as f64 * total;
        self.0.partition_point(|&sum| sum < at) as u64
    }
}
