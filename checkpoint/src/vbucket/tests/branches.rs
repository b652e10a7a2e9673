//! Branches: where they start, which uuids they take, and when one is required (C23, C29).

use super::*;

/// Recovers a vBucket from the store of an active with three items.
fn after(stop: AfterStop, becomes: State) -> Result<VBucket, VBucketError> {
    let log = FailoverLog::new(VbUuid(7));
    let state = VBucketState {
        snapshot_start: Seqno(3),
        snapshot_end: Seqno(3),
        ..VBucketState::new(State::Active, log)
    };
    VBucket::recover(Vbid(3), &state, Seqno(3), becomes, stop, PERSISTING)
}

#[test]
fn promoted_replica_branches_at_its_last_complete_snapshot() {
    let (replica, _) = vbucket(State::Replica);
    for (start, end) in [(1, 2), (3, 6)] {
        replica.receive_marker(marker(start, end)).expect("valid");
        replica.receive(at(start, "a")).expect("inside");
        replica.receive(at(start + 1, "b")).expect("inside");
    }
    replica
        .set_state(State::Active, Some(VbUuid(8)))
        .expect("a new branch");
    let newest = FailoverEntry {
        uuid: VbUuid(8),
        seqno: Seqno(2),
    };
    assert_eq!(
        replica.failover_log().newest(),
        newest,
        "the snapshot 3-6 has only 3 and 4"
    );
    assert_eq!(
        replica.write(set("c"), 1).expect("active").queued.seqno,
        Seqno(5)
    );
}

#[test]
fn promoted_copy_truncates_its_partial_snapshot() {
    let (replica, _) = vbucket(State::Replica);
    let marker = SnapshotMarker::new(SnapshotType::Memory, Seqno(1), Seqno(9));
    replica.receive_marker(marker).expect("the first");
    for seqno in [2, 5] {
        let item = Item::mutation(Key::new(format!("{seqno}").as_bytes()), Bytes::new());
        replica
            .receive(Item {
                seqno: Seqno(seqno),
                ..item
            })
            .expect("inside");
        replica.manager().close();
    }
    let reader = replica
        .manager()
        .register(
            "reader",
            Seqno::ZERO,
            CursorOptions::new().with_droppable(false),
        )
        .expect("a name")
        .cursor;
    replica
        .set_state(State::Active, Some(VbUuid(77)))
        .expect("a branch");
    let batch = replica
        .manager()
        .read(reader, ReadLimit::NONE)
        .expect("registered");
    let ends: Vec<_> = batch.ranges().iter().map(|range| range.end).collect();
    assert!(
        !ends.is_empty() && ends.iter().all(|end| *end <= Seqno(5)),
        "{ends:?}: the rest will never come"
    );
}

#[test]
fn takeover_needs_a_complete_snapshot() {
    let (replica, _) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 4)).expect("valid");
    replica.receive(at(2, "a")).expect("inside");
    let half = VBucketError::HalfSnapshot {
        vb: Vbid(3),
        high: Seqno(2),
        snapshot_end: Seqno(4),
    };
    assert_eq!(replica.set_state(State::Active, None), Err(half));
    assert_eq!(replica.state(), State::Replica);
    replica.receive(at(4, "b")).expect("the snapshot goes on");
    replica.set_state(State::Pending, None).expect("allowed");
    replica.set_state(State::Active, None).expect("whole");
    assert_eq!(replica.failover_log().entries().len(), 1, "the same branch");
}

