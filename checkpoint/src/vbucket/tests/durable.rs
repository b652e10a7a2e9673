//! Durable writes: the order of their completions, and the figures committed with each batch (C21).

use super::*;

fn prepare(seqno: u64, key: &str) -> Item {
    Item {
        seqno: Seqno(seqno),
        ..Item::new(Operation::Prepare, Key::new(key.as_bytes()))
    }
}

/// Returns a commit or abort of the prepare @`of`.
fn end(operation: Operation, seqno: u64, of: u64, key: &str) -> Item {
    let item = Item::new(operation, Key::new(key.as_bytes()));
    Item {
        seqno: Seqno(seqno),
        prepare_seqno: Seqno(of),
        ..item
    }
}

/// Returns the committed figures: completed, high prepared, prepared.
fn durable(state: &VBucketState) -> (u64, u64, u64) {
    (
        state.high_completed_seqno.0,
        state.high_prepared_seqno.0,
        state.prepared_seqno.0,
    )
}

/// Flushes everything.
fn flush_all(vbucket: &VBucket, before: &VBucketState) -> VBucketState {
    flush_up_to(vbucket, before, ReadLimit::NONE)
}

fn flush_up_to(vbucket: &VBucket, before: &VBucketState, limit: ReadLimit) -> VBucketState {
    let flush = vbucket
        .manager()
        .begin_flush(limit)
        .expect("no other flush");
    let on_disk = before.max_visible_seqno.max(before.prepared_seqno);
    let state = vbucket.state_with(flush.batch(), before, on_disk);
    flush.commit();
    state
}

#[test]
fn active_prepares_and_completions_count_with_their_batch() {
    let (active, state) = vbucket(State::Active);
    active.write(prepare(0, "a"), 1).expect("active");
    active.write(prepare(0, "b"), 1).expect("active");
    let state = flush_all(&active, &state);
    assert_eq!(durable(&state), (0, 2, 2));
    active
        .write(end(Operation::Commit, 0, 1, "a"), 1)
        .expect("the first");
    active
        .write(end(Operation::Abort, 0, 2, "b"), 1)
        .expect("the next");
    let state = flush_all(&active, &state);
    assert_eq!(durable(&state), (2, 2, 2));
    assert_eq!(active.high_completed_seqno(), Seqno(2));
    assert_eq!(
        state.max_visible_seqno,
        Seqno(3),
        "the abort @4 is not visible"
    );
}

#[test]
fn completion_out_of_order_is_refused_without_trace() {
    let (active, _) = vbucket(State::Active);
    for key in ["a", "b", "c"] {
        active.write(prepare(0, key), 1).expect("active");
    }
    active
        .write(end(Operation::Commit, 0, 2, "b"), 1)
        .expect("prepare 1 was replaced");
    let before = (active.manager().to_string(), active.high_completed_seqno());
    // Below the completed ones, completed already, none, the item itself, and a later seqno.
    for of in [1, 2, 0, 5, 6] {
        let refused = active.write(end(Operation::Abort, 0, of, "x"), 1);
        let expected = VBucketError::CompletionOutOfOrder {
            vb: Vbid(3),
            seqno: Seqno(5),
            prepare_seqno: Seqno(of),
            high_completed: Seqno(2),
        };
        assert_eq!(refused, Err(expected), "{of}");
    }
    assert_eq!(
        (active.manager().to_string(), active.high_completed_seqno()),
        before
    );
    active
        .write(end(Operation::Abort, 0, 3, "c"), 1)
        .expect("the next");
}

#[test]
fn replica_refuses_completion_out_of_order_from_memory_only() {
    let (replica, _) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 9)).expect("valid");
    replica.receive(prepare(1, "a")).expect("inside");
    replica.receive(prepare(2, "b")).expect("inside");
    replica
        .receive(end(Operation::Commit, 3, 2, "b"))
        .expect("the highest");
    let refused = replica.receive(end(Operation::Abort, 4, 1, "a"));
    assert!(
        matches!(refused, Err(VBucketError::CompletionOutOfOrder { .. })),
        "{refused:?}"
    );
    // A completion in a snapshot from disk need not name the next prepare.
    replica.receive(at(9, "c")).expect("inside");
    replica.receive_marker(disk(10, 12, 2)).expect("valid");
    replica
        .receive(end(Operation::Abort, 11, 1, "a"))
        .expect("from disk");
    let undone = replica.receive_marker(disk(13, 14, 1));
    let (offered, high_completed) = (Seqno(1), Seqno(2));
    assert_eq!(
        undone,
        Err(VBucketError::CompletedFalls {
            vb: Vbid(3),
            offered,
            high_completed
        })
    );
}

