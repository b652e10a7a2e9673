//! Queue of the streams that may have something to send, in the order in which they became ready.
//!
//! # Invariants
//!
//! - S8. A stream is in it once, so the host is woken once for it.

use std::collections::{BTreeSet, VecDeque};

use lowtide_checkpoint::internal::checked_invariant;

use crate::producer::stream_key::StreamKey;

#[derive(Debug, Default)]
pub(super) struct ReadyQueue {
    order: VecDeque<StreamKey>,
    members: BTreeSet<StreamKey>,
}

impl ReadyQueue {
    /// Appends a stream, unless it is in the queue. Returns `true` if it was not.
    pub(super) fn push(&mut self, key: StreamKey) -> bool {
        let is_new = self.members.insert(key);
        if is_new {
            self.order.push_back(key);
        }
        is_new
    }

    pub(super) fn pop(&mut self) -> Option<StreamKey> {
        let key = self.order.pop_front()?;
        let was_member = self.members.remove(&key);
        checked_invariant!(
            was_member,
            "S8",
            "a stream that waits for its turn counts as ready"
        );
        Some(key)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.order.clear();
        self.members.clear();
    }
}
