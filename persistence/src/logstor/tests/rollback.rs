//! Rollbacks across branches: the snapshots that a vBucket can go back to after it went back before.

use lowtide_checkpoint::Seqno;

use super::support::{A, SMALL, audit, commit, contents, contents_of, open_with, set};
use crate::contract::{Engine, RolledBack, Snapshot};
use crate::disk::MemoryDisk;
use crate::logstor::Logstor;

const fn back_to(high: u64) -> RolledBack {
    RolledBack::Done { high: Seqno(high) }
}

fn begun() -> Logstor {
    let (engine, _) = open_with(&MemoryDisk::new(), SMALL).expect("opens");
    engine.create(A).expect("created");
    engine
}

/// Commits one item, and pins the view of it.
fn pinned_at(engine: &Logstor, seqno: u64) -> Box<dyn Snapshot> {
    commit(engine, A, &[set(seqno, "a", b"value")]).expect("committed");
    engine.snapshot(A).expect("there")
}

/// No snapshot of the second branch is left, so its index is gone before the third goes back.
#[test]
fn snapshot_of_the_first_branch_is_found_from_the_third() {
    let engine = begun();
    let first = pinned_at(&engine, 5);
    let shown = contents_of(&*first);
    drop(pinned_at(&engine, 6));
    assert_eq!(engine.rollback(A, Seqno(5)).expect("back"), back_to(5));
    let second = pinned_at(&engine, 6);
    drop(pinned_at(&engine, 7));
    assert_eq!(engine.rollback(A, Seqno(6)).expect("back"), back_to(6));
    drop(second);
    drop(pinned_at(&engine, 7));
    let done = engine.rollback(A, Seqno(5)).expect("back");
    assert_eq!(done, back_to(5));
    assert_eq!(contents(&engine, A), shown);
    audit(&engine, false);
}

#[test]
fn state_that_an_earlier_rollback_undid_stays_undone() {
    let engine = begun();
    let _empty = engine.snapshot(A).expect("there");
    let undone = pinned_at(&engine, 1);
    assert_eq!(engine.rollback(A, Seqno(0)).expect("back"), back_to(0));
    drop(pinned_at(&engine, 2));
    let done = engine.rollback(A, Seqno(1)).expect("back");
    assert_eq!(done, back_to(0), "1 is of the branch that was left");
    assert_eq!(contents_of(&*undone).len(), 1);
    audit(&engine, false);
}

#[test]
fn refused_rollback_names_the_lowest_state_that_one_finds() {
    let engine = begun();
    let first = pinned_at(&engine, 5);
    drop(pinned_at(&engine, 9));
    assert_eq!(engine.rollback(A, Seqno(5)).expect("back"), back_to(5));
    drop(pinned_at(&engine, 9));
    let lowest = Seqno(5);
    let refused = engine.rollback(A, Seqno(4)).expect("answered");
    assert_eq!(refused, RolledBack::NeedsReset { lowest });
    drop(first);
}