#[test]
fn branch_with_an_invalid_uuid_changes_nothing() {
    let (replica, _) = vbucket(State::Replica);
    let before = replica.manager().to_string();
    for uuid in [0, 7] {
        let refused = replica.set_state(State::Active, Some(VbUuid(uuid)));
        assert!(
            matches!(refused, Err(VBucketError::Branch { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(
        (replica.state(), replica.manager().to_string()),
        (State::Replica, before)
    );
    assert_eq!(replica.failover_log().entries().len(), 1);
}

#[test]
fn former_active_branches_at_its_high_seqno() {
    let (vbucket, _) = vbucket(State::Active);
    for key in ["a", "b", "c"] {
        vbucket.write(set(key), 1).expect("active");
    }
    vbucket.set_state(State::Replica, None).expect("allowed");
    assert_eq!(vbucket.resume_point().snapshot_start, Seqno(3));
    vbucket
        .set_state(State::Active, Some(VbUuid(8)))
        .expect("a new branch");
    assert_eq!(
        vbucket.failover_log().newest(),
        FailoverEntry {
            uuid: VbUuid(8),
            seqno: Seqno(3)
        }
    );
}

/// Guards C29: a uuid names a branch or is refused.
#[test]
fn branch_uuid_is_used_or_refused() {
    let (active, persisted) = vbucket(State::Active);
    active.write(set("a"), 1).expect("active");
    active
        .set_state(State::Active, Some(VbUuid(8)))
        .expect("a new branch");
    let newest = FailoverEntry {
        uuid: VbUuid(8),
        seqno: Seqno(1),
    };
    assert_eq!(
        active.failover_log().newest(),
        newest,
        "everything it has is history"
    );
    let flush = active
        .manager()
        .begin_flush(ReadLimit::NONE)
        .expect("no other flush");
    assert_eq!(
        active
            .state_with(flush.batch(), &persisted, Seqno::ZERO)
            .failover_log
            .newest(),
        newest
    );
    drop(flush);
    active
        .set_state(State::Active, Some(VbUuid(8)))
        .expect("it is on that branch");
    assert_eq!(active.failover_log().entries().len(), 2);
    let known = active.set_state(State::Active, Some(VbUuid(7)));
    assert!(
        matches!(known, Err(VBucketError::Branch { .. })),
        "{known:?}"
    );
    for state in [State::Replica, State::Dead] {
        let refused = active.set_state(state, Some(VbUuid(9)));
        assert_eq!(
            refused,
            Err(VBucketError::NoBranch {
                vb: Vbid(3),
                state,
                uuid: VbUuid(9)
            })
        );
    }
    assert_eq!(active.state(), State::Active);
}

/// Guards C29.
#[test]
fn unclean_active_leads_again_only_on_a_new_branch() {
    let unclean = AfterStop::Unclean { uuid: VbUuid(8) };
    let active = after(unclean, State::Active).expect("a new name");
    assert_eq!(
        active.failover_log().newest(),
        FailoverEntry {
            uuid: VbUuid(8),
            seqno: Seqno(3)
        }
    );
    assert!(active.manager().stats().items > 0, "its new log is queued");
    assert_eq!(
        active.write(set("a"), 1).expect("active").queued.seqno,
        Seqno(4)
    );

    let active = after(AfterStop::Orderly, State::Active).expect("it goes on");
    assert_eq!(
        (
            active.failover_log().entries().len(),
            active.manager().stats().items
        ),
        (1, 0)
    );

    let known = after(AfterStop::Unclean { uuid: VbUuid(7) }, State::Active).map(drop);
    assert!(
        matches!(known, Err(VBucketError::Branch { .. })),
        "{known:?}"
    );

    for becomes in [State::Replica, State::Dead] {
        let copy = after(unclean, becomes).expect("it follows");
        assert_eq!(
            copy.failover_log().entries().len(),
            1,
            "the active decides the branch"
        );
        let refused = copy.set_state(State::Active, None);
        assert_eq!(refused, Err(VBucketError::NeedsBranch { vb: Vbid(3) }));
        copy.set_failover_log(FailoverLog::new(VbUuid(7)));
        copy.set_state(State::Active, None)
            .expect("it has followed another");
    }
    let copy = after(unclean, State::Dead).expect("it follows");
    copy.set_state(State::Active, Some(VbUuid(9)))
        .expect("a new branch");
    copy.set_state(State::Dead, None).expect("allowed");
    copy.set_state(State::Active, None)
        .expect("it has its branch");
}
