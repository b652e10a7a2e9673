//! The log of rollbacks, for subscribers that look only from time to time.
//!
//! A subscriber knows how many rollbacks it has seen. The log returns how far it must go back for
//! the ones it has missed.
//!
//! # Invariants
//! - The recorded seqnos rise. The first one that a subscriber has not seen is therefore the lowest
//!   of all that it has not seen.
//! - The log has at most [`ENTRIES_MAX`] entries. A dropped entry counts as part of the next one,
//!   whose seqno is lowered to it.

use crate::internal::invariant::Invariant;
use crate::model::Seqno;

/// Entries kept. Rollbacks to ever higher seqnos are rare. Beyond this number a subscriber may be
/// sent further back than necessary.
const ENTRIES_MAX: usize = 64;

/// The rollbacks that matter to some subscriber.
#[derive(Debug, Default)]
pub(super) struct RollbackLog {
    count: u64,
    /// `(ordinal, seqno)` of rollbacks that no later rollback went below.
    entries: Vec<(u64, Seqno)>,
}

impl RollbackLog {
    /// Records a rollback to `seqno`.
    pub(super) fn record(&mut self, seqno: Seqno) {
        self.count += 1;
        self.entries.retain(|&(_, lower)| lower < seqno);
        self.entries.push((self.count, seqno));
        if self.entries.len() > ENTRIES_MAX {
            // The lower seqno stands for both.
            let (_, lowest) = self.entries.remove(0);
            if let Some((_, seqno)) = self
                .entries
                .first_mut()
                .expected("C24", "a full log of rollbacks has more than one entry")
            {
                *seqno = lowest;
            }
        }
    }

    /// Returns the number of rollbacks so far.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Returns the lowest seqno of the rollbacks after the first `seen`, if there are any.
    pub(super) fn lowest_after(&self, seen: u64) -> Option<Seqno> {
        self.entries
            .iter()
            .find(|&&(ordinal, _)| ordinal > seen)
            .map(|&(_, seqno)| seqno)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowest_after_returns_the_lowest_unseen_rollback() {
        let mut rollbacks = RollbackLog::default();
        assert_eq!(rollbacks.lowest_after(0), None);
        for seqno in [5, 2, 8, 6, 9] {
            rollbacks.record(Seqno(seqno));
        }
        let lowest: Vec<_> = (0..=5)
            .map(|seen| rollbacks.lowest_after(seen).map(|seqno| seqno.0))
            .collect();
        assert_eq!(lowest, [Some(2), Some(2), Some(6), Some(6), Some(9), None]);
    }

    #[test]
    fn dropped_entry_counts_as_a_lower_rollback() {
        let mut rollbacks = RollbackLog::default();
        let rising = 1..=ENTRIES_MAX as u64 * 2;
        rising
            .clone()
            .for_each(|seqno| rollbacks.record(Seqno(seqno)));
        assert_eq!(rollbacks.entries.len(), ENTRIES_MAX);
        for seen in 0..*rising.end() {
            assert!(
                rollbacks
                    .lowest_after(seen)
                    .is_some_and(|seqno| seqno <= Seqno(seen + 1)),
                "{seen}"
            );
        }
    }
}
