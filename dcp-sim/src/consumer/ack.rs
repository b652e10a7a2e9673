//! Acknowledgement of received bytes, once they amount to half the producer's buffer.
//!
//! # Invariants
//!
//! - Fewer than half the buffer's bytes are received and not acknowledged (S6).

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
    pub(super) fn received(&mut self, bytes: u32) -> Option<u32> {
        self.pending_bytes = self.pending_bytes.saturating_add(bytes);
        (self.pending_bytes >= self.threshold_bytes)
            .then(|| std::mem::take(&mut self.pending_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_acknowledged_at_half_the_buffer() {
        let mut acknowledgements = Acknowledgements::new(100);
        assert_eq!(acknowledgements.received(49), None);
        assert_eq!(acknowledgements.received(1), Some(50));
        assert_eq!(acknowledgements.received(500), Some(500));
        assert_eq!(acknowledgements.received(0), None);
    }
}
