//! The order of calls, and what runs at once.

use EngineCall::{Create, Drop, Reopen, Reset, Rollback};
use lowtide_checkpoint::Seqno;

use super::*;

mod model;

const ONE: Vbid = Vbid(1);
const TWO: Vbid = Vbid(2);

fn calls(asked: &[EngineCall]) -> Calls {
    let mut calls = Calls::new();
    asked.iter().for_each(|&call| calls.push(call));
    calls
}

/// Returns the answer of a call that the engine did.
fn done(call: EngineCall) -> EngineDone<()> {
    let answer = match call {
        Create(_) | Drop(_) => EngineAnswer::Done,
        Rollback(..) | Reset(_) => EngineAnswer::RolledBack(()),
        Reopen => EngineAnswer::Reopened {
            attached: Vec::new(),
            unreadable: Vec::new(),
        },
    };
    EngineDone::new(call, Ok(answer))
}

fn failed(call: EngineCall) -> EngineDone<()> {
    EngineDone::new(call, Err(EngineError::InvalidArgument("a test".to_owned())))
}

fn poisoned(call: EngineCall) -> EngineDone<()> {
    let path = "/store".into();
    EngineDone::new(call, Err(EngineError::Poisoned { path }))
}

/// Ends a call. Returns `true` if its answer counts.
fn end(calls: &mut Calls, call: EngineCall) -> bool {
    let outcome = calls.finish(done(call)).expect("it is running");
    !matches!(outcome, CallOutcome::Void)
}

/// Ends a call with an error, and returns what follows.
fn fail(calls: &mut Calls, done: EngineDone<()>) -> CallNext {
    match calls.finish(done).expect("it is running") {
        CallOutcome::Failed { next, .. } => next,
        other => panic!("{other:?}"),
    }
}

/// Guards N1 and N7.
#[test]
fn calls_of_different_vbuckets_run_at_once() {
    let mut calls = calls(&[Drop(ONE), Create(ONE), Create(TWO)]);
    assert_eq!(calls.begin(), Some(Drop(ONE)));
    assert_eq!(calls.begin(), Some(Create(TWO)));
    assert_eq!((calls.begin(), calls.running()), (None, 2), "one of each");
    assert!(end(&mut calls, Drop(ONE)));
    assert_eq!(calls.begin(), Some(Create(ONE)));
}

/// Guards N7 and N8.
#[test]
fn failed_call_delays_only_its_own_vbucket_and_keeps_its_order() {
    let mut calls = calls(&[Drop(ONE), Create(ONE)]);
    assert_eq!(calls.begin(), Some(Drop(ONE)));
    for pause_micros in [1_000, 2_000] {
        let next = fail(&mut calls, failed(Drop(ONE)));
        assert_eq!(next, CallNext::After { pause_micros });
        assert_eq!(calls.begin(), None, "its pause is not over");
        calls.resume(Drop(ONE));
        assert_eq!(calls.begin(), Some(Drop(ONE)));
    }
    calls.push(Create(TWO));
    assert_eq!(calls.begin(), Some(Create(TWO)));
    assert!(end(&mut calls, Create(TWO)) && !calls.is_unsettled(TWO));
    assert!(end(&mut calls, Drop(ONE)) && calls.is_unsettled(ONE));
    assert_eq!(calls.begin(), Some(Create(ONE)));
    assert!(end(&mut calls, Create(ONE)));
    assert!(calls.is_empty() && !calls.is_unsettled(ONE));
}

/// Guards N1.
#[test]
fn call_waits_for_the_flush_of_its_vbucket() {
    let mut calls = calls(&[Rollback(ONE, Seqno(3)), Create(TWO)]);
    calls.flush_began([ONE, Vbid(7)]);
    assert_eq!(calls.begin(), Some(Create(TWO)), "it is not flushed");
    assert_eq!(calls.begin(), None);
    calls.flush_ended([ONE, Vbid(7)]);
    assert_eq!(calls.begin(), Some(Rollback(ONE, Seqno(3))));
}

