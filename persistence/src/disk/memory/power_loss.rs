//! The unsynced changes that a power loss keeps: a [`PowerLoss`], and the choices it makes.
//!
//! # Invariants
//!
//! The same `PowerLoss` makes the same choices on the same disk.

use crate::numbers::to_u64;

/// The unsynced changes that survive a power loss. Synced changes always survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerLoss {
    /// Nothing survives.
    DropUnsynced,
    /// Everything survives.
    KeepUnsynced,
    /// Any part survives, in any order: writes torn at 512-byte sectors, names in part.
    Random {
        /// The seed of the choices. The same seed keeps the same.
        seed: u64,
    },
}

impl PowerLoss {
    /// Returns the chooser. Called with n, it returns one of `0..n`: 0 keeps the least, n - 1 the
    /// most.
    pub(super) fn chooser(self) -> Box<dyn FnMut(usize) -> usize> {
        match self {
            Self::DropUnsynced => Box::new(|_| 0),
            Self::KeepUnsynced => Box::new(|options| options.saturating_sub(1)),
            Self::Random { seed } => {
                let mut random = SplitMix64(seed);
                // A fair coin per write would almost never keep, or lose, nearly all of a long
                // list. Each crash therefore has its own odds.
                let odds = match random.next() % 4 {
                    0 => 4,
                    1 => 32,
                    2 => 56,
                    _ => 63,
                };
                Box::new(move |options| random.choose(options, odds))
            }
        }
    }
}

/// Steele, Lea and Flood's generator: good enough for choices, and the same everywhere.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns one of `0..options`: not 0 in `odds` of 64 cases, and then each of the others with
    /// equal odds.
    fn choose(&mut self, options: usize, odds: u64) -> usize {
        let others = to_u64(options.saturating_sub(1));
        if others == 0 || self.next() % 64 >= odds {
            return 0;
        }
        (self.next() % others) as usize + 1
    }
}

/// Runs `crash` once with every possible sequence of choices.
#[cfg(test)]
pub(crate) fn for_all_choices(mut crash: impl FnMut(&mut dyn FnMut(usize) -> usize)) {
    // The choices of the next run, each with the number of options it had in the last run.
    let mut path: Vec<(usize, usize)> = Vec::new();
    loop {
        let mut at = 0;
        crash(&mut |options| {
            if at == path.len() {
                path.push((0, options));
            }
            at += 1;
            assert_eq!(
                path[at - 1].1,
                options,
                "the same choices must lead to the same question"
            );
            path[at - 1].0
        });
        while path
            .last()
            .is_some_and(|&(chosen, options)| chosen + 1 >= options)
        {
            path.pop();
        }
        match path.last_mut() {
            Some((chosen, _)) => *chosen += 1,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_choices_repeat_and_reach_every_option() {
        let draw = |seed| {
            let mut choose = PowerLoss::Random { seed }.chooser();
            (0..64).map(|_| choose(3)).collect::<Vec<_>>()
        };
        let all: Vec<_> = (0..16).map(draw).collect();
        assert_eq!(all, (0..16).map(draw).collect::<Vec<_>>());
        assert!((0..3).all(|option| all.iter().flatten().any(|&chosen| chosen == option)));
        assert!(all.iter().flatten().all(|&chosen| chosen < 3));
    }

    #[test]
    fn generator_is_the_published_one() {
        let mut random = SplitMix64(1_234_567);
        assert_eq!(
            [random.next(), random.next()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]
        );
    }
}
