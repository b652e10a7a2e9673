//! The pace of a job concurrent with commits, which keeps their throughput steady: bytes moved are
//! weighed against bytes committed.
//!
//! Pure: it goes by counts, and reads no clock.
//!
//! # Invariants
//!
//! - A job moves no more than the commits that are concurrent with it write, a slice excepted (L37).
//!   That is enough to keep up with them. Upkeep begins when half of all bytes are dead, and less
//!   than half of the bytes it reads then live. So several commits wait for one of its syncs.
//! - A job never waits while nothing is committed, or while space is short.
//! - A job that is ahead reports so once. It continues with the next step if nothing was committed
//!   between the two.

/// Unused credit accumulates up to this many bytes.
const CREDIT_BYTES_MAX: u64 = 1 << 20;

/// Balance of a job and the commits that are concurrent with it.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    /// Bytes committed when it began to count.
    since: u64,
    /// Bytes moved since then.
    moved: u64,
    /// Bytes committed when it last reported to be ahead.
    reported_at: Option<u64>,
}

impl Pacing {
    /// Records that bytes were moved.
    pub(super) fn moved(&mut self, bytes: u64) {
        self.moved = self.moved.saturating_add(bytes);
    }

    /// Returns whether commits come first. `committed` is the number of bytes committed in all.
    pub(super) fn is_ahead(&mut self, committed: u64) -> bool {
        let paid = committed.saturating_sub(self.since);
        let is_idle = paid == 0 || self.reported_at == Some(committed);
        if is_idle || paid.saturating_sub(self.moved) > CREDIT_BYTES_MAX {
            *self = Self {
                since: committed,
                ..Self::default()
            };
            return false;
        }
        let is_ahead = self.moved > paid;
        self.reported_at = is_ahead.then_some(committed);
        is_ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn job_that_is_ahead_waits_only_while_commits_arrive() {
        let mut pace = Pacing::default();
        assert!(!pace.is_ahead(0), "nothing is committed");
        pace.moved(1000);
        assert!(!pace.is_ahead(0), "still nothing");
        pace.moved(1000);
        assert!(pace.is_ahead(400), "commits have begun");
        assert!(pace.is_ahead(900), "and goes on");
        assert!(!pace.is_ahead(900), "and has ended");
        pace.moved(1000);
        assert!(pace.is_ahead(1500));
        assert!(!pace.is_ahead(1900), "it is paid");
    }

    proptest! {
        #[test]
        fn rewriting_moves_no_more_than_concurrent_commits_write(
            commits in prop::collection::vec(1_u64..50_000, 1..300),
            slice in 1_u64..300_000,
        ) {
            let (mut pace, mut committed, mut moved) = (Pacing::default(), 0, 0);
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
