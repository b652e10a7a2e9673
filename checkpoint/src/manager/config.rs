//! The configuration of a manager and of its cursors, fixed when they are created.
//!
//! Only the role changes later, when the vBucket changes its state.

use crate::limits::ItemLimits;
use crate::memory::Quota;
use crate::reclaim::Reclaimer;

/// The name of the cursor that feeds the flusher.
pub const PERSISTENCE: &str = "persistence";

/// The source of a vBucket's seqnos. There is no third one, so a `match` may be exhaustive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// This manager assigns them.
    #[default]
    Active,
    /// Another node's manager assigns them. This one takes the items of its snapshots.
    Replica,
}

/// The behaviour of a manager.
///
/// There is no default, because only the caller knows whether an engine persists the items:
/// [`CheckpointConfig::persistent`] or [`CheckpointConfig::in_memory`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointConfig {
    /// Initial role. *Default*: active.
    pub role: Role,
    /// Size at which a non-empty open checkpoint is closed before the next operation: keys, values
    /// and the queue's overhead. *Default*: `None`, the size that the quota computes, or
    /// [`CheckpointConfig::MAX_BYTES_DEFAULT`] without a quota.
    pub max_bytes: Option<usize>,
    /// Quota that the manager's memory is charged to, shared with other managers. *Default*: none,
    /// and no limit.
    pub quota: Option<Quota>,
    /// Reclaimer that frees unneeded memory. *Default*: none. The thread that made the memory
    /// unneeded then frees it, after the lock is released.
    pub reclaimer: Option<Reclaimer>,
    /// Limits that every item must satisfy. Pass the limits of the engine that persists the items.
    /// *Default*: the limits that every engine supports.
    pub limits: ItemLimits,
    /// Whether there is a persistence cursor, behind which items wait for a flush.
    pub persistence: bool,
}

impl CheckpointConfig {
    /// Size at which an open checkpoint is closed if neither [`CheckpointConfig::max_bytes`] nor a
    /// quota decides.
    pub const MAX_BYTES_DEFAULT: usize = 64 << 20;

    /// Creates the configuration of a manager whose items are flushed to an engine. Items stay in
    /// memory until a flush has read them.
    #[must_use]
    pub const fn persistent() -> Self {
        Self::new(true)
    }

    /// Creates the configuration of a manager without a persistence cursor: it refuses to begin a
    /// flush, and nothing waits for a disk.
    #[must_use]
    pub const fn in_memory() -> Self {
        Self::new(false)
    }

    const fn new(persistence: bool) -> Self {
        Self {
            role: Role::Active,
            max_bytes: None,
            quota: None,
            reclaimer: None,
            limits: ItemLimits::DEFAULT,
            persistence,
        }
    }

    /// Sets the initial role.
    #[must_use]
    pub fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// Sets the size at which an open checkpoint is closed. `usize::MAX` never closes one by size.
    #[must_use]
    pub fn with_max_bytes(self, max_bytes: impl Into<Option<usize>>) -> Self {
        let max_bytes = max_bytes.into();
        Self { max_bytes, ..self }
    }

    /// Sets the quota that the manager's memory is charged to.
    #[must_use]
    pub fn with_quota(self, quota: impl Into<Option<Quota>>) -> Self {
        let quota = quota.into();
        Self { quota, ..self }
    }

    /// Sets the reclaimer that frees unneeded memory.
    #[must_use]
    pub fn with_reclaimer(self, reclaimer: impl Into<Option<Reclaimer>>) -> Self {
        let reclaimer = reclaimer.into();
        Self { reclaimer, ..self }
    }

    /// Sets the limits that every item must satisfy.
    #[must_use]
    pub fn with_limits(self, limits: ItemLimits) -> Self {
        Self { limits, ..self }
    }

    /// Sets whether there is a persistence cursor.
    #[must_use]
    pub fn with_persistence(self, persistence: bool) -> Self {
        Self {
            persistence,
            ..self
        }
    }
}

/// The behaviour of one cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CursorOptions {
    /// Whether memory recovery may drop the cursor. Its consumer then registers again and fetches
    /// what is missing from disk. *Default*: yes.
    pub droppable: bool,
}

impl CursorOptions {
    /// Creates the options of a cursor that memory recovery may drop.
    #[must_use]
    pub const fn new() -> Self {
        Self { droppable: true }
    }

    /// Sets whether memory recovery may drop the cursor. A consumer whose cursor stays keeps its
    /// items in memory however far it is behind.
    #[must_use]
    pub const fn with_droppable(mut self, droppable: bool) -> Self {
        self.droppable = droppable;
        self
    }
}

impl Default for CursorOptions {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::QuotaConfig;

    #[test]
    fn each_setter_of_a_manager_sets_its_own_field() {
        let quota = Quota::new(QuotaConfig::default()).expect("valid");
        let reclaimer = Reclaimer::new();
        let limits = ItemLimits::NONE;
        assert_eq!(
            CheckpointConfig::persistent()
                .with_role(Role::Replica)
                .with_max_bytes(1)
                .with_quota(quota.clone())
                .with_reclaimer(reclaimer.clone())
                .with_limits(limits)
                .with_persistence(false),
            CheckpointConfig {
                role: Role::Replica,
                max_bytes: Some(1),
                quota: Some(quota),
                reclaimer: Some(reclaimer),
                limits,
                persistence: false,
            }
        );
    }

    #[test]
    fn setter_of_a_cursor_sets_its_field() {
        assert_eq!(
            CursorOptions::new().with_droppable(false),
            CursorOptions { droppable: false }
        );
    }
}
