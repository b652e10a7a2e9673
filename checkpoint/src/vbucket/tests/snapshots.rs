//! Which snapshots count as whole: on disk, for a promotion, for a resuming stream, after a rollback.

use super::*;

fn flush(vbucket: &VBucket, before: &VBucketState) -> VBucketState {
    let flush = vbucket
        .manager()
        .begin_flush(ReadLimit::NONE)
        .expect("no other flush");
    let state = vbucket.state_with(flush.batch(), before, Seqno::ZERO);
    flush.commit();
    state
}

fn range(state: &VBucketState) -> (u64, u64) {
    (state.snapshot_start.0, state.snapshot_end.0)
}

#[test]
fn half_a_snapshot_is_not_whole_because_the_next_has_passed_its_end() {
    let (replica, state) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 4)).expect("valid");
    replica.receive(at(1, "a")).expect("inside");
    replica.receive(at(2, "b")).expect("inside");
    // Another active announces what is to follow.
    replica.receive_marker(marker(3, 9)).expect("valid");
    assert_eq!(
        replica.resume_point().snapshot_start,
        Seqno(0),
        "nothing of 3-9 is there, and 1-4 is not whole"
    );
    assert_eq!(replica.resume_point().snapshot_end, Seqno(4));
    replica.receive(at(4, "c")).expect("inside");
    let state = flush(&replica, &state);
    assert_eq!(range(&state), (0, 9), "4 is there, but as a part of 3-9");
    replica.receive(at(9, "d")).expect("the end");
    assert_eq!(range(&flush(&replica, &state)), (9, 9));
}

/// Guards C22 for a sender that cut a snapshot short and announces it again from its start: the two parts are one snapshot,
/// in memory and on disk, also for a copy that starts between them.
#[test]
fn a_replica_is_half_until_the_rest_of_what_was_cut_short_is_there() {
    for again in [disk(0, 4, 0), marker(0, 6)] {
        let (replica, state) = vbucket(State::Replica);
        replica.receive_marker(marker(0, 4)).expect("valid");
        replica.receive(at(2, "b")).expect("inside");
        let state = flush(&replica, &state);
        assert_eq!(range(&state), (0, 4));
        let started = recovered(Vbid(3), &state, 2);
        for copy in [&replica, &started] {
            copy.receive_marker(again).expect("it goes on");
            copy.receive(at(3, "c")).expect("inside");
            let ResumePoint {
                seqno,
                snapshot_start,
                snapshot_end,
                ..
            } = copy.resume_point();
            assert_eq!(
                (seqno, snapshot_start, snapshot_end),
                (Seqno(3), Seqno(0), again.end)
            );
        }
        let state = flush(&replica, &state);
        assert_eq!(range(&state), (0, again.end.0), "nothing of it is whole");
        replica.receive(at(again.end.0, "a")).expect("the end");
        let end = again.end;
        assert_eq!(replica.resume_point().snapshot_start, end);
        assert_eq!(range(&flush(&replica, &state)), (end.0, end.0));
    }
}

/// Found by seeds 861, 1616 and 1768 of drawn clusters: a copy that became active before it had flushed all of a snapshot from
/// disk said of each part that it was whole. Its streams' backfills and its next start believed it.
#[test]
fn a_part_of_a_snapshot_that_an_active_flushes_is_not_whole() {
    let (copy, state) = vbucket(State::Replica);
    copy.receive_marker(disk(0, 4, 0)).expect("valid");
    for (seqno, key) in [(1, "a"), (2, "b"), (4, "c")] {
        copy.receive(at(seqno, key)).expect("inside");
    }
    copy.set_state(State::Active, Some(VbUuid(77)))
        .expect("a branch");
    copy.write(
        Item::mutation(Key::new(b"a"), Bytes::from_static(b"new")),
        1,
    )
    .expect("active");
    let ranges: Vec<_> = flushed_one_by_one(&copy, &state, 0)
        .into_iter()
        .map(|(_, range)| range)
        .collect();
    assert_eq!(ranges, [(0, 4), (0, 4), (4, 4), (5, 5)]);
}

