//! The configuration of a manager, fixed when it is created.
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
