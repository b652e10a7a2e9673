//! What may become what, where branches start, and the clock.

use super::*;

const STATES: [State; 4] = [State::Active, State::Replica, State::Pending, State::Dead];

#[test]
fn every_change_but_one_is_allowed_and_that_one_changes_nothing() {
    for (from, to) in STATES
        .into_iter()
        .flat_map(|from| STATES.map(|to| (from, to)))
    {
        let (vbucket, _) = vbucket(from);
        let shown = vbucket.manager().to_string();
        let uuid = Some(VbUuid(8)).filter(|_| to == State::Active);
        let changed = vbucket.set_state(to, uuid);
        if (from, to) == (State::Active, State::Pending) {
            assert_eq!(
                changed,
                Err(VBucketError::NoTransition {
                    vb: Vbid(3),
                    from,
                    to
                })
            );
            assert_eq!(
                (vbucket.state(), vbucket.manager().to_string()),
                (from, shown)
            );
            continue;
        }
        assert_eq!((changed, vbucket.state()), (Ok(()), to), "{from} to {to}");
        // What it takes from now on.
        assert_eq!(
            vbucket.write(set("a"), 1).is_ok(),
            to == State::Active,
            "{from} to {to}"
        );
        let follows = matches!(to, State::Replica | State::Pending);
        assert_eq!(
            vbucket.receive_marker(marker(1, 2)).is_ok(),
            follows,
            "{from} to {to}"
        );
        let branches = if to == State::Active { 2 } else { 1 };
        assert_eq!(
            vbucket.failover_log().entries().len(),
            branches,
            "{from} to {to}"
        );
    }
}

#[test]
fn a_change_is_something_to_flush_and_staying_is_not() {
    let (vbucket, persisted) = vbucket(State::Replica);
    vbucket
        .set_state(State::Replica, None)
        .expect("nothing happens");
    assert_eq!(vbucket.manager().stats().items, 0);
    vbucket
        .set_state(State::Active, Some(VbUuid(8)))
        .expect("a new branch");
    let flush = vbucket
        .manager()
        .begin_flush(ReadLimit::NONE)
        .expect("no other flush");
    let state = vbucket.state_with(flush.batch(), &persisted, Seqno::ZERO);
    assert_eq!(
        (state.state, state.failover_log.newest().uuid),
        (State::Active, VbUuid(8))
    );
    assert_eq!(
        (state.snapshot_start, state.snapshot_end),
        (Seqno(0), Seqno(0))
    );
}

