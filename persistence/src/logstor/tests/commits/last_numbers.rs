//! Numbers at their last value: each is refused by name, and nothing is lost.

use crate::contract::{CommitBatch, CompactionRequest, Engine, EngineError};
use crate::disk::{Disk, MemoryDisk};
use crate::logstor::Logstor;
use crate::logstor::tests::support::{
    A, B, IMAGES, apply, commit, commit_all, contents, dir, noise, open, open_with, run, set, state,
};

pub(super) fn store() -> (MemoryDisk, Logstor) {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    for vb in [A, B] {
        engine.create(vb).expect("created");
    }
    for n in 1..=8 {
        let batch = vec![set(n, &format!("key-{}", n % 3), &noise(n, 20_000))];
        assert!(
            commit_all(&engine, &[(A, batch.clone()), (B, batch)])
                .iter()
                .all(Result::is_ok)
        );
    }
    (disk, engine)
}

/// Commits until a commit is refused, and returns its error. Asserts that the acknowledged commits
/// are there.
fn commit_until_refused(engine: &Logstor) -> EngineError {
    let mut expected = contents(engine, A);
    for _ in 0..200 {
        let high = engine.info(A).expect("there").high.0;
        let batch = [set(high + 1, "more", &noise(high, 20_000))];
        match commit(engine, A, &batch) {
            Ok(_) => expected = apply(&expected, &batch),
            Err(error) => {
                assert_eq!(contents(engine, A), expected);
                return error;
            }
        }
    }
    panic!("nothing is refused")
}

/// L49.
#[test]
fn store_without_a_generation_or_an_append_left_refuses_writes_and_serves_reads() {
    let spend: [fn(&Logstor); 2] = [
        |engine| engine.store.log.segments.leave_generations(3),
        |engine| engine.store.log.leave_numbers(4),
    ];
    for spend in spend {
        let (disk, engine) = store();
        spend(&engine);
        assert_eq!(commit_until_refused(&engine).kind(), "numbers-used-up");
        let compacted = run(engine
            .compact(B, CompactionRequest::default())
            .expect("begun"));
        assert_eq!(
            compacted.expect_err("nothing can be freed").kind(),
            "numbers-used-up"
        );
        let before = [A, B].map(|vb| contents(&engine, vb));
        drop(engine);
        // An open writes no frame, and takes no number.
        let (engine, _) = open(&disk).expect("opens");
        assert_eq!([A, B].map(|vb| contents(&engine, vb)), before);
        assert_eq!(commit_until_refused(&engine).kind(), "numbers-used-up");
    }
}

/// L49.
#[test]
fn image_without_a_number_left_is_not_made_and_the_store_goes_on() {
    for left in [0, 1] {
        let disk = MemoryDisk::new();
        let (engine, _) = open_with(&disk, IMAGES).expect("opens");
        engine.create(A).expect("created");
        commit(&engine, A, &[set(1, "a", b"1")]).expect("committed");
        run(engine.maintenance.image_job().expect("due")).expect("made");
        drop(engine);
        let last = dir().join(format!("index-{}", u64::MAX - left));
        disk.rename(&dir().join("index-00000001"), &last)
            .expect("renamed");
        let (engine, _) = open_with(&disk, IMAGES).expect("opens");
        for n in 0..=left {
            commit(&engine, A, &[set(2 + n, "b", b"2")]).expect("committed");
            let made = run(engine.maintenance.image_job().expect("due"));
            assert_eq!(
                made.err().map(|error| error.kind()),
                (n == left).then_some("numbers-used-up")
            );
        }
        commit(&engine, A, &[set(3 + left, "c", b"3")]).expect("committed");
        assert_eq!(contents(&engine, A).len(), 3);
        assert!(
            disk.list(&dir())
                .expect("there")
                .iter()
                .any(|name| name.ends_with(&u64::MAX.to_string()))
        );
    }
}

/// L49.
#[test]
fn vbucket_without_a_revision_left_takes_nothing_more_and_others_go_on() {
    let (disk, engine) = store();
    engine
        .store
        .registry
        .loaded(A)
        .expect("there")
        .leave_revisions(1);
    commit(&engine, A, &[set(9, "last", b"9")]).expect("there is one left");
    let before = contents(&engine, A);
    let refused = |engine: &Logstor| {
        let results = commit_all(engine, &[(A, vec![set(10, "more", b"")])]);
        assert_eq!(
            results[0].as_ref().expect_err("none is left").kind(),
            "numbers-used-up"
        );
        assert_eq!(contents(engine, A), before);
    };
    refused(&engine);
    commit(&engine, B, &[set(9, "other", b"9")]).expect("it has its own");
    drop(engine);
    let (engine, _) = open(&disk).expect("opens");
    refused(&engine);
}

/// L49.
#[test]
fn export_without_a_number_left_for_its_next_piece_ends_there() {
    let (_, engine) = store();
    let mut export = engine.export(A).expect("there");
    export.leave_numbers(1);
    assert!(export.next_piece().expect("the last but one").is_some());
    for _ in 0..2 {
        assert_eq!(
            export.next_piece().expect_err("none is left").kind(),
            "numbers-used-up"
        );
    }
}

/// L49.
#[test]
fn last_seqno_is_refused_and_the_one_before_is_accepted() {
    let (_, engine) = store();
    let before = contents(&engine, A);
    let state = state(1);
    let commit = |seqno| {
        let item = set(seqno, "a", b"");
        engine
            .commit(&[CommitBatch {
                vb: A,
                items: &[&item],
                state: &state,
                timestamp: 1,
            }])
            .pop()
            .expect("one")
    };
    assert_eq!(
        commit(u64::MAX).expect_err("it stands for no end").kind(),
        "too-large"
    );
    assert_eq!(contents(&engine, A), before);
    commit(u64::MAX - 1).expect("taken");
    assert_eq!(contents(&engine, A).len(), before.len() + 1);
}
