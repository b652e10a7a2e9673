//! The bytes that a queued item costs beyond its key and value.
//!
//! Totals and quotas count them, so that small items close checkpoints and fill a quota, too.

use super::slot::Slot;

/// Bytes of a slot in a dense chunk.
pub(crate) const SLOT_BYTES: usize = size_of::<Slot>();

/// Bytes of an index entry in a table that is half full.
pub(crate) const ENTRY_BYTES: usize = 2 * size_of::<u64>();
