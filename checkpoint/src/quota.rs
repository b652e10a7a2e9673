//! A memory quota that any number of managers share: what it is, how much is used, and when to act.
//!
//! Managers charge every chunk and index to it when they allocate and discharge when that is dropped, wherever it is.
//! So `used_bytes` is the truth at any moment, also about what slow readers keep alive. What always holds (C18): used is the
//! sum of what the managers' accounts hold; the lower mark is at or below the upper one, both at or below the limit.

use std::sync::Arc;

use crate::CheckpointError;
use crate::fault::{self, Fault};
use crate::sync::{AtomicUsize, Ordering};

/// Limit, marks and counts. All may be changed while managers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaConfig {
    /// An active takes no write while so many bytes are used. *Default*: 64 MiB.
    pub limit_bytes: usize,
    /// At this share of the limit memory is to be recovered, in thousandths. *Default*: 900.
    pub upper_mark_permille: usize,
    /// Down to this share of the limit, in thousandths. *Default*: 600.
    pub lower_mark_permille: usize,
    /// How many checkpoints a manager should fit into its share of the limit; decides when one is closed by size.
    /// *Default*: 10. *Minimum*: 1.
    pub checkpoints_per_manager: usize,
    /// An open checkpoint is closed at this size at the latest, however large the limit. *Default*: 64 MiB.
    pub checkpoint_bytes_max: usize,
}

impl Default for QuotaConfig {
    fn default() -> Self {
        Self {
            limit_bytes: 64 << 20,
            upper_mark_permille: 900,
            lower_mark_permille: 600,
            checkpoints_per_manager: 10,
            checkpoint_bytes_max: 64 << 20,
        }
    }
}

/// A quota's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaStats {
    /// Bytes charged to it, by all managers and whatever readers of theirs still hold.
    pub used_bytes: usize,
    /// Actives take no write from here on.
    pub limit_bytes: usize,
    /// Memory is to be recovered from here on.
    pub upper_mark_bytes: usize,
    /// Down to here.
    pub lower_mark_bytes: usize,
    /// At which size a manager closes its open checkpoint by itself.
    pub checkpoint_bytes: usize,
    /// Managers that share it.
    pub managers: usize,
}

/// How much memory there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemoryState {
    /// Below the upper mark.
    Available,
    /// At or above it: recover down to the lower mark.
    High,
    /// At or above the limit: actives refuse writes until something is recovered.
    Full,
}

#[derive(Debug)]
struct Shared {
    used_bytes: AtomicUsize,
    managers: AtomicUsize,
    limit_bytes: AtomicUsize,
    upper_mark_bytes: AtomicUsize,
    lower_mark_bytes: AtomicUsize,
    checkpoints_per_manager: AtomicUsize,
    checkpoint_bytes_max: AtomicUsize,
}

/// A quota. Cloning shares it; two are equal if they are the same one.
#[derive(Clone, Debug)]
pub struct Quota(Arc<Shared>);

impl PartialEq for Quota {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Quota {}

impl Quota {
    /// A quota of which nothing is used.
    ///
    /// # Errors
    /// [`CheckpointError::InvalidArgument`] for marks that are out of order or above the limit, and for counts of 0.
    pub fn new(config: QuotaConfig) -> Result<Self, CheckpointError> {
        let quota = Self(Arc::new(Shared {
            used_bytes: AtomicUsize::new(0),
            managers: AtomicUsize::new(0),
            limit_bytes: AtomicUsize::new(0),
            upper_mark_bytes: AtomicUsize::new(0),
            lower_mark_bytes: AtomicUsize::new(0),
            checkpoints_per_manager: AtomicUsize::new(1),
            checkpoint_bytes_max: AtomicUsize::new(0),
        }));
        quota.configure(config)?;
        Ok(quota)
    }

    /// Changes limit, marks and counts; managers go by them from their next operation on.
    ///
    /// # Errors
    /// As [`Quota::new`]; then nothing changes.
    pub fn configure(&self, config: QuotaConfig) -> Result<(), CheckpointError> {
        let QuotaConfig {
            limit_bytes,
            upper_mark_permille,
            lower_mark_permille,
            ..
        } = config;
        if lower_mark_permille > upper_mark_permille || upper_mark_permille > 1_000 {
            return Err(CheckpointError::InvalidArgument(
                "the marks are lower, upper, limit, in this order",
            ));
        }
        if limit_bytes == 0
            || config.checkpoints_per_manager == 0
            || config.checkpoint_bytes_max == 0
        {
            return Err(CheckpointError::InvalidArgument(
                "a quota's limit and counts are at least 1",
            ));
        }
        // Divided first: the limit may be as large as a number gets.
        let share = |permille: usize| {
            limit_bytes / 1_000 * permille + limit_bytes % 1_000 * permille / 1_000
        };
        self.0.limit_bytes.store(limit_bytes, Ordering::Relaxed);
        self.0
            .upper_mark_bytes
            .store(share(upper_mark_permille), Ordering::Relaxed);
        self.0
            .lower_mark_bytes
            .store(share(lower_mark_permille), Ordering::Relaxed);
        self.0
            .checkpoints_per_manager
            .store(config.checkpoints_per_manager, Ordering::Relaxed);
        self.0
            .checkpoint_bytes_max
            .store(config.checkpoint_bytes_max, Ordering::Relaxed);
        Ok(())
    }