/// Found by seed 1111 of clusters that flush slowly: a copy that had led before it had flushed all of a snapshot, and came back as
/// a replica, took what was on disk for whole, and its next branch began there.
#[test]
fn a_copy_that_led_inside_a_snapshot_comes_back_inside_it() {
    let state = VBucketState {
        snapshot_end: Seqno(9),
        ..VBucketState::new(State::Active, FailoverLog::new(VbUuid(7)))
    };
    for becomes in [State::Replica, State::Dead, State::Active] {
        let after = AfterStop::Unclean { uuid: VbUuid(77) };
        let config = CheckpointConfig {
            persistence: true,
            ..CheckpointConfig::default()
        };
        let copy =
            VBucket::recover(Vbid(3), &state, Seqno(7), becomes, after, config).expect("allowed");
        if becomes != State::Active {
            let ResumePoint {
                snapshot_start,
                snapshot_end,
                ..
            } = copy.resume_point();
            assert_eq!(
                (snapshot_start, snapshot_end),
                (Seqno(0), Seqno(9)),
                "{becomes:?}"
            );
            assert_eq!(
                flush(&copy, &state).state,
                becomes,
                "the store learns of it"
            );
            copy.set_state(State::Active, Some(VbUuid(77)))
                .expect("a branch");
        }
        assert_eq!(
            copy.failover_log().newest(),
            FailoverEntry {
                uuid: VbUuid(77),
                seqno: Seqno(0)
            }
        );
    }
}

/// A copy that has 5 of a snapshot 0 to 9 from disk on its own disk.
fn inside_a_snapshot() -> (VBucket, VBucketState) {
    let state = VBucketState {
        snapshot_end: Seqno(9),
        snapshot_type: SnapshotType::Disk,
        ..VBucketState::new(State::Replica, FailoverLog::new(VbUuid(7)))
    };
    let config = CheckpointConfig {
        persistence: true,
        ..CheckpointConfig::default()
    };
    let copy = VBucket::recover(
        Vbid(3),
        &state,
        Seqno(5),
        State::Replica,
        AfterStop::Orderly,
        config,
    );
    (copy.expect("as it was"), state)
}

/// Found by seed 1047 of clusters that flush slowly: a change of state that was queued inside a snapshot was flushed by itself, after
/// the promotion and before the rest of the snapshot, and what was on disk then was taken for whole.
#[test]
fn a_state_queued_before_the_promotion_makes_nothing_whole_and_the_promotion_does() {
    let (copy, state) = inside_a_snapshot();
    copy.queue_current_state().expect("room");
    copy.receive_marker(disk(0, 9, 0)).expect("it goes on");
    copy.receive(at(7, "a")).expect("inside");
    copy.set_state(State::Active, Some(VbUuid(77)))
        .expect("a branch");
    assert_eq!(
        flushed_one_by_one(&copy, &state, 5),
        [(5, (0, 9)), (7, (7, 7)), (7, (7, 7))]
    );
}

/// The same where it had led before: the promotion that is flushed by itself is not the one that made it active.
#[test]
fn an_earlier_promotion_makes_nothing_whole() {
    let (copy, state) = inside_a_snapshot();
    copy.set_state(State::Active, Some(VbUuid(77)))
        .expect("a branch");
    copy.set_state(State::Replica, None).expect("allowed");
    copy.receive_marker(disk(0, 9, 0)).expect("valid");
    copy.receive(at(7, "a")).expect("inside");
    copy.set_state(State::Active, Some(VbUuid(78)))
        .expect("a branch");
    let flushed = flushed_one_by_one(&copy, &state, 5);
    assert_eq!(
        flushed,
        [(5, (0, 9)), (5, (0, 9)), (7, (7, 7)), (7, (7, 7))]
    );
}

/// What is on disk after each batch of one item, and the range that is committed with it.
fn flushed_one_by_one(
    vbucket: &VBucket,
    before: &VBucketState,
    high: u64,
) -> Vec<(u64, (u64, u64))> {
    let (mut state, mut high, mut committed) = (before.clone(), Seqno(high), Vec::new());
    loop {
        let flush = vbucket.manager().begin_flush(ReadLimit {
            items: 1,
            ..ReadLimit::NONE
        });
        let flush = flush.expect("no other");
        if flush.batch().is_empty() {
            return committed;
        }
        state = vbucket.state_with(flush.batch(), &state, high);
        let operations = flush
            .batch()
            .items()
            .filter(|item| item.operation.namespace().is_some());
        high = operations.last().map_or(high, |item| item.seqno);
        committed.push((high.0, range(&state)));
        flush.commit();
    }
}

