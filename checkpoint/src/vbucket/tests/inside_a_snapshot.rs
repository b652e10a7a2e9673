//! Copies that become active inside a snapshot: no part of it counts as whole (C22, C29).

use super::*;

/// Flushes batches of one item. Returns the seqno on disk after each, and the range committed with
/// it.
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
        let flush = flush.expect("no other flush");
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

/// Returns a copy whose disk has up to 5 of a disk snapshot from 0 to 9.
fn inside_a_snapshot() -> (VBucket, VBucketState) {
    let state = VBucketState {
        snapshot_end: Seqno(9),
        snapshot_type: SnapshotType::Disk,
        ..VBucketState::new(State::Replica, FailoverLog::new(VbUuid(7)))
    };
    let config = CheckpointConfig {
        persistence: true,
        ..CheckpointConfig::in_memory()
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

/// Found by seeds 861, 1616 and 1768 of drawn clusters. A copy became active before it had flushed
/// all of a disk snapshot, and committed each part as whole. Its streams' backfills and its next
/// start relied on that.
#[test]
fn seed_861_active_flushes_part_of_a_snapshot() {
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

/// Found by seed 1111 of clusters that flush slowly. A copy had led before it had flushed all of a
/// snapshot. Restarted as a replica, it took its disk for whole, and its next branch began there.
#[test]
fn seed_1111_unclean_active_inside_a_snapshot() {
    let state = VBucketState {
        snapshot_end: Seqno(9),
        ..VBucketState::new(State::Active, FailoverLog::new(VbUuid(7)))
    };
    for becomes in [State::Replica, State::Dead, State::Active] {
        let after = AfterStop::Unclean { uuid: VbUuid(77) };
        let config = CheckpointConfig {
            persistence: true,
            ..CheckpointConfig::in_memory()
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

/// Found by seed 1047 of clusters that flush slowly. A change of state was queued inside a snapshot
/// and flushed alone, after the promotion and before the rest of the snapshot. The disk was then
/// taken for whole.
#[test]
fn seed_1047_state_queued_before_the_promotion() {
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

/// Like [`seed_1047_state_queued_before_the_promotion`], for a copy that had led before: the
/// promotion that is flushed alone is the earlier one.
#[test]
fn earlier_promotion_makes_nothing_whole() {
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

/// Found by the model of followers (`persistence/tests/follower`). The part that a promoted copy had
/// was announced as if no durable write had ended yet, and every replica that knew better refused it.
#[test]
fn part_of_a_snapshot_at_a_promotion_keeps_the_completed_seqno_from_disk() {
    let persisted = VBucketState {
        high_completed_seqno: Seqno(5),
        snapshot_start: Seqno(9),
        snapshot_end: Seqno(9),
        ..VBucketState::new(State::Replica, FailoverLog::new(VbUuid(7)))
    };
    let copy = recovered(Vbid(3), &persisted, 9);
    copy.receive_marker(disk(10, 16, 12)).expect("a replica");
    copy.receive(at(12, "a")).expect("it is in the snapshot");
    let cursor = copy
        .manager()
        .register("replica", Seqno(9), CursorOptions::new())
        .expect("it is queued");
    copy.set_state(State::Active, Some(VbUuid(8)))
        .expect("a new name");
    let batch = copy.manager().read(cursor.cursor, ReadLimit::NONE);
    let batch = batch.expect("registered");
    let part = batch.ranges().first().expect("an item");
    assert_eq!(
        (part.end, part.high_completed_seqno),
        (Seqno(12), Some(Seqno(5)))
    );
}
