//! The failover log: the branches of a vBucket's history, and the seqno at which each began.
//!
//! A reader on a lost branch learns from it how far it must go back. Uuids come from the caller:
//! this crate has no randomness.
//!
//! # Invariants
//! - There is at least one entry, and at most [`FailoverLog::ENTRIES_MAX`], newest first.
//! - No uuid is 0, and seqnos never rise towards older entries.

use super::ids::{Seqno, VbUuid};
use crate::internal::invariant::Invariant;

/// One branch: `uuid` names the history that continues from `seqno`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailoverEntry {
    /// Name of the branch.
    pub uuid: VbUuid,
    /// Last seqno that the branch shares with the one before it.
    pub seqno: Seqno,
}

/// The reason why a list of entries is not a valid failover log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FailoverLogError {
    /// A log needs at least one branch.
    #[error("a failover log must have at least one entry")]
    Empty,
    /// 0 means "no branch" in the protocol.
    #[error("a failover log must not have uuid 0")]
    ZeroUuid,
    /// Two branches with one name could not be distinguished.
    #[error("duplicate uuid {uuid} in failover log")]
    Known {
        /// Name of both branches.
        uuid: VbUuid,
    },
    /// An older branch cannot begin later than a newer one.
    #[error(
        "failover entry {uuid} begins at {seqno}, expected at most {newer}, where the newer one begins"
    )]
    OutOfOrder {
        /// Name of the older branch.
        uuid: VbUuid,
        /// Seqno at which it begins.
        seqno: Seqno,
        /// Seqno at which the newer branch begins.
        newer: Seqno,
    },
}

/// The branches of one vBucket's history, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailoverLog(Vec<FailoverEntry>);

impl FailoverLog {
    /// Entries kept. A client on an older branch starts again from 0.
    pub const ENTRIES_MAX: usize = 25;

    /// Creates a log with one branch from the beginning.
    ///
    /// # Panics
    /// If `uuid` is 0.
    #[must_use]
    pub fn new(uuid: VbUuid) -> Self {
        assert_ne!(uuid.0, 0, "a failover log must not have uuid 0");
        Self(vec![FailoverEntry {
            uuid,
            seqno: Seqno::ZERO,
        }])
    }

    /// Creates a log from entries received from an active or read from disk, newest first.
    ///
    /// # Errors
    /// If the list is empty, has a uuid 0, or has an older entry that begins after a newer one.
    pub fn from_entries(mut entries: Vec<FailoverEntry>) -> Result<Self, FailoverLogError> {
        if entries.is_empty() {
            return Err(FailoverLogError::Empty);
        }
        if entries.iter().any(|entry| entry.uuid.0 == 0) {
            return Err(FailoverLogError::ZeroUuid);
        }
        let pairs = entries.iter().zip(entries.iter().skip(1));
        for (newer, older) in pairs {
            if older.seqno > newer.seqno {
                return Err(FailoverLogError::OutOfOrder {
                    uuid: older.uuid,
                    seqno: older.seqno,
                    newer: newer.seqno,
                });
            }
        }
        entries.truncate(Self::ENTRIES_MAX);
        Ok(Self(entries))
    }

    /// Returns the branches, newest first.
    #[must_use]
    pub fn entries(&self) -> &[FailoverEntry] {
        &self.0
    }

    /// Returns the branch that is being written.
    #[must_use]
    pub fn newest(&self) -> FailoverEntry {
        self.0
            .first()
            .copied()
            .expected("C32", "a failover log has a branch")
            // Uuid 0 is no branch: a consumer that gets it starts again from 0.
            .unwrap_or(FailoverEntry {
                uuid: VbUuid(0),
                seqno: Seqno::ZERO,
            })
    }

    /// Starts a branch at `seqno`. Entries that begin later belong to a lost history and are
    /// removed.
    ///
    /// # Errors
    /// If `uuid` is 0 or already names a branch. The log has not changed then.
    pub fn branch(&mut self, uuid: VbUuid, seqno: Seqno) -> Result<(), FailoverLogError> {
        if uuid.0 == 0 {
            return Err(FailoverLogError::ZeroUuid);
        }
        if self.0.iter().any(|entry| entry.uuid == uuid) {
            return Err(FailoverLogError::Known { uuid });
        }
        self.0.retain(|entry| entry.seqno <= seqno);
        self.0.insert(0, FailoverEntry { uuid, seqno });
        self.0.truncate(Self::ENTRIES_MAX);
        Ok(())
    }

