//! The controller that keeps commits' throughput steady beside rewriting: what was committed and what was moved go in, by
//! their bytes; whether it is commits' turn comes out. Pure: it goes by counts, no clock is read.
//!
//! Always (L37): beside commits no more is moved than they write, a slice excepted. That is enough to keep up with them:
//! upkeep begins when half of everything is dead, and of what is moved then less than half lives. So commits wait for one of
//! its syncs in several. Where nothing is committed, or room is short, it never waits: a job that is ahead says so once, and
//! goes on with the next step if nothing was committed between the two.

/// What was not used when it was there is not made up for beyond so many bytes.
const CREDIT_BYTES_MAX: u64 = 1 << 20;

/// How a job stands to the commits beside it.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Bytes committed when it began to count.
    since: u64,
    moved: u64,
    /// What had been committed when it was told to be ahead.
    told_at: Option<u64>,
}

impl Pace {
    /// So much was moved.
    pub(super) fn moved(&mut self, bytes: u64) {
        self.moved = self.moved.saturating_add(bytes);
    }

    /// Whether commits come first. `committed` bytes there are in all.
    pub(super) fn is_ahead(&mut self, committed: u64) -> bool {
        let paid = committed.saturating_sub(self.since);
        let is_idle = paid == 0 || self.told_at == Some(committed);
        if is_idle || paid.saturating_sub(self.moved) > CREDIT_BYTES_MAX {
            *self = Self {
                since: committed,
                ..Self::default()
            };
            return false;
        }
        let is_ahead = self.moved > paid;
        self.told_at = is_ahead.then_some(committed);
        is_ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_is_ahead_waits_for_commits_that_come_and_for_no_others() {
        let mut pace = Pace::default();
        assert!(!pace.is_ahead(0), "nobody commits");
        pace.moved(1000);
        assert!(!pace.is_ahead(0), "still nobody");
        pace.moved(1000);
        assert!(pace.is_ahead(400), "somebody has begun to");
        assert!(pace.is_ahead(900), "and goes on");
        assert!(!pace.is_ahead(900), "and has ended");
        pace.moved(1000);
        assert!(pace.is_ahead(1500));
        assert!(!pace.is_ahead(1900), "it is paid");
    }

    proptest! {
        #[test]
        fn no_more_is_moved_beside_commits_than_they_write(
            commits in prop::collection::vec(1_u64..50_000, 1..300),
            slice in 1_u64..300_000,
        ) {
            let (mut pace, mut committed, mut moved) = (Pace::default(), 0, 0);
            for bytes in commits {
                committed += bytes;
                if !pace.is_ahead(committed) {
                    pace.moved(slice);
                    moved += slice;
                }
            }
            prop_assert!(moved <= committed + 2 * slice);
        }
    }
}