/// Where the snapshots of what a reader gets end.
fn ends(vbucket: &VBucket) -> Vec<u64> {
    let reader = vbucket
        .manager()
        .register("reader", Seqno::ZERO, false)
        .expect("a name")
        .cursor;
    let mut ends = Vec::new();
    loop {
        let batch = vbucket
            .manager()
            .read(reader, ReadLimit::NONE)
            .expect("registered");
        if batch.is_empty() {
            return ends;
        }
        ends.extend(batch.ranges().iter().map(|range| range.end.0));
    }
}

/// Found by seed 1225 of the simulator: what lacks a revision that the next snapshot replaces is whole nowhere before that
/// snapshot's end.
#[test]
fn half_a_snapshot_ends_where_the_next_does() {
    let (replica, _) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 4)).expect("valid");
    replica.receive(at(2, "b")).expect("inside");
    let from_disk = SnapshotMarker {
        purge_seqno: Some(Seqno(1)),
        ..disk(0, 6, 0)
    };
    replica.receive_marker(from_disk).expect("valid");
    replica.receive(at(6, "c")).expect("the end");
    assert_eq!(ends(&replica), [6, 6]);
    replica
        .set_state(State::Active, Some(VbUuid(77)))
        .expect("a branch");
    assert_eq!(ends(&replica), [6, 6, 6], "the last has the state alone");
}

/// Found by seed 361: of a snapshot in several checkpoints only the last was extended.
#[test]
fn all_parts_of_a_snapshot_are_extended_with_its_last() {
    let (replica, _) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 4)).expect("valid");
    replica.receive(at(2, "b")).expect("inside");
    replica.manager().close();
    replica.receive(at(4, "c")).expect("the end");
    replica
        .receive_marker(SnapshotMarker {
            extend: true,
            ..marker(5, 9)
        })
        .expect("from where it ended");
    // This one replaces what was the end.
    replica.receive(at(7, "c")).expect("inside");
    assert_eq!(ends(&replica), [9, 9]);
}

/// Found by seed 3730: an extension of which nothing came made a whole snapshot on disk half, and nothing was written after it.
#[test]
fn what_was_whole_before_it_was_extended_is_whole_on_disk() {
    let (replica, state) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 2)).expect("valid");
    replica.receive(at(2, "b")).expect("the end");
    replica
        .receive_marker(SnapshotMarker {
            extend: true,
            ..marker(3, 4)
        })
        .expect("from where it ended");
    let state = flush(&replica, &state);
    assert_eq!(range(&state), (2, 2));
    replica.receive(at(3, "b")).expect("inside");
    let state = flush(&replica, &state);
    assert_eq!(range(&state), (2, 4));
    replica.receive(at(4, "c")).expect("the end");
    assert_eq!(range(&flush(&replica, &state)), (4, 4));
}

/// Guards C22 where the rest never comes: a client of the copy that has a part must not miss what was purged from it.
#[test]
fn what_was_purged_counts_with_the_first_part() {
    let (replica, state) = vbucket(State::Replica);
    let announced = SnapshotMarker {
        purge_seqno: Some(Seqno(3)),
        ..disk(1, 6, 0)
    };
    replica.receive_marker(announced).expect("valid");
    replica.receive(at(2, "a")).expect("inside");
    assert_eq!(replica.purge_seqno(), Seqno(2));
    replica.receive(at(5, "b")).expect("inside");
    replica
        .set_state(State::Active, Some(VbUuid(77)))
        .expect("a branch");
    assert_eq!(
        (replica.purge_seqno(), flush(&replica, &state).purge_seqno),
        (Seqno(3), Seqno(3))
    );
}

