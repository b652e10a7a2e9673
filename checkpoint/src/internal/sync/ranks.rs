//! The ranks of this crate's locks. They are above those of the other crates, which call this one
//! and are never called by it.

use super::rank::Rank;

pub(crate) const VBUCKET: Rank = Rank::new(58, "VBucket::locked");
pub(crate) const MANAGER: Rank = Rank::new(59, "CheckpointManager's Shared::state");
pub(crate) const RECLAIMER: Rank = Rank::new(60, "Reclaimer's Shared::pending");
pub(crate) const SIGNAL: Rank = Rank::new(61, "Signal::raised");
/// A mutex only under loom.
#[cfg(checkpoint_loom)]
pub(crate) const LINK: Rank = Rank::new(62, "Link");
