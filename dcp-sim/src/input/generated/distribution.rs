//! Distributions of writes over keys.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// Distribution of an operation's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// All keys are equally likely.
    Uniform,
    /// Few keys take most writes: key number n has a share of 1 / (n + 1)^0.99. The popular keys
    /// are the first by number; their hash spreads them over the vBuckets.
    Zipfian,
    /// Keys are inserted in order, evenly over the run. Other writes prefer the newest ones, with
    /// Zipfian shares by age.
    Latest,
}

/// Returns a uniform number below `below`, or 0 if `below` is 0.
pub(super) fn range(rng: &mut ChaCha8Rng, below: u64) -> u64 {
    // The 2^64 outputs rarely divide evenly: outputs above the last whole multiple are drawn again.
    let excess = u64::MAX % below.max(1) + 1;
    let last = if excess == below {
        u64::MAX
    } else {
        u64::MAX - excess
    };
    loop {
        let draw = rng.next_u64();
        if draw <= last {
            return draw.checked_rem(below).unwrap_or(0);
        }
    }
}
