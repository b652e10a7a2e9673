//! Options that the producer granted.

use crate::wire::Response;

/// Options that the producer granted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Granted {
    /// Opaques of the two options that change the producer's messages.
    pub(super) sync_writes_asked: u32,
    pub(super) v7_statuses_asked: u32,
    pub(super) sync_writes: bool,
    pub(super) v7_statuses: bool,
}

impl Granted {
    /// Records the answer to an option.
    pub(super) fn record(&mut self, response: &Response) {
        let is_granted = response.reply.status().is_success();
        self.sync_writes |= is_granted && response.opaque == self.sync_writes_asked;
        self.v7_statuses |= is_granted && response.opaque == self.v7_statuses_asked;
    }
}
