//! Leading: a thread that waits for a write flushes its shard while the shard's flusher sleeps.
//!
//! It does nothing that may take longer than a flush: it neither replaces a failed engine nor waits
//! after a failure. The flusher is woken for that.
//!
//! # Invariants
//!
//! - R13. A leader gives the shard back, with whatever it has left undone, or ends the store's
//!   flushing if it panics.

use crate::hosted::waiting::inbox::Inbox;
use crate::runtime::command::Command;
use crate::runtime::partition::Lead;
use crate::runtime::shard::Shard;
use crate::runtime::shared::Shared;

impl Lead for Shared {
    fn lead(&self, shard: usize) {
        let Some(inbox) = self.inboxes.get(shard) else {
            return;
        };
        let Some((mut shard, dirty)) = inbox.lead() else {
            return;
        };
        let mut leading = Leading {
            shared: self,
            inbox,
            has_ended: false,
        };
        self.queue_dirty(&mut shard, dirty);
        self.flush_as_leader(&mut shard);
        leading.has_ended = true;
        let is_done = shard.is_done();
        inbox.give_back(shard, is_done);
    }

    fn hurry(&self, shard: usize) {
        if let Some(inbox) = self.inboxes.get(shard) {
            inbox.hurry();
        }
    }
}

impl Shared {
    fn flush_as_leader(&self, shard: &mut Shard) {
        let Ok((engine, generation)) = self.slot.engine() else {
            return;
        };
        if generation == shard.generation && !shard.flushes.reopen_is_due() {
            self.flush_once(shard, &*engine);
        }
    }
}

/// Ends the inbox if the leader panics: the shard is gone, and nothing more of it is persisted.
struct Leading<'a> {
    shared: &'a Shared,
    inbox: &'a Inbox<Command, Shard>,
    has_ended: bool,
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.inbox.end();
            self.shared.health.closed();
            self.shared.end_waiting();
        }
    }
}
