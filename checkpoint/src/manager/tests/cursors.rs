//! Cursors: stale handles, replaced names, the persistence cursor.

use super::*;
use crate::manager::config::PERSISTENCE;

#[test]
fn stale_handle_touches_no_other_cursor() {
    let manager = active();
    set(&manager, "a");
    let old = cursor(&manager, "dcp");
    manager.unregister(old).expect("it is registered");
    // The new cursor gets the same slot.
    let new = cursor(&manager, "indexer");
    let unknown = Err(CheckpointError::UnknownCursor);
    assert_eq!(
        manager.read(old, ReadLimit::NONE).map(|batch| held(&batch)),
        unknown
    );
    assert_eq!(manager.remaining(old), Err(CheckpointError::UnknownCursor));
    assert_eq!(manager.unregister(old), Err(CheckpointError::UnknownCursor));
    assert_eq!(held(&read(&manager, new)), ["a@1"]);
}

#[test]
fn register_with_a_used_name_makes_the_old_handle_stale() {
    let manager = active();
    set(&manager, "a");
    let old = cursor(&manager, "dcp");
    read(&manager, old);
    let new = cursor(&manager, "dcp");
    assert_ne!(old, new);
    assert_eq!(manager.cursor("dcp"), Some(new));
    assert_eq!(manager.remaining(old), Err(CheckpointError::UnknownCursor));
    assert_eq!(manager.remaining(new), Ok(1));
    assert_eq!(manager.stats().cursors, 1);
    // A refused registration replaces nothing.
    manager
        .register("dcp", Seqno(2), CursorOptions::new())
        .expect_err("2 was not queued yet");
    assert_eq!(manager.cursor("dcp"), Some(new));
}

#[test]
fn persistence_cursor_is_moved_by_flushes_only() {
    let manager = persisting();
    set(&manager, "a");
    let persistence = manager
        .cursor(PERSISTENCE)
        .expect("the config asked for it");
    for refused in [
        manager.read(persistence, ReadLimit::NONE).map(drop),
        manager.unregister(persistence),
        manager
            .register(PERSISTENCE, Seqno::ZERO, CursorOptions::new())
            .map(drop),
    ] {
        assert!(
            matches!(refused, Err(CheckpointError::InvalidArgument(_))),
            "{refused:?}"
        );
    }
    assert_eq!(manager.remaining(persistence), Ok(1));
    assert!(matches!(
        active().begin_flush(ReadLimit::NONE),
        Err(CheckpointError::NoPersistenceCursor)
    ));
}

#[test]
fn clone_is_the_same_manager() {
    let manager = active();
    let other = manager.clone();
    set(&other, "a");
    assert_eq!(manager.high_seqno(), Seqno(1));
    assert_eq!(held(&read(&other, cursor(&manager, "dcp"))), ["a@1"]);
}
