//! A memory quota that any number of managers share: its limit, its use, and when to act.
//!
//! Managers charge every chunk and index to it when they allocate, and discharge when it is
//! dropped. `used_bytes` is therefore exact at any moment, including the memory that slow readers
//! keep alive.
//!
//! # Invariants
//! - `used_bytes` is the sum of the managers' accounts (C18).
//! - The lower mark is at or below the upper mark, and both are at or below the limit.

use std::sync::Arc;

use crate::error::CheckpointError;
use crate::fault::{self, Fault};
use crate::internal::invariant::checked_invariant;
use crate::internal::sync::{AtomicUsize, Ordering};

/// Limit, marks and counts. All may be changed while managers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaConfig {
    /// Used bytes at which an active refuses writes. *Default*: 64 MiB. *Minimum*: 1.
    pub limit_bytes: usize,
    /// Share of the limit at which memory should be recovered, in thousandths. *Default*: 900.
    pub upper_mark_permille: usize,
    /// Share of the limit down to which memory should be recovered, in thousandths. *Default*: 600.
    pub lower_mark_permille: usize,
    /// Number of checkpoints that fit into a manager's share of the limit, which decides when a
    /// checkpoint is closed by size. *Default*: 10. *Minimum*: 1.
    pub checkpoints_per_manager: usize,
    /// Size at which an open checkpoint is closed at the latest, however large the limit.
    /// *Default*: 64 MiB. *Minimum*: 1.
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

impl QuotaConfig {
    /// Sets the used bytes at which an active refuses writes.
    #[must_use]
    pub const fn with_limit_bytes(mut self, limit_bytes: usize) -> Self {
        self.limit_bytes = limit_bytes;
        self
    }

    /// Sets the share of the limit at which memory should be recovered, in thousandths.
    #[must_use]
    pub const fn with_upper_mark_permille(mut self, upper_mark_permille: usize) -> Self {
        self.upper_mark_permille = upper_mark_permille;
        self
    }

    /// Sets the share of the limit down to which memory should be recovered, in thousandths.
    #[must_use]
    pub const fn with_lower_mark_permille(mut self, lower_mark_permille: usize) -> Self {
        self.lower_mark_permille = lower_mark_permille;
        self
    }

    /// Sets the number of checkpoints that fit into a manager's share of the limit.
    #[must_use]
    pub const fn with_checkpoints_per_manager(mut self, checkpoints_per_manager: usize) -> Self {
        self.checkpoints_per_manager = checkpoints_per_manager;
        self
    }

    /// Sets the size at which an open checkpoint is closed at the latest.
    #[must_use]
    pub const fn with_checkpoint_bytes_max(mut self, checkpoint_bytes_max: usize) -> Self {
        self.checkpoint_bytes_max = checkpoint_bytes_max;
        self
    }
}

/// A quota's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaStats {
    /// Bytes charged by all managers, including memory that their readers still hold.
    pub used_bytes: usize,
    /// Used bytes from which actives refuse writes.
    pub limit_bytes: usize,
    /// Used bytes from which memory should be recovered.
    pub upper_mark_bytes: usize,
    /// Used bytes down to which memory should be recovered.
    pub lower_mark_bytes: usize,
    /// Size at which a manager closes its open checkpoint by itself.
    pub checkpoint_bytes: usize,
    /// Number of managers that share the quota.
    pub managers: usize,
}

/// The use of a quota, compared with its marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum MemoryState {
    /// Below the upper mark.
    Available,
    /// At or above the upper mark: memory should be recovered down to the lower mark.
    High,
    /// At or above the limit: actives refuse writes until memory is recovered.
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

/// A shared quota. Cloning shares it; two are equal if they are the same one.
#[derive(Clone, Debug)]
pub struct Quota(Arc<Shared>);

impl PartialEq for Quota {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Quota {}

impl Quota {
    /// Creates an unused quota.
    ///
    /// # Errors
    /// [`CheckpointError::InvalidArgument`] for marks that are out of order or above the limit, and
    /// for a limit, count or size of 0.
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

    /// Changes limit, marks and counts. Managers use them from their next operation on.
    ///
    /// # Errors
    /// Same as [`Quota::new`]. The quota has not changed then.
    pub fn configure(&self, config: QuotaConfig) -> Result<(), CheckpointError> {
        let QuotaConfig {
            limit_bytes,
            upper_mark_permille,
            lower_mark_permille,
            ..
        } = config;
        if lower_mark_permille > upper_mark_permille || upper_mark_permille > 1_000 {
            return Err(CheckpointError::InvalidArgument(
                "a quota's lower mark must not exceed its upper mark, nor its upper mark the limit",
            ));
        }
        if limit_bytes == 0
            || config.checkpoints_per_manager == 0
            || config.checkpoint_bytes_max == 0
        {
            return Err(CheckpointError::InvalidArgument(
                "a quota's limit, count and size must be at least 1",
            ));
        }
        // Divided first, because the limit may be the largest number.
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

    /// Returns the charged bytes.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.0.used_bytes.load(Ordering::Relaxed)
    }

    /// Returns the number of managers that share the quota.
    #[must_use]
    pub fn managers(&self) -> usize {
        self.0.managers.load(Ordering::Relaxed)
    }

    /// Returns the use, compared with the marks.
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

    /// Returns the bytes to recover: 0 below the upper mark, otherwise everything above the lower
    /// mark.
    #[must_use]
    pub fn excess_bytes(&self) -> usize {
        match self.state() {
            MemoryState::Available => 0,
            _ => self
                .used_bytes()
                .saturating_sub(self.0.lower_mark_bytes.load(Ordering::Relaxed)),
        }
    }

    /// Returns the size at which a manager closes its open checkpoint by itself.
    ///
    /// It is the manager's share of the limit, divided by the number of checkpoints that should fit
    /// into the share.
    #[must_use]
    pub fn checkpoint_bytes(&self) -> usize {
        // The number of checkpoints has no upper limit. Saturated, each share is the smallest one.
        let shares = self
            .managers()
            .max(1)
            .saturating_mul(self.0.checkpoints_per_manager.load(Ordering::Relaxed));
        let share = self.0.limit_bytes.load(Ordering::Relaxed) / shares;
        share.clamp(1, self.0.checkpoint_bytes_max.load(Ordering::Relaxed))
    }

    /// Returns the figures. They are loaded one by one, so they may be of different moments.
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
            self.charge_by_halves(bytes);
        } else {
            self.0.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// The deliberate bug [`Fault::QuotaByHalves`].
    #[cold]
    fn charge_by_halves(&self, bytes: usize) {
        let used = self.used_bytes();
        self.0.used_bytes.store(used + bytes, Ordering::Relaxed);
    }

    pub(crate) fn discharge(&self, bytes: usize) {
        let before = self.0.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
        checked_invariant!(before >= bytes, "C18", "only charged bytes are discharged");
    }

    /// Counts a manager until the membership is dropped.
    pub(crate) fn join(&self) -> Membership {
        self.0.managers.fetch_add(1, Ordering::Relaxed);
        Membership(self.clone())
    }
}

/// A manager's membership in a quota.
#[derive(Debug)]
pub(crate) struct Membership(Quota);

impl Membership {
    pub(crate) fn quota(&self) -> &Quota {
        &self.0
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let before = self.0.0.managers.fetch_sub(1, Ordering::Relaxed);
        checked_invariant!(before >= 1, "C18", "a quota counts its managers");
    }
}

#[cfg(test)]
mod tests;
