//! What a node's engine is to do beside flushes: calls go in, the one that is next comes out.
//!
//! What always holds:
//! - N7. The calls of one vBucket are carried out in the order in which they were asked for. One that failed is the next of its
//!   vBucket to be tried, after its pause; the other vBuckets' calls do not wait for it. Nothing passes a
//!   [`EngineCall::Reopen`].
//! - N8. A vBucket is unsettled from when a call for it is asked for until the last of its calls is done.
//! - A vBucket that is to go takes the calls asked for before with it: those that wait are not carried out, and the answer to
//!   the one that is carried out is nobody's.

use std::collections::{BTreeSet, VecDeque};

use lowtide_checkpoint::Vbid;

use super::engine_call::EngineCall;
use crate::fault::{self, Fault};

/// The calls of one node's engine.
#[derive(Debug, Default)]
pub(in crate::node) struct Calls {
    waiting: VecDeque<EngineCall>,
    running: Option<EngineCall>,
    /// The answer to the running call is nobody's: its vBucket is to go.
    is_void: bool,
    /// Whose next call failed and waits for its pause to end; `None` for the store as a whole.
    paused: BTreeSet<Option<Vbid>>,
}

impl Calls {
    /// Asks for a call, after those asked for before.
    pub(in crate::node) fn push(&mut self, call: EngineCall) {
        if let EngineCall::Drop(vb) = call {
            self.give_up(vb);
        }
        self.waiting.push_back(call);
    }

    /// Asks for a call that comes before all others.
    pub(in crate::node) fn push_first(&mut self, call: EngineCall) {
        self.waiting.push_front(call);
    }

    /// Has the store opened anew before anything else, unless that is asked for already.
    pub(in crate::node) fn reopen(&mut self) {
        if !self.waiting.contains(&EngineCall::Reopen) {
            self.waiting.push_front(EngineCall::Reopen);
        }
    }

    /// Begins the next call that may be carried out, if the one before has ended.
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

    /// The running call has ended. Returns whether its answer counts.
    pub(in crate::node) fn end(&mut self) -> bool {
        self.running = None;
        !std::mem::take(&mut self.is_void)
    }

    /// A call that ended has failed: it is tried again, before all others of its vBucket, once it is resumed.
    pub(in crate::node) fn pause(&mut self, call: EngineCall) {
        if fault::is(Fault::FailedCallGoesLast) {
            self.waiting.push_back(call);
        } else {
            self.waiting.push_front(call);
        }
        self.paused.insert(call.vbucket());
    }

    /// The pause of a call that failed is over.
    pub(in crate::node) fn resume(&mut self, call: EngineCall) {
        self.paused.remove(&call.vbucket());
    }

    /// Whether a vBucket is being made, rolled back or removed, or is to be.
    pub(in crate::node) fn is_unsettled(&self, vb: Vbid) -> bool {
        let is_of = |call: &EngineCall| call.vbucket() == Some(vb);
        self.waiting.iter().any(is_of)
            || self
                .running
                .as_ref()
                .is_some_and(|call| !self.is_void && is_of(call))
    }

    /// Whether the store is to be opened anew before anything is committed.
    pub(in crate::node) fn is_reopen_due(&self) -> bool {
        self.waiting.contains(&EngineCall::Reopen)
    }

    /// Whether nothing is to be done.
    pub(in crate::node) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.running.is_none()
    }

    fn give_up(&mut self, vb: Vbid) {
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
    fn a_failed_call_holds_up_its_own_vbucket_only_and_comes_before_its_later_calls() {
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
    fn nothing_passes_a_store_that_must_be_opened_anew() {
        let mut calls = calls(&[Create(ONE)]);
        calls.reopen();
        calls.reopen();
        // Neither a call that goes before all others nor one that has failed.
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
    fn a_vbucket_that_goes_takes_its_earlier_calls_with_it() {
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
