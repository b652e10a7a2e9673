//! Failed engine calls while others of the same vBucket wait: the order is kept, and the vBucket
//! stays unsettled.

use lowtide_persistence::Engine;
use lowtide_persistence::disk::Fault;

use super::engine::{Rig, is_rolled_back, rig};
use super::*;

const DROP: Event = Event::Drop { vb: VB };
const CREATE: Event = Event::Create {
    vb: VB,
    uuid: VbUuid(5),
};

fn retry(actions: Vec<Action>) -> Event {
    let later = actions.into_iter().find_map(|action| match action {
        Action::Later { event, .. } if matches!(*event, Event::Retry(_)) => Some(*event),
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

fn assert_is_created_again(rig: &Rig) {
    assert!(rig.wanted.is_empty() && rig.node.is_settled(VB) && rig.node.reader(VB).is_ok());
    let partition = rig.node.partition(VB).expect("there");
    assert_eq!(
        (
            partition.vbucket.high_seqno(),
            partition.documents.stats().entries
        ),
        (Seqno::ZERO, 0)
    );
    let stored = Stored::read(rig.engine(), VB).expect("the engine has it");
    assert_eq!((stored.high, rig.stored()), (Seqno::ZERO, Vec::new()));
    assert_eq!(rig.node.persisted_seqno(VB), Some(Seqno::ZERO));
}

/// Guards against a bug found by several seeds: the copy was created again, without effect, and
/// then the drop was retried.
#[test]
fn failed_drop_is_retried_before_the_vbucket_is_created_again() {
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
    assert_is_created_again(&rig);
}

/// Guards N2: the content of a dropped vBucket in a reopened store does not affect the one created
/// next.
#[test]
fn reopened_store_does_not_affect_a_dropped_vbucket() {
    let mut rig = written(&["a"]);
    rig.set("b", 10).expect("active");
    rig.disk.fail_sync(1);
    rig.flush();
    rig.step(DROP);
    rig.step(CREATE);
    // The store is poisoned; the drop detects it.
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
    assert_is_created_again(&rig);
}

/// Guards N3: a rollback that ends after the drop of its vBucket does not affect the next one.
#[test]
fn recreated_vbucket_is_not_rolled_back_for_its_predecessor() {
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
    assert_is_created_again(&rig);
}

/// Guards N8: nothing is committed to a vBucket before the engine has created it, and other
/// vBuckets are flushed as usual.
#[test]
fn vbucket_not_created_yet_is_not_flushed_and_delays_no_other() {
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
            .any(|action| matches!(action, Action::WakeFlusher { .. })),
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
            .any(|action| matches!(action, Action::WakeFlusher { .. })),
        "{made:?}"
    );
    let flushed = rig.flush();
    assert!(
        matches!(flushed[..], [Action::Persisted { vb, .. }] if vb == other),
        "{flushed:?}"
    );
    assert!(rig.node.is_idle());
}

/// Guards W1 against a seed: the engine rolled back and failed to report it, and its content
/// replaced the seqnos in memory.
#[test]
fn reopened_store_does_not_affect_a_vbucket_in_rollback() {
    let mut rig = written(&["a", "b"]);
    rig.step(Event::SetState {
        vb: VB,
        state: State::Replica,
        uuid: None,
    });
    let mut actions = Vec::new();
    rig.node.roll_back(VB, Seqno(1), &mut actions);
    rig.wanted.extend(actions);
    // The second sync of the rollback's commit.
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
    rig.step(FLUSH);
    assert!(
        matches!(rig.wanted[..], [Action::Call(EngineCall::Rollback(..))]),
        "{:?}",
        rig.wanted
    );
    let done = rig.answer();
    assert!(is_rolled_back(&done, 1), "{done:?}");
    assert_eq!(rig.node.persisted_seqno(VB), Some(Seqno(1)));
}
