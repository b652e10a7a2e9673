//! Engine calls that fail while others of the same vBucket wait: they keep their order, and their vBucket stays unsettled.

use lowtide_persistence::Engine;
use lowtide_persistence::disk::Fault;

use super::engine::{Rig, rig};
use super::*;

const DROP: Event = Event::Drop { vb: VB };
const CREATE: Event = Event::Create {
    vb: VB,
    uuid: VbUuid(5),
};

fn retry(actions: Vec<Action>) -> Event {
    let later = actions.into_iter().find_map(|action| match action {
        Action::Later(_, event) if matches!(*event, Event::Retry(_)) => Some(*event),
        _ => None,
    });
    later.expect("it is tried again")
}

fn written(keys: &[&str]) -> Rig {
    let mut rig = rig(NodeConfig::default());
    for key in keys {
        rig.set(key, 10).expect("active");
        rig.flush();
    }
    rig
}

fn assert_is_made_anew(rig: &Rig) {
    assert!(rig.wanted.is_empty() && rig.node.is_settled(VB) && rig.node.reader(VB).is_ok());
    let partition = rig.node.partition(VB).expect("there");
    assert_eq!(
        (
            partition.vbucket.high_seqno(),
            partition.documents.iter().count()
        ),
        (Seqno::ZERO, 0)
    );
    let stored = Stored::read(rig.engine(), VB).expect("the engine has it");
    assert_eq!(
        (stored.high, stored.documents.iter().count()),
        (Seqno::ZERO, 0)
    );
    assert_eq!(rig.node.persisted_seqno(VB), Some(Seqno::ZERO));
}

/// Found by several seeds: the copy was made anew, which changed nothing, and then the drop was tried again.
#[test]
fn a_drop_that_failed_comes_before_the_vbucket_is_made_anew() {
    let mut rig = written(&["a"]);
    rig.disk.fail_io(1, Fault::Eio);
    rig.step(DROP);
    let failed = retry(rig.answer());
    rig.step(CREATE);
    assert!(rig.wanted.is_empty() && !rig.node.is_settled(VB) && !rig.node.is_idle());
    assert!(matches!(
        rig.node.reader(VB),
        Err(ReadError::Unavailable { .. })
    ));
    rig.step(failed);
    rig.answer();
    assert!(!rig.node.is_settled(VB), "it is gone, and not made yet");
    let made = rig.answer();
    assert!(
        made.iter()
            .any(|action| matches!(action, Action::Settled { vb: VB })),
        "{made:?}"
    );
    assert_is_made_anew(&rig);
}

/// Guards N2: what a store that was opened anew has of a vBucket that is to go is nothing to the one that is made next.
#[test]
fn a_reopened_store_says_nothing_of_a_vbucket_that_is_to_go() {
    let mut rig = written(&["a"]);
    rig.set("b", 10).expect("active");
    rig.disk.fail_sync(1);
    rig.flush();
    rig.step(DROP);
    rig.step(CREATE);
    // The store is poisoned: the drop finds out.
    rig.answer();
    assert!(
        matches!(rig.wanted[..], [Action::Call(EngineCall::Reopen)]),
        "{:?}",
        rig.wanted
    );
    rig.answer();
    assert_eq!(rig.node.persisted_seqno(VB), Some(Seqno::ZERO));
    rig.answer();
    rig.answer();
    assert_is_made_anew(&rig);
}

/// Guards N3: a rollback that ends after its vBucket was told to go is not the next one's.
#[test]
fn a_vbucket_that_is_made_anew_is_not_rolled_back_for_the_one_before() {
    let mut rig = written(&["a", "b"]);
    rig.step(Event::SetState {
        vb: VB,
        state: State::Replica,
        uuid: None,
    });
    let mut actions = Vec::new();
    rig.node.roll_back(VB, Seqno(1), &mut actions);
    rig.wanted.extend(actions);
    rig.step(DROP);
    rig.step(CREATE);
    let done = rig.answer();
    assert!(
        !done
            .iter()
            .any(|action| matches!(action, Action::RolledBack { .. })),
        "{done:?}"
    );
    rig.answer();
    rig.answer();
    assert_is_made_anew(&rig);
}

/// Guards N8: until the engine has made a vBucket nothing is committed to it, and the others are flushed as ever.
#[test]
fn what_is_not_made_yet_is_not_flushed_and_holds_up_nobody() {
    let mut rig = written(&[]);
    let other = Vbid(1);
    rig.disk.fail_io(1, Fault::Eio);
    rig.step(Event::Create {
        vb: other,
        uuid: VbUuid(5),
    });
    let failed = retry(rig.answer());
    let promoted = rig.step(Event::SetState {
        vb: other,
        state: State::Active,
        uuid: Some(VbUuid(6)),
    });
    assert!(promoted.is_empty(), "{promoted:?}");
    let woken = rig.set("a", 10).expect("active");
    assert!(
        woken
            .iter()
            .any(|action| matches!(action, Action::WakeFlusher)),
        "{woken:?}"
    );
    let flushed = rig.flush();
    assert!(
        flushed
            .iter()
            .any(|action| matches!(action, Action::Persisted { vb: VB, .. })),
        "{flushed:?}"
    );
    rig.step(failed);
    let made = rig.answer();
    assert!(
        made.iter()
            .any(|action| matches!(action, Action::WakeFlusher)),
        "{made:?}"
    );
    let flushed = rig.flush();
    assert!(
        matches!(flushed[..], [Action::Persisted { vb, .. }] if vb == other),
        "{flushed:?}"
    );
    assert!(rig.node.is_idle());
}

/// Found by a seed (W1): the engine had gone back and could not say so, and what it had was taken for what memory has.
#[test]
fn a_reopened_store_says_nothing_of_a_vbucket_that_goes_back() {
    let mut rig = written(&["a", "b"]);
    rig.step(Event::SetState {
        vb: VB,
        state: State::Replica,
        uuid: None,
    });
    let mut actions = Vec::new();
    rig.node.roll_back(VB, Seqno(1), &mut actions);
    rig.wanted.extend(actions);
    // The second sync of the commit that goes back.
    rig.disk.fail_sync(2);
    let failed = retry(rig.answer());
    rig.step(failed);
    rig.answer();
    assert!(
        matches!(rig.wanted[..], [Action::Call(EngineCall::Reopen)]),
        "{:?}",
        rig.wanted
    );
    rig.answer();
    assert_eq!(
        rig.engine().info(VB).expect("there").high,
        Seqno(1),
        "it had gone back"
    );
    assert_eq!(
        rig.node.persisted_seqno(VB),
        Some(Seqno(2)),
        "not so memory"
    );
    rig.step(Event::FlushDue);
    assert!(
        matches!(rig.wanted[..], [Action::Call(EngineCall::Rollback(..))]),
        "{:?}",
        rig.wanted
    );
    let done = rig.answer();
    assert!(
        matches!(
            done[0],
            Action::RolledBack {
                seqno: Seqno(1),
                ..
            }
        ),
        "{done:?}"
    );
    assert_eq!(rig.node.persisted_seqno(VB), Some(Seqno(1)));
}
