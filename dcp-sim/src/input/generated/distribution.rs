//! Which keys get the writes.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// How an operation's key is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Each key as often as any other.
    Uniform,
    /// Few keys take most writes: key number n with a share of 1 / (n + 1)^0.99. The popular keys are the first by
    /// number; their vBuckets are spread by the keys' hash all the same.
    Zipfian,
    /// Keys are inserted in order, evenly over the run; other writes go to the newest ones, with Zipfian shares by age.
    Latest,
}

/// A number below `below`, each as likely; 0 if `below` is 0.
pub(super) fn range(rng: &mut ChaCha8Rng, below: u64) -> u64 {
    // The 2^64 outputs rarely divide evenly: those above the last whole multiple are drawn again.
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