/// Guards N1 and N7.
#[test]
fn reopening_runs_alone_and_no_call_passes_it() {
    let mut calls = calls(&[Create(ONE), Create(TWO)]);
    calls.flush_began([Vbid(7)]);
    assert_eq!(calls.begin(), Some(Create(ONE)));
    calls.reopen();
    calls.reopen();
    assert_eq!((calls.begin(), calls.is_reopen_due()), (None, true));
    assert!(end(&mut calls, Create(ONE)));
    assert_eq!(calls.begin(), None, "a flush is in flight");
    calls.flush_ended([Vbid(7)]);
    assert_eq!(calls.begin(), Some(Reopen));
    calls.reopen();
    assert_eq!((calls.begin(), calls.is_reopen_due()), (None, true));
    let next = fail(&mut calls, failed(Reopen));
    assert!(matches!(next, CallNext::After { .. }), "{next:?}");
    assert_eq!((calls.begin(), calls.is_reopen_due()), (None, true));
    calls.resume(Reopen);
    assert_eq!(calls.begin(), Some(Reopen));
    assert!(end(&mut calls, Reopen) && !calls.is_reopen_due());
    assert_eq!(calls.begin(), Some(Create(TWO)));
}

/// Guards N2 and N7.
#[test]
fn call_that_meets_a_poisoned_store_is_retried_after_the_reopening() {
    let mut calls = calls(&[Drop(ONE), Create(ONE)]);
    assert_eq!(calls.begin(), Some(Drop(ONE)));
    assert_eq!(fail(&mut calls, poisoned(Drop(ONE))), CallNext::Reopen);
    for call in [Reopen, Drop(ONE), Create(ONE)] {
        assert_eq!(calls.begin(), Some(call));
        assert_eq!(calls.begin(), None);
        assert!(end(&mut calls, call));
    }
    assert!(calls.is_empty());
}

#[test]
fn rollback_without_an_old_state_is_followed_by_a_reset() {
    let mut calls = calls(&[Rollback(ONE, Seqno(3)), Drop(TWO)]);
    assert_eq!(calls.begin(), Some(Rollback(ONE, Seqno(3))));
    let needs_reset = EngineDone::<()>::new(Rollback(ONE, Seqno(3)), Ok(EngineAnswer::NeedsReset));
    let outcome = calls.finish(needs_reset).expect("it is running");
    assert!(matches!(outcome, CallOutcome::Done { .. }), "{outcome:?}");
    assert!(calls.is_unsettled(ONE));
    assert_eq!(calls.begin(), Some(Reset(ONE)));
}

/// Guards N7.
#[test]
fn drop_cancels_earlier_calls_of_its_vbucket() {
    let mut calls = calls(&[Rollback(ONE, Seqno(3)), Create(TWO)]);
    assert_eq!(calls.begin(), Some(Rollback(ONE, Seqno(3))));
    calls.push(Drop(ONE));
    calls.push(Create(ONE));
    assert_eq!(calls.begin(), Some(Create(TWO)));
    assert_eq!(calls.begin(), None, "the rollback has not ended");
    assert!(
        !end(&mut calls, Rollback(ONE, Seqno(3))),
        "the vBucket that is made next did not go back"
    );
    assert_eq!(calls.begin(), Some(Drop(ONE)));
    assert!(end(&mut calls, Drop(ONE)));
    calls.push(Drop(ONE));
    assert_eq!(calls.begin(), Some(Drop(ONE)), "it need not be made first");
    assert!(end(&mut calls, Drop(ONE)) && end(&mut calls, Create(TWO)));
    assert!(calls.is_empty());
}

#[test]
fn answer_of_no_running_call_is_refused() {
    let mut calls = calls(&[Create(ONE), Drop(TWO)]);
    assert_eq!(calls.begin(), Some(Create(ONE)));
    let other_kind = EngineDone::new(Create(ONE), Ok(EngineAnswer::RolledBack(())));
    for wrong in [done(Drop(TWO)), done(Reopen), other_kind] {
        let refused = calls.finish(wrong);
        assert!(
            matches!(refused, Err(CheckpointError::InvalidArgument(_))),
            "{refused:?}"
        );
    }
    assert!(calls.is_running(Create(ONE)) && end(&mut calls, Create(ONE)));
}
