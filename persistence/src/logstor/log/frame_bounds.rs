//! The bounds of a segment's frames, as far as scans have found them: 12 bytes a frame, kept as
//! long as the segment's use.

use crate::logstor::format::{HEADER_BYTES, to_usize};
use crate::sync::{Mutex, MutexGuard, ranks};

/// A frame of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct FrameBounds {
    pub(super) offset: u32,
    pub(in crate::logstor) payload_bytes: u32,
    pub(super) payload_crc: u32,
}

impl FrameBounds {
    /// Returns the offset of its first record.
    pub(in crate::logstor) const fn start(&self) -> u32 {
        self.offset + HEADER_BYTES
    }

    /// Returns the end of its records; beyond the segment if its header lies.
    pub(in crate::logstor) const fn end(&self) -> u32 {
        self.start().saturating_add(self.payload_bytes)
    }

    /// Returns whether `payload` is its payload.
    pub(in crate::logstor) fn is_whole(&self, payload: &[u8]) -> bool {
        payload.len() == to_usize(self.payload_bytes) && crc32c::crc32c(payload) == self.payload_crc
    }
}

/// The known frames, from the segment's start on.
#[derive(Debug)]
pub(super) struct KnownFrames(Mutex<Vec<FrameBounds>>);

impl KnownFrames {
    pub(super) fn new() -> Self {
        Self(Mutex::new(ranks::KNOWN_FRAMES, Vec::new()))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<FrameBounds>> {
        self.0.lock()
    }
}
