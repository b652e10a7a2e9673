//! When received bytes are given back to the producer's buffer: once they are half of it.
//!
//! What always holds: what was received and not acknowledged is less than half the buffer.

/// A consumer's account of what it has not acknowledged.
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

    /// Takes note of bytes received and applied; returns how many to acknowledge now, if it is time.
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
    fn half_a_buffer_is_acknowledged_at_once() {
        let mut acknowledgements = Acknowledgements::new(100);
        assert_eq!(acknowledgements.received(49), None);
        assert_eq!(acknowledgements.received(1), Some(50));
        assert_eq!(acknowledgements.received(500), Some(500));
        assert_eq!(acknowledgements.received(0), None);
    }
}
