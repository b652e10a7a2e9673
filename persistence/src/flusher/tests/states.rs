//! The vBucket state that is committed with a batch.

use super::*;

#[test]
fn state_changed_during_a_flush_is_committed_as_of_its_batch() {
    let mut rig = rig();
    rig.set("a", "one");
    let group = rig.flusher.begin([&rig.vbucket]).expect("no other flush");
    rig.set("b", "two");
    let committed = group.commit(&rig.engine, 1);
    rig.flusher.finish(committed);
    let state = rig
        .engine
        .snapshot(VB)
        .expect("there")
        .state()
        .cloned()
        .expect("committed");
    assert_eq!(
        (state.snapshot_end, state.max_visible_seqno),
        (Seqno(1), Seqno(1))
    );
}

#[test]
fn change_of_state_alone_is_committed() {
    let mut rig = rig();
    rig.set("a", "one");
    rig.flush();
    rig.vbucket
        .set_state(State::Replica, None)
        .expect("allowed");
    let flushed = rig.flush();
    assert_eq!(
        persisted(&flushed),
        Some(Persisted {
            seqno: Seqno(1),
            prepared: Seqno::ZERO,
            items: 0,
            more: false
        })
    );
    let state = rig
        .engine
        .snapshot(VB)
        .expect("there")
        .state()
        .cloned()
        .expect("committed");
    assert_eq!(
        (state.state, state.snapshot_end),
        (State::Replica, Seqno(1))
    );
}

#[test]
fn half_a_snapshot_of_a_promoted_replica_is_whole_on_disk() {
    let mut rig = rig();
    let half = |seqno| Item {
        seqno: Seqno(seqno),
        ..Item::mutation(Key::new(b"a"), Bytes::from_static(b"v"))
    };
    rig.vbucket
        .set_state(State::Replica, None)
        .expect("a replica");
    let marker = lowtide_checkpoint::SnapshotMarker::new(
        lowtide_checkpoint::SnapshotType::Memory,
        Seqno::ZERO,
        Seqno(3),
    );
    rig.vbucket.receive_marker(marker).expect("the first");
    rig.vbucket.receive(half(2)).expect("inside");
    rig.flush();
    let range = |rig: &Rig| {
        let snapshot = rig.engine.snapshot(VB).expect("there");
        let state = snapshot.state().expect("committed").clone();
        (state.state, state.snapshot_start, state.snapshot_end)
    };
    assert_eq!(range(&rig), (State::Replica, Seqno::ZERO, Seqno(3)));
    rig.vbucket
        .set_state(State::Active, Some(VbUuid(7)))
        .expect("a branch");
    rig.flush();
    assert_eq!(
        range(&rig),
        (State::Active, Seqno(2), Seqno(2)),
        "nothing was written but its state"
    );
}
