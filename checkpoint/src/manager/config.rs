//! What a manager is told at its making.

use crate::{ItemLimits, Quota, Reclaimer};

/// Who assigns a vBucket's seqnos.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// This manager does.
    #[default]
    Active,
    /// Another node's; this one takes what its snapshots bring.
    Replica,
}

/// How a manager behaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointConfig {
    /// Who assigns seqnos at first.
    pub role: Role,
    /// An open checkpoint that holds an item and has come to so many bytes (keys, values and what the queue adds) is
    /// closed before the next operation. `None` (the default): at the size the quota finds right; never by size
    /// where there is no quota.
    pub max_bytes: Option<usize>,
    /// What the manager's memory is charged to, beside other managers'. Default: none, and no limit.
    pub quota: Option<Quota>,
    /// Who frees what is no longer needed. Default: none; then whoever made it free does, after the lock was released.
    pub reclaimer: Option<Reclaimer>,
    /// What items may be at most: give it what the engine that persists them stores. Default: what every engine does.
    pub limits: ItemLimits,
    /// Whether there is a persistence cursor. Without one, nothing waits for a disk. Default: no.
    pub persistence: bool,
}