    /// Bytes charged to it.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.0.used_bytes.load(Ordering::Relaxed)
    }

    /// Managers that share it.
    #[must_use]
    pub fn managers(&self) -> usize {
        self.0.managers.load(Ordering::Relaxed)
    }

    /// How much memory there is.
    #[must_use]
    pub fn state(&self) -> MemoryState {
        let used = self.used_bytes();
        if used >= self.0.limit_bytes.load(Ordering::Relaxed) {
            MemoryState::Full
        } else if used >= self.0.upper_mark_bytes.load(Ordering::Relaxed) {
            MemoryState::High
        } else {
            MemoryState::Available
        }
    }

    /// How many bytes are to be recovered: nothing below the upper mark, then everything above the lower one.
    #[must_use]
    pub fn excess_bytes(&self) -> usize {
        match self.state() {
            MemoryState::Available => 0,
            _ => self
                .used_bytes()
                .saturating_sub(self.0.lower_mark_bytes.load(Ordering::Relaxed)),
        }
    }

    /// At which size a manager closes its open checkpoint by itself: its share of the limit, divided by the checkpoints
    /// it should fit into that.
    #[must_use]
    pub fn checkpoint_bytes(&self) -> usize {
        let shares =
            self.managers().max(1) * self.0.checkpoints_per_manager.load(Ordering::Relaxed);
        let share = self.0.limit_bytes.load(Ordering::Relaxed) / shares;
        share.clamp(1, self.0.checkpoint_bytes_max.load(Ordering::Relaxed))
    }

    /// Its figures. Read one by one, so they may be of different moments.
    #[must_use]
    pub fn stats(&self) -> QuotaStats {
        QuotaStats {
            used_bytes: self.used_bytes(),
            limit_bytes: self.0.limit_bytes.load(Ordering::Relaxed),
            upper_mark_bytes: self.0.upper_mark_bytes.load(Ordering::Relaxed),
            lower_mark_bytes: self.0.lower_mark_bytes.load(Ordering::Relaxed),
            checkpoint_bytes: self.checkpoint_bytes(),
            managers: self.managers(),
        }
    }

    pub(crate) fn charge(&self, bytes: usize) {
        if fault::is(Fault::QuotaByHalves) {
            self.0
                .used_bytes
                .store(self.used_bytes() + bytes, Ordering::Relaxed);
        } else {
            self.0.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn discharge(&self, bytes: usize) {
        self.0.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Counts a manager in until the membership is dropped.
    pub(crate) fn join(&self) -> Membership {
        self.0.managers.fetch_add(1, Ordering::Relaxed);
        Membership(self.clone())
    }
}

/// One manager's place in a quota.
#[derive(Debug)]
pub(crate) struct Membership(Quota);

impl Membership {
    pub(crate) fn quota(&self) -> &Quota {
        &self.0
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.0.0.managers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(limit_bytes: usize) -> Quota {
        Quota::new(QuotaConfig {
            limit_bytes,
            ..QuotaConfig::default()
        })
        .expect("valid")
    }

    #[test]
    fn the_marks_decide() {
        let quota = quota(1_000);
        for (used, state, excess) in [
            (899, MemoryState::Available, 0),
            (900, MemoryState::High, 300),
            (999, MemoryState::High, 399),
            (1_000, MemoryState::Full, 400),
        ] {
            quota.charge(used);
            assert_eq!(
                (quota.state(), quota.excess_bytes()),
                (state, excess),
                "{used}"
            );
            quota.discharge(used);
        }
    }

    #[test]
    fn its_figures_are_what_it_was_told_and_what_is_charged() {
        let quota = quota(10_000);
        let member = quota.join();
        quota.charge(123);
        let stats = QuotaStats {
            used_bytes: 123,
            limit_bytes: 10_000,
            upper_mark_bytes: 9_000,
            lower_mark_bytes: 6_000,
            checkpoint_bytes: 1_000,
            managers: 1,
        };
        assert_eq!(quota.stats(), stats);
        drop(member);
    }

    #[test]
    fn a_checkpoint_is_a_managers_share_of_a_share() {
        let quota = quota(12_000);
        assert_eq!(quota.checkpoint_bytes(), 1_200, "as for one manager");
        let members = [quota.join(), quota.join(), quota.join()];
        assert_eq!(quota.checkpoint_bytes(), 400);
        drop(members);
        assert_eq!(quota.managers(), 0);
        quota
            .configure(QuotaConfig {
                limit_bytes: usize::MAX,
                ..QuotaConfig::default()
            })
            .expect("valid");
        assert_eq!(
            quota.checkpoint_bytes(),
            QuotaConfig::default().checkpoint_bytes_max
        );
    }

    #[test]
    fn what_makes_no_quota_is_refused_and_changes_nothing() {
        let quota = quota(1_000);
        let config = QuotaConfig::default;
        for bad in [
            QuotaConfig {
                limit_bytes: 0,
                ..config()
            },
            QuotaConfig {
                lower_mark_permille: 901,
                ..config()
            },
            QuotaConfig {
                upper_mark_permille: 1_001,
                ..config()
            },
            QuotaConfig {
                checkpoints_per_manager: 0,
                ..config()
            },
            QuotaConfig {
                checkpoint_bytes_max: 0,
                ..config()
            },
        ] {
            assert!(quota.configure(bad).is_err(), "{bad:?}");
        }
        quota.charge(900);
        assert_eq!(quota.state(), MemoryState::High);
    }
}
