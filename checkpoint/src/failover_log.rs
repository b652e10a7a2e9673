//! The failover log: which branch of a vBucket's history began at which seqno.
//!
//! Newest entry first, at least one, at most [`FailoverLog::ENTRIES_MAX`]; no uuid is 0; seqnos never rise towards
//! older entries. Uuids come from the caller: this crate has no randomness.

use crate::{Seqno, VbUuid};

/// One branch: `uuid` names the history that continues from `seqno`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailoverEntry {
    /// The branch's name.
    pub uuid: VbUuid,
    /// The last seqno it shares with the branch before it.
    pub seqno: Seqno,
}

/// Why a list of entries is no failover log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FailoverLogError {
    /// There must be a branch.
    #[error("a failover log has at least one entry")]
    Empty,
    /// 0 is the protocol's word for "no branch".
    #[error("a failover log's uuids are not 0")]
    ZeroUuid,
    /// Two branches with one name could not be told apart.
    #[error("{uuid} is the name of a branch already")]
    Known {
        /// The name.
        uuid: VbUuid,
    },
    /// An older branch can't begin later.
    #[error("failover entry {uuid} begins at {seqno}, after the newer one at {newer}")]
    OutOfOrder {
        /// The older entry's name.
        uuid: VbUuid,
        /// Where it claims to begin.
        seqno: Seqno,
        /// Where the newer one begins.
        newer: Seqno,
    },
}

/// The branches of one vBucket's history, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailoverLog(Vec<FailoverEntry>);

impl FailoverLog {
    /// Older entries are forgotten; a client on one of them starts again from 0.
    pub const ENTRIES_MAX: usize = 25;

    /// A log with one branch from the beginning.
    ///
    /// # Panics
    /// If `uuid` is 0.
    #[must_use]
    pub fn new(uuid: VbUuid) -> Self {
        assert_ne!(uuid.0, 0, "a failover log's uuids are not 0");
        Self(vec![FailoverEntry {
            uuid,
            seqno: Seqno::ZERO,
        }])
    }

    /// Takes a log received from an active or read from disk, newest first.
    ///
    /// # Errors
    /// If it is empty, holds a uuid 0, or an older entry begins after a newer one.
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

    /// The branches, newest first.
    #[must_use]
    pub fn entries(&self) -> &[FailoverEntry] {
        &self.0
    }

    /// The branch that is being written.
    #[must_use]
    pub fn newest(&self) -> FailoverEntry {
        self.0.first().copied().unwrap_or(FailoverEntry {
            uuid: VbUuid(0),
            seqno: Seqno::ZERO,
        })
    }

    /// Starts a branch at `seqno`: entries that begin later are of a history that did not happen and go.
    ///
    /// # Errors
    /// If `uuid` is 0 or names a branch already; nothing has changed then.
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

    /// Forgets branches that begin after `seqno`, as a rollback to there must; the oldest always stays.
    pub fn prune(&mut self, seqno: Seqno) {
        let oldest = self.0.last().copied();
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
    fn a_branch_drops_what_begins_after_it() {
        let mut failover =
            FailoverLog::from_entries(log(&[(3, 30), (2, 20), (1, 0)])).expect("valid");
        failover.branch(VbUuid(4), Seqno(25)).expect("a new name");
        assert_eq!(failover.entries(), log(&[(4, 25), (2, 20), (1, 0)]));
    }

    #[test]
    fn only_so_many_branches_are_remembered() {
        let mut failover = FailoverLog::new(VbUuid(1));
        for n in 2..=40 {
            failover.branch(VbUuid(n), Seqno(n)).expect("a new name");
        }
        assert_eq!(failover.entries().len(), FailoverLog::ENTRIES_MAX);
        assert_eq!(failover.newest().uuid, VbUuid(40));
    }

    #[test]
    fn a_branch_needs_a_name_of_its_own() {
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
    fn a_log_that_is_too_long_keeps_its_newest_branches() {
        let entries: Vec<_> = (1..=30).rev().map(|n| (n, n)).collect();
        let failover = FailoverLog::from_entries(log(&entries)).expect("valid");
        assert_eq!(
            failover.entries(),
            log(&entries[..FailoverLog::ENTRIES_MAX])
        );
    }

    #[test]
    fn pruning_keeps_what_begins_at_the_seqno() {
        let mut failover =
            FailoverLog::from_entries(log(&[(3, 30), (2, 20), (1, 0)])).expect("valid");
        failover.prune(Seqno(30));
        assert_eq!(failover.entries().len(), 3);
        failover.prune(Seqno(29));
        assert_eq!(failover.entries(), log(&[(2, 20), (1, 0)]));
    }

    #[test]
    fn pruning_never_leaves_nothing() {
        let mut failover = FailoverLog::from_entries(log(&[(3, 30), (2, 20)])).expect("valid");
        failover.prune(Seqno(10));
        assert_eq!(failover.entries(), log(&[(2, 10)]));
    }

    #[test]
    fn what_is_no_log_is_refused() {
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
