//! Impossible states, made on purpose: each is reported by its invariant, none is passed over.

use super::*;
use crate::internal::invariant::as_in_release;

const LOST: CheckpointError = CheckpointError::Internal {
    invariant: "C2",
    what: "the last segment is being filled",
};

/// A manager whose next item finds no room.
fn damaged() -> CheckpointManager {
    let manager = persisting();
    set(&manager, "a");
    manager.shared.state.lock().queue.lose_filler();
    manager
}

fn remove_persistence_cursor(manager: &CheckpointManager) {
    let mut state = manager.shared.state.lock();
    let cursor = state.persistence.expect("it persists");
    assert!(state.cursors.remove(cursor));
}

#[test]
#[should_panic(expected = "invariant C2 is violated: the last segment is being filled")]
fn write_without_room_panics() {
    set(&damaged(), "b");
}

#[test]
fn manager_that_lost_a_write_refuses_every_later_one_in_release() {
    let manager = damaged();
    as_in_release(|| {
        assert_eq!(manager.queue(mutation("b", 10)), Err(LOST));
        // The queue is sound again, but what was reported as lost stays lost.
        manager.clear(Seqno(1));
        assert_eq!(manager.queue(mutation("c", 10)), Err(LOST));
        assert_eq!(LOST.kind(), "internal");
        let state = Item::new(Operation::SetVBucketState(State::Dead), Key::new(b""));
        assert!(manager.queue(state).is_ok(), "the host can end the vBucket");
    });
}

#[test]
#[should_panic(expected = "invariant C14 is violated: the persistence cursor stays registered")]
fn flush_without_its_cursor_panics() {
    let manager = persisting();
    remove_persistence_cursor(&manager);
    let _refused = manager.begin_flush(ReadLimit::NONE);
}

#[test]
fn flush_without_its_cursor_is_an_internal_error_in_release() {
    let manager = persisting();
    remove_persistence_cursor(&manager);
    let refused = as_in_release(|| manager.begin_flush(ReadLimit::NONE).map(drop));
    assert_eq!(
        refused.expect_err("it has no cursor").to_string(),
        "internal error: invariant C14 is violated: the persistence cursor stays registered"
    );
}

#[test]
#[should_panic(expected = "invariant C14 is violated: a cursor that moves is registered")]
fn failed_flush_whose_cursor_is_gone_panics() {
    let manager = persisting();
    set(&manager, "a");
    let flush = flush(&manager);
    remove_persistence_cursor(&manager);
    drop(flush);
}

#[test]
#[cfg(feature = "faults")]
#[should_panic(expected = "invariant C2 is violated: a total has the item that is removed")]
fn index_that_outlives_its_checkpoint_panics() {
    use crate::fault::{self, Fault};

    let manager = active();
    cursor(&manager, "reader");
    set(&manager, "a");
    fault::switch(Some(Fault::IndexOutlivesItsCheckpoint));
    manager.close();
    set(&manager, "a");
}
