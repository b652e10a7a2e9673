//! The ranks of this crate's locks. They are above those of the other crates, which call this one
//! and are never called by it.

use super::rank::Rank;

pub(crate) const VBUCKET: Rank = Rank::new(57, "VBucket::locked");
pub(crate) const MANAGER: Rank = Rank::new(58, "CheckpointManager's Shared::state");
pub(crate) const RECLAIMER: Rank = Rank::new(59, "Reclaimer's Shared::pending");
pub(crate) const SIGNAL: Rank = Rank::new(60, "Signal::state");
pub(crate) const READY_SET: Rank = Rank::new(61, "ReadySet::ready");
/// A mutex only under loom.
#[cfg(checkpoint_loom)]
pub(crate) const LINK: Rank = Rank::new(62, "Link");
