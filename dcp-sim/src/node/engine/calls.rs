//! Queue of a node's engine calls besides flushes.
//!
//! # Invariants
//!
//! - N7. The calls of one vBucket are executed in the order of their requests. A failed call is the
//!   next of its vBucket to be tried, after its pause. Calls of other vBuckets do not wait for it.
//!   No call passes a [`EngineCall::Reopen`].
//! - N8. A vBucket is unsettled from the request of a call until the last of its calls is done.
//! - A drop cancels the earlier calls of its vBucket. Waiting ones are removed, and the answer of a
//!   running one is ignored.

use std::collections::{BTreeSet, VecDeque};

use lowtide_checkpoint::Vbid;

use super::engine_call::EngineCall;
use crate::fault::{self, Fault};

/// Engine calls of one node.
#[derive(Debug, Default)]
pub(in crate::node) struct Calls {
    waiting: VecDeque<EngineCall>,
    running: Option<EngineCall>,
    /// The answer of the running call is ignored: its vBucket is to be dropped.
    is_void: bool,
    /// vBuckets whose next call failed and waits for the end of its pause. `None` stands for the
    /// whole store.
    paused: BTreeSet<Option<Vbid>>,
}

impl Calls {
    /// Queues a call after all others.
    pub(in crate::node) fn push(&mut self, call: EngineCall) {
        if let EngineCall::Drop(vb) = call {
            self.cancel(vb);
        }
        self.waiting.push_back(call);
    }

    /// Queues a call before all others.
    pub(in crate::node) fn push_first(&mut self, call: EngineCall) {
        self.waiting.push_front(call);
    }

    /// Queues a reopening of the store before all others, unless one is queued.
    pub(in crate::node) fn reopen(&mut self) {
        if !self.waiting.contains(&EngineCall::Reopen) {
            self.waiting.push_front(EngineCall::Reopen);
        }
    }

    /// Starts the next call that is allowed to run, if the previous one ended.
    pub(in crate::node) fn begin(&mut self) -> Option<EngineCall> {
        if self.running.is_some() || self.paused.contains(&None) {
            return None;
        }
        let position = |is_it: &dyn Fn(&EngineCall) -> bool| self.waiting.iter().position(is_it);
        let reopen = position(&|call| *call == EngineCall::Reopen);
        let index = reopen.or_else(|| position(&|call| !self.paused.contains(&call.vbucket())))?;
        self.running = self.waiting.remove(index);
        self.is_void = false;
        self.running
    }

    /// Returns `true` if a call was started and has not ended.
    pub(in crate::node) fn has_running(&self) -> bool {
        self.running.is_some()
    }

    /// Returns `true` if `call` was started and has not ended.
    pub(in crate::node) fn is_running(&self, call: EngineCall) -> bool {
        self.running == Some(call)
    }

    /// Ends the running call. Returns `true` if its answer counts.
    pub(in crate::node) fn end(&mut self) -> bool {
        self.running = None;
        !std::mem::take(&mut self.is_void)
    }

    /// Queues a failed call again, before all others of its vBucket, and pauses it.
    pub(in crate::node) fn pause(&mut self, call: EngineCall) {
        if fault::is(Fault::FailedCallGoesLast) {
            self.waiting.push_back(call);
        } else {
            self.waiting.push_front(call);
        }
        self.paused.insert(call.vbucket());
    }

    /// Ends the pause of a failed call.
    pub(in crate::node) fn resume(&mut self, call: EngineCall) {
        self.paused.remove(&call.vbucket());
    }

    /// Returns `true` if the vBucket is being created, rolled back or dropped, or waits for that.
    pub(in crate::node) fn is_unsettled(&self, vb: Vbid) -> bool {
        let is_of = |call: &EngineCall| call.vbucket() == Some(vb);
        self.waiting.iter().any(is_of)
            || self
                .running
                .as_ref()
                .is_some_and(|call| !self.is_void && is_of(call))
    }

    /// Returns `true` if the store must be reopened before the next commit.
    #[cfg(test)]
    pub(in crate::node) fn is_reopen_due(&self) -> bool {
        self.waiting.contains(&EngineCall::Reopen)
    }

    /// Returns `true` if no call is queued or running.
    pub(in crate::node) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.running.is_none()
    }

    fn cancel(&mut self, vb: Vbid) {
        let of = Some(vb);
        self.waiting.retain(|call| call.vbucket() != of);
        self.paused.remove(&of);
        self.is_void |= self.running.is_some_and(|call| call.vbucket() == of);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use EngineCall::{Create, Drop, Reopen, Reset, Rollback};
    use lowtide_checkpoint::Seqno;

    const ONE: Vbid = Vbid(1);
    const TWO: Vbid = Vbid(2);

    fn calls(asked: &[EngineCall]) -> Calls {
        let mut calls = Calls::default();
        asked.iter().for_each(|&call| calls.push(call));
        calls
    }

    #[test]
    fn failed_call_delays_only_its_own_vbucket_and_keeps_its_order() {
        let mut calls = calls(&[Drop(ONE), Create(ONE), Create(TWO)]);
        assert_eq!(calls.begin(), Some(Drop(ONE)));
        assert_eq!(calls.begin(), None, "one at a time");
        assert!(calls.end());
        calls.pause(Drop(ONE));
        assert_eq!(calls.begin(), Some(Create(TWO)));
        assert!(calls.end() && !calls.is_unsettled(TWO));
        assert_eq!(
            (calls.begin(), calls.is_unsettled(ONE), calls.is_empty()),
            (None, true, false)
        );
        calls.resume(Drop(ONE));
        for call in [Drop(ONE), Create(ONE)] {
            assert_eq!((calls.begin(), calls.is_unsettled(ONE)), (Some(call), true));
            assert!(calls.end());
        }
        assert!(calls.is_empty() && !calls.is_unsettled(ONE));
    }

    #[test]
    fn no_call_passes_a_reopening() {
        let mut calls = calls(&[Create(ONE)]);
        calls.reopen();
        calls.reopen();
        // A call before all others, and one that failed.
        calls.push_first(Reset(ONE));
        assert_eq!(
            (calls.begin(), calls.is_reopen_due()),
            (Some(Reopen), false)
        );
        assert!(calls.end());
        calls.pause(Reopen);
        assert_eq!((calls.begin(), calls.is_reopen_due()), (None, true));
        calls.resume(Reopen);
        assert_eq!(calls.begin(), Some(Reopen));
        assert!(calls.end());
        assert_eq!(calls.begin(), Some(Reset(ONE)));
        assert!(calls.end());
        assert_eq!(calls.begin(), Some(Create(ONE)));
    }

    #[test]
    fn drop_cancels_earlier_calls_of_its_vbucket() {
        let mut calls = calls(&[Rollback(ONE, Seqno(3)), Create(TWO)]);
        assert_eq!(calls.begin(), Some(Rollback(ONE, Seqno(3))));
        calls.push(Drop(ONE));
        calls.push(Create(ONE));
        assert!(
            !calls.end(),
            "the vBucket that is made next did not go back"
        );
        assert_eq!(calls.begin(), Some(Create(TWO)));
        assert!(calls.end());
        assert_eq!(calls.begin(), Some(Drop(ONE)));
        assert!(calls.end());
        calls.push(Drop(ONE));
        assert_eq!(calls.begin(), Some(Drop(ONE)), "it need not be made first");
        assert!(calls.end() && calls.is_empty());
    }
}
