//! Engine operations of a node at once: flushes of several shards, and calls.

use lowtide_persistence::Engine;

use super::engine::{Rig, is_persisted, rig};
use super::*;

/// A second vBucket.
const OTHER: Vbid = Vbid(1);

/// A rig with a second active vBucket, and a shard for each.
fn two_shards() -> Rig {
    let mut rig = rig(NodeConfig::new().with_flush_shards(2));
    rig.engine().create(OTHER).expect("there is room");
    let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(8)));
    rig.node.add_vbucket(OTHER, &state);
    rig
}

/// Guards N1.
#[test]
fn operations_of_different_vbuckets_are_in_progress_at_once() {
    let mut rig = two_shards();
    for (vb, shard) in [(VB, 0), (OTHER, 1)] {
        let written = rig.set_in(vb, "a", 10).expect("active");
        let is_woken = |action: &Action| matches!(action, Action::WakeFlusher { shard: woken } if *woken == shard);
        assert!(written.iter().any(is_woken), "{written:?}");
        rig.step(Event::FlushDue { shard });
    }
    for (vb, uuid) in [(Vbid(2), VbUuid(5)), (Vbid(3), VbUuid(6))] {
        rig.step(Event::Create { vb, uuid });
        assert!(!rig.node.is_settled(vb));
    }
    assert_eq!(rig.wanted.len(), 4, "{:?}", rig.wanted);
    rig.step(FLUSH);
    assert_eq!(rig.wanted.len(), 4, "one flush of a shard");
    // Answers come in any order.
    rig.wanted.reverse();
    for _ in 0..4 {
        rig.answer();
    }
    assert!(rig.wanted.is_empty() && rig.node.is_idle());
    assert!(rig.node.is_settled(Vbid(2)) && rig.node.is_settled(Vbid(3)));
    assert_eq!(rig.engine().vbuckets(), [0, 1, 2, 3].map(Vbid));
    for vb in [VB, OTHER] {
        assert_eq!(rig.node.persisted_seqno(vb), Some(Seqno(1)));
    }
}

/// Guards N1.
#[test]
fn call_waits_for_the_flush_of_its_vbucket() {
    let mut rig = two_shards();
    rig.set("a", 10).expect("active");
    rig.step(FLUSH);
    rig.step(Event::Drop { vb: VB });
    let uuid = VbUuid(5);
    rig.step(Event::Create { vb: VB, uuid });
    assert!(
        matches!(rig.wanted[..], [Action::Commit { .. }]),
        "{:?}",
        rig.wanted
    );
    let flushed = rig.answer();
    assert!(!is_persisted(&flushed, 1), "it was the old one's");
    for _ in 0..2 {
        assert_eq!(rig.wanted.len(), 1, "{:?}", rig.wanted);
        rig.answer();
    }
    assert_eq!(rig.engine().info(VB).expect("there").high, Seqno::ZERO);
    assert!(rig.node.is_settled(VB) && rig.node.is_idle());
}

/// Guards N1 and F9.
#[test]
fn reopening_waits_for_every_operation_and_delays_the_others() {
    let mut rig = two_shards();
    rig.set("a", 10).expect("active");
    rig.disk.fail_sync(1);
    rig.flush();
    // The store is poisoned, and the two operations do not know it.
    rig.step(FLUSH);
    rig.set_in(OTHER, "a", 10).expect("active");
    rig.step(Event::FlushDue { shard: 1 });
    rig.answer();
    assert!(
        matches!(rig.wanted[..], [Action::Commit { shard: 1, .. }]),
        "{:?}",
        rig.wanted
    );
    let (vb, uuid) = (Vbid(2), VbUuid(5));
    rig.step(Event::Create { vb, uuid });
    rig.set("b", 10).expect("active");
    rig.step(FLUSH);
    assert_eq!(rig.wanted.len(), 1, "nothing else begins");
    rig.answer();
    assert!(
        matches!(rig.wanted[..], [Action::Call(EngineCall::Reopen)]),
        "{:?}",
        rig.wanted
    );
    rig.step(FLUSH);
    assert_eq!(rig.wanted.len(), 1, "it is alone");
    let woken = rig.answer();
    let shards = woken.iter().filter_map(|action| match action {
        Action::WakeFlusher { shard } => Some(*shard),
        _ => None,
    });
    assert_eq!(shards.collect::<Vec<_>>(), [0, 1]);
    assert!(
        matches!(rig.wanted[..], [Action::Call(EngineCall::Create(Vbid(2)))]),
        "{:?}",
        rig.wanted
    );
    for shard in [0, 1] {
        rig.step(Event::FlushDue { shard });
    }
    while !rig.wanted.is_empty() {
        rig.answer();
    }
    assert_eq!(rig.node.persisted_seqno(VB), Some(Seqno(2)));
    assert_eq!(rig.node.persisted_seqno(OTHER), Some(Seqno(1)));
    assert!(rig.node.is_idle());
}

#[test]
fn event_of_a_shard_that_does_not_exist_is_refused() {
    let mut rig = rig(NodeConfig::new().with_flush_shards(0));
    let refused = rig.node.step(Event::FlushDue { shard: 1 }, 1);
    assert!(
        matches!(refused, Err(NodeError::NotHere { .. })),
        "{refused:?}"
    );
}
