//! The state committed with a batch: its range, figures and revisions.

use super::*;

#[test]
fn committed_state_has_the_range_of_a_partial_snapshot() {
    let (replica, persisted) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 3)).expect("valid");
    replica.receive(at(1, "a")).expect("inside");
    let half = replica
        .manager()
        .begin_flush(ReadLimit::NONE)
        .expect("no other flush");
    let state = replica.state_with(half.batch(), &persisted, Seqno::ZERO);
    assert_eq!(
        (state.snapshot_start, state.snapshot_end),
        (Seqno(0), Seqno(3))
    );
    half.commit();

    replica.receive(at(3, "b")).expect("inside");
    replica.receive_marker(marker(4, 9)).expect("valid");
    replica.receive(at(5, "c")).expect("inside");
    let more = replica
        .manager()
        .begin_flush(ReadLimit::NONE)
        .expect("no other flush");
    let state = replica.state_with(more.batch(), &state, Seqno::ZERO);
    assert_eq!(
        (state.snapshot_start, state.snapshot_end),
        (Seqno(3), Seqno(9))
    );
    assert_eq!(state.max_cas, Cas(5 << 20));
}

#[test]
fn committed_state_of_an_active_ends_a_snapshot() {
    let (active, persisted) = vbucket(State::Active);
    active.write(set("a"), 1).expect("active");
    active.write(set("b"), 2).expect("active");
    let flush = active
        .manager()
        .begin_flush(ReadLimit::NONE)
        .expect("no other flush");
    let state = active.state_with(flush.batch(), &persisted, Seqno::ZERO);
    assert_eq!(
        (state.snapshot_start, state.snapshot_end),
        (Seqno(2), Seqno(2))
    );
    assert_eq!(state.max_visible_seqno, Seqno(2));
}

#[test]
fn deleted_revision_counts_unless_replaced() {
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
        "b is not deleted: its next deletion has at least 22"
    );
    active.write(deletion("b", 22), 1).expect("active");
    assert_eq!(flush(&active, &state).max_deleted_rev_seqno, 22);
}