    /// Removes branches that begin after `seqno`, for a rollback to `seqno`. The oldest branch
    /// always stays.
    pub fn prune(&mut self, seqno: Seqno) {
        let oldest = self
            .0
            .last()
            .copied()
            .expected("C32", "a failover log has a branch");
        self.0.retain(|entry| entry.seqno <= seqno);
        if let (true, Some(oldest)) = (self.0.is_empty(), oldest) {
            self.0.push(FailoverEntry {
                seqno: oldest.seqno.min(seqno),
                ..oldest
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(entries: &[(u64, u64)]) -> Vec<FailoverEntry> {
        entries
            .iter()
            .map(|&(uuid, seqno)| FailoverEntry {
                uuid: VbUuid(uuid),
                seqno: Seqno(seqno),
            })
            .collect()
    }

    #[test]
    #[should_panic(expected = "invariant C32 is violated: a failover log has a branch")]
    fn empty_log_panics() {
        let _entry = FailoverLog(Vec::new()).newest();
    }

    #[test]
    fn branch_removes_entries_that_begin_after_it() {
        let mut failover =
            FailoverLog::from_entries(log(&[(3, 30), (2, 20), (1, 0)])).expect("valid");
        failover.branch(VbUuid(4), Seqno(25)).expect("a new name");
        assert_eq!(failover.entries(), log(&[(4, 25), (2, 20), (1, 0)]));
    }

    #[test]
    fn branch_keeps_at_most_the_maximum_number_of_entries() {
        let mut failover = FailoverLog::new(VbUuid(1));
        for n in 2..=40 {
            failover.branch(VbUuid(n), Seqno(n)).expect("a new name");
        }
        assert_eq!(failover.entries().len(), FailoverLog::ENTRIES_MAX);
        assert_eq!(failover.newest().uuid, VbUuid(40));
    }

    #[test]
    fn branch_with_a_zero_or_known_uuid_is_refused() {
        let mut failover =
            FailoverLog::from_entries(log(&[(3, 30), (2, 20), (1, 0)])).expect("valid");
        let before = failover.clone();
        assert_eq!(
            failover.branch(VbUuid(0), Seqno(40)),
            Err(FailoverLogError::ZeroUuid)
        );
        assert_eq!(
            failover.branch(VbUuid(2), Seqno(10)),
            Err(FailoverLogError::Known { uuid: VbUuid(2) })
        );
        assert_eq!(failover, before);
    }

    #[test]
    fn long_log_keeps_its_newest_entries() {
        let entries: Vec<_> = (1..=30).rev().map(|n| (n, n)).collect();
        let failover = FailoverLog::from_entries(log(&entries)).expect("valid");
        assert_eq!(
            failover.entries(),
            log(&entries[..FailoverLog::ENTRIES_MAX])
        );
    }

    #[test]
    fn prune_keeps_entries_that_begin_at_the_seqno() {
        let mut failover =
            FailoverLog::from_entries(log(&[(3, 30), (2, 20), (1, 0)])).expect("valid");
        failover.prune(Seqno(30));
        assert_eq!(failover.entries().len(), 3);
        failover.prune(Seqno(29));
        assert_eq!(failover.entries(), log(&[(2, 20), (1, 0)]));
    }

    #[test]
    fn prune_always_leaves_the_oldest_entry() {
        let mut failover = FailoverLog::from_entries(log(&[(3, 30), (2, 20)])).expect("valid");
        failover.prune(Seqno(10));
        assert_eq!(failover.entries(), log(&[(2, 10)]));
    }

    #[test]
    fn invalid_entries_are_refused() {
        assert_eq!(
            FailoverLog::from_entries(vec![]),
            Err(FailoverLogError::Empty)
        );
        assert_eq!(
            FailoverLog::from_entries(log(&[(0, 1)])),
            Err(FailoverLogError::ZeroUuid)
        );
        assert!(matches!(
            FailoverLog::from_entries(log(&[(2, 5), (1, 9)])),
            Err(FailoverLogError::OutOfOrder { .. })
        ));
    }
}
