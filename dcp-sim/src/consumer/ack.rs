//! Acknowledgement of received bytes, once they amount to half the producer's buffer.
//!
//! # Invariants
//!
//! - Fewer than half the buffer's bytes are received and not acknowledged (S6).

use lowtide_checkpoint::internal::{Invariant, Violation, checked_invariant};

/// Account of the bytes that are not acknowledged yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acknowledgements {
    threshold_bytes: u32,
    pending_bytes: u32,
}

impl Acknowledgements {
    pub(super) fn new(buffer_bytes: u32) -> Self {
        Self {
            threshold_bytes: (buffer_bytes / 2).max(1),
            pending_bytes: 0,
        }
    }

    /// Adds bytes that were received and applied. Returns the number to acknowledge now, if that is
    /// due.
    pub(super) fn received(&mut self, bytes: u32) -> Result<Option<u32>, Violation> {
        // Half a buffer and the largest frame fit.
        self.pending_bytes = self
            .pending_bytes
            .checked_add(bytes)
            .invariant("S6", "the bytes to acknowledge fit into the field")?;
        if self.pending_bytes < self.threshold_bytes {
            return Ok(None);
        }
        let due = std::mem::take(&mut self.pending_bytes);
        checked_invariant!(due > 0, "S6", "an acknowledgement returns bytes");
        Ok(Some(due))
    }
}

#[cfg(test)]
mod tests {
    use lowtide_checkpoint::internal::as_in_release;

    use super::*;

    #[test]
    fn bytes_are_acknowledged_at_half_the_buffer() {
        let mut acknowledgements = Acknowledgements::new(100);
        assert_eq!(acknowledgements.received(49), Ok(None));
        assert_eq!(acknowledgements.received(1), Ok(Some(50)));
        assert_eq!(acknowledgements.received(500), Ok(Some(500)));
        assert_eq!(acknowledgements.received(0), Ok(None));
    }

    /// S6.
    #[test]
    fn bytes_beyond_the_field_are_an_internal_error_in_release_builds() {
        let mut acknowledgements = Acknowledgements::new(u32::MAX);
        assert_eq!(acknowledgements.received(1), Ok(None));
        let violation = as_in_release(|| acknowledgements.received(u32::MAX));
        assert_eq!(
            violation.map_err(|violation| violation.invariant),
            Err("S6")
        );
    }
}
