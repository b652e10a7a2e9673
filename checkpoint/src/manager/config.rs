//! The configuration of a manager and of its cursors, fixed when they are created.
//!
//! Only the role changes later, when the vBucket changes its state.

use crate::limits::ItemLimits;
use crate::memory::Quota;
use crate::reclaim::Reclaimer;

/// The name of the cursor that feeds the flusher.
pub const PERSISTENCE: &str = "persistence";

/// The source of a vBucket's seqnos.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// This manager assigns them.
    #[default]
    Active,
    /// Another node's manager assigns them. This one takes the items of its snapshots.
    Replica,
}

/// The behaviour of a manager.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointConfig {
    /// Initial role.
    pub role: Role,
    /// Size at which a non-empty open checkpoint is closed before the next operation: keys, values
    /// and the queue's overhead. `None` (the default): the size that the quota computes, or no limit
    /// without a quota.
    pub max_bytes: Option<usize>,
    /// Quota that the manager's memory is charged to, shared with other managers. Default: none, and
    /// no limit.
    pub quota: Option<Quota>,
    /// Reclaimer that frees unneeded memory. Default: none. The thread that made the memory
    /// unneeded then frees it, after the lock is released.
    pub reclaimer: Option<Reclaimer>,
    /// Limits that every item must satisfy. Pass the limits of the engine that persists the items.
    /// Default: the limits that every engine supports.
    pub limits: ItemLimits,
    /// Whether there is a persistence cursor. Without one, nothing waits for a disk. Default: no.
    pub persistence: bool,
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
