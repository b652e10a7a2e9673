//! Flow control: limit of the bytes that a consumer has not acknowledged.
//!
//! Source: kv_engine, `docs/dcp/documentation/flow-control.md`, "High Level Flow Control Behavior".
//!
//! # Invariants
//!
//! - S4. A message is sent only while fewer than the buffer's bytes are unacknowledged. So the sum
//!   exceeds the buffer by at most one message. Without a buffer size there is no limit.

/// Account of the bytes that the consumer has not acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowControl {
    buffer_bytes: Option<u64>,
    unacknowledged_bytes: u64,
}

impl FlowControl {
    /// Sets the size of the consumer's buffer. 0 turns flow control off and clears the account.
    pub(in crate::producer) fn set_buffer(&mut self, bytes: u32) {
        if bytes == 0 {
            *self = Self::default();
        } else {
            self.buffer_bytes = Some(u64::from(bytes));
        }
    }

    /// Returns `true` if the next message may be sent.
    #[must_use]
    pub(in crate::producer) fn may_send(&self) -> bool {
        self.buffer_bytes
            .is_none_or(|buffer| self.unacknowledged_bytes < buffer)
    }

    /// Adds the bytes of a sent message.
    pub(in crate::producer) fn sent(&mut self, bytes: u32) {
        if self.buffer_bytes.is_some() {
            self.unacknowledged_bytes += u64::from(bytes);
        }
    }

    /// Subtracts acknowledged bytes. An excess, which the consumer may send, is ignored.
    pub(in crate::producer) fn acknowledged(&mut self, bytes: u32) {
        self.unacknowledged_bytes = self.unacknowledged_bytes.saturating_sub(u64::from(bytes));
    }

    /// Returns the size of the consumer's buffer, or `None` without flow control.
    #[must_use]
    pub fn buffer_bytes(&self) -> Option<u64> {
        self.buffer_bytes
    }

    /// Returns the bytes sent and not acknowledged.
    #[must_use]
    pub fn unacknowledged_bytes(&self) -> u64 {
        self.unacknowledged_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffer_is_exceeded_by_at_most_one_message() {
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
    fn buffer_size_zero_turns_flow_control_off() {
        let mut flow = FlowControl::default();
        flow.set_buffer(1);
        flow.sent(10);
        flow.set_buffer(0);
        assert!(flow.may_send());
    }
}