#[test]
fn an_empty_checkpoints_range_completes_nothing() {
    // The vBucket state stands in a checkpoint without operations, whose range is the last seqno before it.
    let (replica, state) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 3)).expect("valid");
    replica.receive(at(1, "a")).expect("inside");
    replica.receive(at(2, "b")).expect("inside");
    replica.set_state(State::Pending, None).expect("allowed");
    let state = flush(&replica, &state);
    assert_eq!(range(&state), (0, 3));
    // A state that is received carries the seqno of the item to come; that item is not there.
    let item = Item::new(Operation::SetVBucketState(State::Pending), Key::new(b""));
    assert_eq!(replica.receive(item).expect("a state").seqno, Seqno(3));
    let resume = replica.resume_point();
    assert_eq!(
        (resume.seqno, resume.snapshot_start, resume.snapshot_end),
        (Seqno(2), Seqno(0), Seqno(3))
    );
    assert_eq!(range(&flush(&replica, &state)), (0, 3));
}

#[test]
fn a_promotion_after_a_rollback_branches_where_the_rollback_went() {
    let (replica, persisted) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 6)).expect("valid");
    for seqno in 1..=6 {
        replica.receive(at(seqno, "a")).expect("inside");
    }
    let disk = VBucketState {
        snapshot_start: Seqno(3),
        snapshot_end: Seqno(3),
        ..persisted
    };
    replica.rollback(Seqno(3), &disk).expect("a replica");
    replica
        .set_state(State::Active, Some(VbUuid(9)))
        .expect("a new branch");
    assert_eq!(
        replica.failover_log().newest(),
        FailoverEntry {
            uuid: VbUuid(9),
            seqno: Seqno(3)
        }
    );
}

#[test]
fn a_rollback_into_a_snapshot_is_inside_it_again() {
    let (replica, persisted) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 6)).expect("valid");
    for seqno in 1..=6 {
        replica.receive(at(seqno, "a")).expect("inside");
    }
    // The store went back to a batch that had only a part of 3-6.
    let disk = VBucketState {
        snapshot_start: Seqno(2),
        snapshot_end: Seqno(6),
        ..persisted
    };
    replica.rollback(Seqno(4), &disk).expect("a replica");
    let resume = replica.resume_point();
    assert_eq!(
        (resume.seqno, resume.snapshot_start, resume.snapshot_end),
        (Seqno(4), Seqno(2), Seqno(6))
    );
    replica.receive(at(5, "b")).expect("the snapshot goes on");
    replica
        .set_state(State::Active, Some(VbUuid(9)))
        .expect("a new branch");
    assert_eq!(
        replica.failover_log().newest().seqno,
        Seqno(2),
        "3 to 5 are half a snapshot"
    );
}

#[test]
fn a_rollback_goes_back_only_and_on_followers_only() {
    let (replica, persisted) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 2)).expect("valid");
    replica.receive(at(2, "a")).expect("inside");
    let ahead = VBucketError::RollbackAhead {
        vb: Vbid(3),
        to: Seqno(3),
        high: Seqno(2),
    };
    assert_eq!(replica.rollback(Seqno(3), &persisted), Err(ahead));
    assert_eq!(
        (replica.high_seqno(), replica.manager().stats().items),
        (Seqno(2), 1)
    );
    for state in [State::Active, State::Dead] {
        let (other, persisted) = vbucket(state);
        let refused = other.rollback(Seqno(0), &persisted);
        assert_eq!(
            refused,
            Err(VBucketError::WrongState { vb: Vbid(3), state })
        );
    }
}

#[test]
fn a_deletions_revision_counts_unless_a_higher_one_took_its_place() {
    let (active, state) = vbucket(State::Active);
    let deletion = |key: &str, rev_seqno| Item {
        rev_seqno,
        ..Item::deletion(Key::new(key.as_bytes()))
    };
    active.write(deletion("a", 17), 1).expect("active");
    let state = flush(&active, &state);
    assert_eq!(state.max_deleted_rev_seqno, 17);
    active.write(deletion("b", 20), 1).expect("active");
    active
        .write(
            Item {
                rev_seqno: 21,
                ..set("b")
            },
            1,
        )
        .expect("active");
    let state = flush(&active, &state);
    assert_eq!(
        state.max_deleted_rev_seqno, 17,
        "b lives: its next deletion has at least 22"
    );
    active.write(deletion("b", 22), 1).expect("active");
    assert_eq!(flush(&active, &state).max_deleted_rev_seqno, 22);
}