#[test]
fn partial_memory_snapshot_counts_completions_but_no_high_prepared() {
    let (replica, state) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 5)).expect("valid");
    replica.receive(prepare(1, "a")).expect("inside");
    replica
        .receive(end(Operation::Commit, 2, 1, "a"))
        .expect("inside");
    replica.receive(prepare(3, "b")).expect("inside");
    let state = flush_all(&replica, &state);
    assert_eq!(durable(&state), (1, 0, 3));
    // The rest comes in another batch. With it the prepares of both parts count.
    replica.receive(at(5, "c")).expect("the end");
    let state = flush_all(&replica, &state);
    assert_eq!(durable(&state), (1, 3, 3));
    // A part of the next snapshot: its prepare does not count as whole.
    replica.receive_marker(marker(6, 9)).expect("valid");
    replica.receive(prepare(7, "d")).expect("inside");
    assert_eq!(durable(&flush_all(&replica, &state)), (1, 3, 7));
}

#[test]
fn whole_disk_snapshot_counts_its_marker_figures() {
    let (replica, state) = vbucket(State::Replica);
    let announced = SnapshotMarker {
        high_prepared_seqno: Some(Seqno(4)),
        purge_seqno: Some(Seqno(2)),
        ..disk(1, 6, 3)
    };
    replica.receive_marker(announced).expect("valid");
    replica.receive(prepare(4, "a")).expect("inside");
    replica
        .receive(end(Operation::Abort, 5, 3, "b"))
        .expect("inside");
    replica.receive(at(6, "c")).expect("the end");
    // The limit stops the flush inside the snapshot.
    let first = flush_up_to(
        &replica,
        &state,
        ReadLimit {
            items: 2,
            ..ReadLimit::NONE
        },
    );
    // Tombstones missing in the snapshot are missing in its part.
    assert_eq!((durable(&first), first.purge_seqno), ((0, 0, 4), Seqno(2)));
    assert_eq!(
        (first.snapshot_start, first.snapshot_end),
        (Seqno(0), Seqno(6))
    );
    let second = flush_all(&replica, &first);
    assert_eq!(
        (durable(&second), second.purge_seqno),
        ((3, 4, 4), Seqno(2))
    );
    assert_eq!(
        (second.snapshot_start, second.snapshot_end),
        (Seqno(6), Seqno(6))
    );
    assert_eq!(replica.high_completed_seqno(), Seqno(3));
}

#[test]
fn memory_snapshot_with_a_purge_seqno_is_refused() {
    let (replica, _) = vbucket(State::Replica);
    let refused = replica.receive_marker(SnapshotMarker {
        purge_seqno: Some(Seqno(1)),
        ..marker(1, 4)
    });
    assert!(
        matches!(refused, Err(VBucketError::Checkpoint { .. })),
        "{refused:?}"
    );
}

#[test]
fn checkpoint_continues_durable_figures_of_the_previous_one() {
    let (active, _) = vbucket(State::Active);
    active.write(prepare(0, "a"), 1).expect("active");
    active.write(prepare(0, "b"), 1).expect("active");
    active
        .write(end(Operation::Commit, 0, 1, "a"), 1)
        .expect("the first");
    active.manager().close();
    active.write(set("c"), 1).expect("active");
    let range = active.manager().open_range();
    assert_eq!(
        (range.high_completed_seqno, range.high_prepared_seqno),
        (Some(Seqno(1)), Some(Seqno(2)))
    );
    // On a replica, the marker's figures count for the next snapshot only if its own is complete.
    for (last, prepared) in [(4, Some(Seqno(3))), (3, Some(Seqno(2)))] {
        let (replica, _) = vbucket(State::Replica);
        let announced = SnapshotMarker {
            high_prepared_seqno: Some(Seqno(3)),
            ..disk(1, 4, 1)
        };
        replica.receive_marker(announced).expect("valid");
        replica.receive(prepare(2, "a")).expect("inside");
        replica.receive(at(last, "b")).expect("inside");
        replica.receive_marker(marker(last + 1, 9)).expect("valid");
        assert_eq!(
            replica.manager().open_range().high_prepared_seqno,
            prepared,
            "{last}"
        );
    }
}

/// Guards C22 for a copy promoted inside a snapshot: its prepares are whole with its state, before
/// any write.
#[test]
fn promoted_copy_prepares_count_with_its_state() {
    let (replica, state) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 6)).expect("valid");
    replica.receive(prepare(2, "a")).expect("inside");
    replica.receive(prepare(4, "b")).expect("inside");
    let state = flush_all(&replica, &state);
    assert_eq!(
        durable(&state),
        (0, 0, 4),
        "the prepares of a partial snapshot do not count"
    );
    replica
        .set_state(State::Active, Some(VbUuid(8)))
        .expect("a branch");
    assert_eq!(durable(&flush_all(&replica, &state)), (0, 4, 4));
}
