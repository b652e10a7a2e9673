//! Flow control: how many bytes may be on their way to a consumer that has not acknowledged them.
//!
//! What always holds: a message is sent only while fewer than the buffer's bytes are unacknowledged, so that the sum
//! passes the buffer by at most one message; without a buffer size nothing is held back.

/// A producer's account of what its consumer has not acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowControl {
    buffer_bytes: Option<u64>,
    unacknowledged_bytes: u64,
}

impl FlowControl {
    /// Sets the consumer's buffer; 0 turns flow control off and forgets what was unacknowledged.
    pub fn set_buffer(&mut self, bytes: u32) {
        if bytes == 0 {
            *self = Self::default();
        } else {
            self.buffer_bytes = Some(u64::from(bytes));
        }
    }

    /// Whether the next message may be sent.
    #[must_use]
    pub fn may_send(&self) -> bool {
        self.buffer_bytes
            .is_none_or(|buffer| self.unacknowledged_bytes < buffer)
    }

    /// Takes note of a message sent.
    pub fn sent(&mut self, bytes: u32) {
        if self.buffer_bytes.is_some() {
            self.unacknowledged_bytes += u64::from(bytes);
        }
    }

    /// Takes note of an acknowledgement; more than is outstanding is forgiven.
    pub fn acknowledged(&mut self, bytes: u32) {
        self.unacknowledged_bytes = self.unacknowledged_bytes.saturating_sub(u64::from(bytes));
    }

    /// The consumer's buffer; `None` without flow control.
    #[must_use]
    pub fn buffer_bytes(&self) -> Option<u64> {
        self.buffer_bytes
    }

    /// Bytes sent and not acknowledged.
    #[must_use]
    pub fn unacknowledged_bytes(&self) -> u64 {
        self.unacknowledged_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_is_passed_by_at_most_one_message() {
        let mut flow = FlowControl::default();
        flow.set_buffer(100);
        flow.sent(99);
        assert!(flow.may_send());
        flow.sent(500);
        assert!(!flow.may_send());
        flow.acknowledged(499);
        assert!(!flow.may_send(), "exactly the buffer is unacknowledged");
        flow.acknowledged(1);
        assert!(flow.may_send());
        flow.acknowledged(1_000);
        assert_eq!(flow.unacknowledged_bytes(), 0);
    }

    #[test]
    fn a_buffer_of_0_is_no_buffer() {
        let mut flow = FlowControl::default();
        flow.set_buffer(1);
        flow.sent(10);
        flow.set_buffer(0);
        assert!(flow.may_send());
    }
}