#[test]
fn a_takeover_needs_the_whole_snapshot_a_branch_does_not() {
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
fn a_branch_needs_a_name_of_its_own_or_nothing_happens() {
    let (replica, _) = vbucket(State::Replica);
    let shown = replica.manager().to_string();
    for uuid in [0, 7] {
        let refused = replica.set_state(State::Active, Some(VbUuid(uuid)));
        assert!(
            matches!(refused, Err(VBucketError::Branch { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(
        (replica.state(), replica.manager().to_string()),
        (State::Replica, shown)
    );
    assert_eq!(replica.failover_log().entries().len(), 1);
}

#[test]
fn what_was_written_as_active_is_whole_when_it_is_promoted_again() {
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

#[test]
fn a_received_cas_moves_the_clock_of_the_next_active() {
    let (replica, _) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 1)).expect("valid");
    let ahead = Cas(99 << 16);
    replica
        .receive(Item {
            cas: ahead,
            ..at(1, "a")
        })
        .expect("inside");
    replica
        .set_state(State::Active, Some(VbUuid(8)))
        .expect("a new branch");
    assert_eq!(
        replica.write(set("b"), 1).expect("active").cas,
        Cas(ahead.0 + 1)
    );
}

#[test]
fn a_clock_without_a_next_value_refuses_writes_until_it_is_set_back() {
    let (replica, persisted) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 1)).expect("valid");
    replica
        .receive(Item {
            cas: Cas(u64::MAX),
            ..at(1, "a")
        })
        .expect("inside");
    let replica_only = replica.force_max_cas(Cas(5));
    assert_eq!(
        replica_only,
        Err(VBucketError::WrongState {
            vb: Vbid(3),
            state: State::Replica
        })
    );
    replica
        .set_state(State::Active, Some(VbUuid(8)))
        .expect("a new branch");
    assert_eq!(
        replica.write(set("b"), 1),
        Err(VBucketError::ClockExhausted { vb: Vbid(3) })
    );
    assert_eq!(replica.high_seqno(), Seqno(1));

    replica.force_max_cas(Cas(5 << 16)).expect("active");
    let written = replica.write(set("b"), 1).expect("there is a next one");
    assert_eq!(written.cas, Cas((5 << 16) + 1));
    let flush = replica
        .manager()
        .begin_flush(ReadLimit::NONE)
        .expect("no other flush");
    let state = replica.state_with(flush.batch(), &persisted, Seqno::ZERO);
    assert_eq!(
        state.max_cas, written.cas,
        "the value set by hand counts, not the higher one before it"
    );
    flush.commit();
    // And it stays: what was committed before was higher.
    let quiet = replica
        .manager()
        .begin_flush(ReadLimit::NONE)
        .expect("no other flush");
    assert_eq!(
        replica
            .state_with(quiet.batch(), &state, Seqno::ZERO)
            .max_cas,
        written.cas
    );
}

#[test]
fn half_a_snapshot_of_a_promoted_copy_ends_with_what_is_there() {
    let (replica, _) = vbucket(State::Replica);
    let marker = crate::SnapshotMarker::new(crate::SnapshotType::Memory, Seqno(1), Seqno(9));
    replica.receive_marker(marker).expect("the first");
    for seqno in [2, 5] {
        let item = Item::mutation(Key::new(format!("{seqno}").as_bytes()), bytes::Bytes::new());
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
        .register("reader", Seqno::ZERO, false)
        .expect("a name")
        .cursor;
    replica
        .set_state(State::Active, Some(VbUuid(77)))
        .expect("a branch");
    let batch = replica
        .manager()
        .read(reader, crate::ReadLimit::NONE)
        .expect("registered");
    let ends: Vec<_> = batch.ranges().iter().map(|range| range.end).collect();
    assert!(
        !ends.is_empty() && ends.iter().all(|end| *end <= Seqno(5)),
        "{ends:?}: nobody will send the rest"
    );
}

/// Guards C29: a name for a branch is used, or refused.
#[test]
fn a_branch_that_is_named_begins_or_its_name_is_refused() {
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
        "what it has is history"
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

/// What a store has of an active with three items, and how the vBucket comes back from it.
fn after(stop: AfterStop, becomes: State) -> Result<VBucket, VBucketError> {
    let log = FailoverLog::new(VbUuid(7));
    let state = VBucketState {
        snapshot_start: Seqno(3),
        snapshot_end: Seqno(3),
        ..VBucketState::new(State::Active, log)
    };
    VBucket::recover(Vbid(3), &state, Seqno(3), becomes, stop, PERSISTING)
}

/// Guards C29.
#[test]
fn what_was_active_leads_again_on_a_branch_of_its_own_unless_it_stopped_in_order() {
    let unclean = AfterStop::Unclean { uuid: VbUuid(8) };
    let active = after(unclean, State::Active).expect("a new name");
    assert_eq!(
        active.failover_log().newest(),
        FailoverEntry {
            uuid: VbUuid(8),
            seqno: Seqno(3)
        }
    );
    assert!(
        active.manager().stats().items > 0,
        "its log is to be flushed"
    );
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
            "whoever leads says which branch"
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

#[test]
fn the_last_seqno_is_followed_by_none() {
    let persisted = VBucketState::new(State::Replica, FailoverLog::new(VbUuid(7)));
    let config = CheckpointConfig {
        limits: crate::ItemLimits::NONE,
        ..PERSISTING
    };
    let replica = VBucket::new(Vbid(3), &persisted, config);
    let last = u64::MAX - 1;
    let endless = replica.receive_marker(marker(1, u64::MAX));
    assert!(
        matches!(endless, Err(VBucketError::Checkpoint { .. })),
        "no seqno is the highest number: {endless:?}"
    );
    replica.receive_marker(marker(1, last)).expect("valid");
    replica.receive(at(last, "a")).expect("inside");
    replica
        .set_state(State::Active, Some(VbUuid(8)))
        .expect("a new branch");
    let shown = replica.manager().to_string();
    let refused = replica.write(set("b"), 1);
    let source = crate::CheckpointError::SeqnosUsedUp { high: Seqno(last) };
    assert_eq!(
        refused,
        Err(VBucketError::Checkpoint {
            vb: Vbid(3),
            source
        })
    );
    assert_eq!(
        (replica.high_seqno(), replica.manager().to_string()),
        (Seqno(last), shown),
        "nothing has changed"
    );
}
