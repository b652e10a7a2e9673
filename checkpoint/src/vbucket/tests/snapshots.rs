//! Snapshots: which ones count as whole, on disk, in memory and for a resuming stream (C22).

use super::*;

/// Returns the ends of the snapshots that a reader gets.
fn ends(vbucket: &VBucket) -> Vec<u64> {
    let reader = vbucket
        .manager()
        .register(
            "reader",
            Seqno::ZERO,
            CursorOptions::new().with_droppable(false),
        )
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

#[test]
fn partial_snapshot_is_not_whole_when_the_next_passes_its_end() {
    let (replica, state) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 4)).expect("valid");
    replica.receive(at(1, "a")).expect("inside");
    replica.receive(at(2, "b")).expect("inside");
    // Another active announces the next snapshot.
    replica.receive_marker(marker(3, 9)).expect("valid");
    assert_eq!(
        replica.resume_point().snapshot_start,
        Seqno(0),
        "no item of 3-9 is there, and 1-4 is not whole"
    );
    assert_eq!(replica.resume_point().snapshot_end, Seqno(4));
    replica.receive(at(4, "c")).expect("inside");
    let state = flush(&replica, &state);
    assert_eq!(range(&state), (0, 9), "4 is there, but as a part of 3-9");
    replica.receive(at(9, "d")).expect("the end");
    assert_eq!(range(&flush(&replica, &state)), (9, 9));
}

/// Guards C22 for a sender that stops inside a snapshot and announces it again from its start. The
/// two parts are one snapshot, in memory and on disk, also for a copy that restarts between them.
#[test]
fn partial_snapshot_stays_partial_until_its_repeat_is_complete() {
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

/// Found by seed 1225 of the simulator. A snapshot that lacks a revision which the next one
/// replaces is whole only at the next one's end.
#[test]
fn seed_1225_partial_snapshot_ends_with_the_next() {
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

/// Found by seed 361: only the last checkpoint of a snapshot was extended.
#[test]
fn seed_361_extension_covers_all_parts_of_a_snapshot() {
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
    // This item replaces the former end.
    replica.receive(at(7, "c")).expect("inside");
    assert_eq!(ends(&replica), [9, 9]);
}

/// Found by seed 3730. An extension without items made a whole snapshot on disk partial, and
/// nothing was written after it.
#[test]
fn seed_3730_whole_snapshot_stays_whole_when_extended() {
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

/// Guards C22 for a snapshot whose rest never comes: clients of the partial copy must not miss the
/// purged tombstones.
#[test]
fn purge_seqno_counts_with_the_first_part() {
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
fn range_of_an_empty_checkpoint_completes_nothing() {
    // The vBucket state is in a checkpoint without operations, whose range is the last seqno before
    // it.
    let (replica, state) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 3)).expect("valid");
    replica.receive(at(1, "a")).expect("inside");
    replica.receive(at(2, "b")).expect("inside");
    replica.set_state(State::Pending, None).expect("allowed");
    let state = flush(&replica, &state);
    assert_eq!(range(&state), (0, 3));
    // A received state carries the seqno of the next item, which is not there.
    let item = Item::new(Operation::SetVBucketState(State::Pending), Key::new(b""));
    assert_eq!(replica.receive(item).expect("a state").seqno, Seqno(3));
    let resume = replica.resume_point();
    assert_eq!(
        (resume.seqno, resume.snapshot_start, resume.snapshot_end),
        (Seqno(2), Seqno(0), Seqno(3))
    );
    assert_eq!(range(&flush(&replica, &state)), (0, 3));
}
