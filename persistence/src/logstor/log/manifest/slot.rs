//! The two slots of a manifest's file, of which one counts.

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
/// Unit that a disk writes as a whole or not at all.
const SECTOR_BYTES: usize = 512;
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
    /// Offset in the file.
    pub(super) const fn start(&self) -> u64 {
        self.slot.saturating_mul(self.slot_bytes)
    }
}
