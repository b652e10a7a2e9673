//! Writes of keys that memory does not know: they wait for the engine, and no other write does (N9).

use super::engine::{Rig, rig};
use super::*;
use crate::node::pending_write::PendingWrite;

/// A node whose memory forgets what is persisted.
fn forgetful() -> Rig {
    rig(NodeConfig::new().with_cache_bytes(0))
}

/// Writes a document, which is then in the engine only.
fn set_and_forget(rig: &mut Rig, key: &str) {
    rig.set(key, 10).expect("active");
    rig.flush();
    rig.step(Event::Tick);
}

/// Begins a write of a key that memory does not know.
fn begin(rig: &mut Rig, key: &str) -> PendingWrite {
    let event = Event::Write {
        vb: VB,
        key: Key::new(key.as_bytes()),
        value: Some(Bytes::from_static(b"v")),
    };
    let mut actions = rig.node.step(event, 1).expect("active");
    match actions.pop() {
        Some(Action::Fetch(write)) => write,
        other => panic!("memory knows {key}: {other:?}"),
    }
}

fn end(rig: &mut Rig, write: PendingWrite) -> Result<Vec<Action>, NodeError> {
    let stored = write.read(rig.engine());
    rig.node.step(Event::Fetched { write, stored }, 1)
}

/// Returns seqno and revision of the write that a node accepted.
fn written(actions: &[Action]) -> Option<(u64, u64)> {
    actions.iter().find_map(|action| match action {
        Action::Written { item, .. } => Some((item.seqno.0, item.rev_seqno)),
        _ => None,
    })
}

#[test]
fn write_counts_up_from_the_revision_that_only_the_engine_has() {
    let mut rig = forgetful();
    set_and_forget(&mut rig, "a");
    let write = begin(&mut rig, "a");
    assert!(!rig.node.is_idle(), "a write waits");
    let done = end(&mut rig, write).expect("active");
    assert_eq!(written(&done), Some((2, 2)));
}

#[test]
fn write_that_waits_delays_no_other_and_counts_up_from_a_later_one_of_its_key() {
    let mut rig = forgetful();
    set_and_forget(&mut rig, "a");
    let [first, second] = ["a", "a"].map(|key| begin(&mut rig, key));
    assert_eq!(written(&rig.set("b", 10).expect("active")), Some((2, 1)));
    let stored = first.read(rig.engine());
    // The answer to the second arrives first.
    let done = end(&mut rig, second).expect("active");
    assert_eq!(written(&done), Some((3, 2)));
    let write = first;
    let done = rig.node.step(Event::Fetched { write, stored }, 1);
    assert_eq!(written(&done.expect("active")), Some((4, 3)));
}

#[test]
fn failed_read_of_the_engine_refuses_its_write_and_no_other() {
    let mut rig = forgetful();
    let write = begin(&mut rig, "a");
    let stored = Err(lowtide_persistence::EngineError::UnknownVBucket { vb: VB });
    let refused = rig.node.step(Event::Fetched { write, stored }, 1);
    assert!(matches!(refused, Err(NodeError::Fetch(_))), "{refused:?}");
    assert!(rig.node.is_idle());
    assert_eq!(written(&rig.set("a", 10).expect("active")), Some((1, 1)));
}

#[test]
fn answer_for_a_vbucket_that_was_dropped_is_refused_and_one_for_its_successor_asks_again() {
    let mut rig = forgetful();
    let [first, second] = ["a", "a"].map(|key| begin(&mut rig, key));
    rig.step(Event::Drop { vb: VB });
    let refused = end(&mut rig, first);
    assert!(
        matches!(refused, Err(NodeError::NotHere { .. })),
        "{refused:?}"
    );
    let uuid = VbUuid(7);
    rig.step(Event::Create { vb: VB, uuid });
    rig.answer();
    rig.answer();
    let (state, uuid) = (State::Active, Some(VbUuid(8)));
    rig.step(Event::SetState {
        vb: VB,
        state,
        uuid,
    });
    let mut again = end(&mut rig, second).expect("active");
    let Some(Action::Fetch(write)) = again.pop() else {
        panic!("the old engine's answer is void: {again:?}");
    };
    let done = end(&mut rig, write).expect("active");
    assert_eq!(written(&done), Some((1, 1)));
}

#[test]
fn documents_of_idle_vbuckets_are_evicted_at_a_tick() {
    let mut rig = rig(NodeConfig::new().with_cache_bytes(1_000));
    for number in 0..20 {
        rig.set(&format!("key {number}"), 100).expect("active");
    }
    rig.flush();
    let entries = |rig: &Rig| {
        rig.node
            .partition(VB)
            .expect("there")
            .documents
            .stats()
            .entries
    };
    assert_eq!(entries(&rig), 20, "no write has moved the hand");
    rig.step(Event::Tick);
    assert!(entries(&rig) < 10, "{} are left", entries(&rig));
}
