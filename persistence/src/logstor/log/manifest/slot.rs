//! The two slots of a manifest's file, of which one counts.

use crate::logstor::config::SECTOR_BYTES;

/// Name of the manifest's file.
pub(in crate::logstor) const MANIFEST_NAME: &str = "MANIFEST";
/// Name of a file that is being made.
pub(super) const NEW_NAME: &str = "MANIFEST.new";
/// Bytes of the largest frame: the catalog of a store with very many vBuckets.
pub(super) const FRAME_BYTES_MAX: usize = 64 << 20;
/// Least size of a slot. Tests and models fill one with few edits.
pub(super) const SLOT_BYTES_MIN: u64 = if cfg!(any(test, checkpoint_loom)) {
    8 << 10
} else {
    64 << 10
};
/// A slot is a multiple of this, so that no sector is in both.
pub(super) const SLOT_BYTES_STEP: u64 = 4096;
/// The beginning of a slot without content.
pub(super) const CLEARED: [u8; SECTOR_BYTES] = [0; SECTOR_BYTES];

/// The slot that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct SlotPlace {
    /// 0 or 1.
    pub(super) slot: u64,
    pub(super) slot_bytes: u64,
    pub(super) generation: u64,
}

impl SlotPlace {
    /// Returns the offset in the file, whose half is a slot.
    pub(super) const fn start(&self) -> u64 {
        self.slot * self.slot_bytes
    }

    /// Returns the other slot, with the catalog of a generation.
    pub(super) const fn other(self, generation: u64) -> Self {
        Self {
            slot: if self.slot == 0 { 1 } else { 0 },
            generation,
            ..self
        }
    }
}
