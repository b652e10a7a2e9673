//! Power loss, failing I/O and failing syncs at any moment: acknowledged batches are there, and
//! each batch is whole.

use std::sync::Arc;

use lowtide_checkpoint::{Key, Namespace, Seqno};
use lowtide_persistence::disk::{Fault, FaultyDisk, MemoryDisk, PowerLoss};
use lowtide_persistence::{CompactionRequest, Engine, EngineError};

use super::{
    Contents, Open, VBS, apply, commit, commit_all, contents, fresh, history, keeps, set, stages,
};

/// Checks that closing releases the lock, takes no more writes, and loses nothing.
pub(super) fn closing_keeps_everything(open: Open<'_>) {
    let (disk, engine) = fresh(open);
    for batch in history() {
        commit(&*engine, VBS[0], &batch).expect("committed");
    }
    engine.close().expect("closed");
    every_operation_is_refused_as_closed(&*engine);
    disk.crash(PowerLoss::DropUnsynced);
    let engine = open(Arc::new(disk.clone())).expect("opens");
    assert_eq!(Some(contents(&*engine, VBS[0])), stages().pop());
}

fn every_operation_is_refused_as_closed(engine: &dyn Engine) {
    let vb = VBS[0];
    let key = Key::new(b"late");
    let results = [
        ("create", engine.create(VBS[1])),
        ("drop", engine.drop_vbucket(vb)),
        (
            "commit",
            commit(engine, vb, &[set(99, "late", b"")]).map(drop),
        ),
        ("rollback", engine.rollback(vb, Seqno(1)).map(drop)),
        ("purge", engine.purge(vb, Seqno(1)).map(drop)),
        ("get", engine.get(vb, Namespace::Committed, &key).map(drop)),
        ("snapshot", engine.snapshot(vb).map(drop)),
        ("info", engine.info(vb).map(drop)),
        (
            "compact",
            engine.compact(vb, CompactionRequest::new()).map(drop),
        ),
        ("check", engine.check(vb).map(drop)),
    ];
    for (operation, result) in results {
        let error = result.expect_err(operation);
        assert_eq!(error.kind(), "closed", "{operation}: {error}");
    }
    assert_eq!(engine.vbuckets(), []);
    assert!(engine.maintenance().is_none());
    engine.close().expect("closed already");
}

/// Number of acknowledged batches of each vBucket; `None` if the vBucket itself was not.
type Acknowledged = [Option<usize>; VBS.len()];

/// Runs the history on both vBuckets until an operation fails.
fn run_until_failure(open: Open<'_>, disk: &FaultyDisk) -> (Acknowledged, bool) {
    let mut acknowledged = [None; VBS.len()];
    let Ok(engine) = open(Arc::new(disk.clone())) else {
        return (acknowledged, false);
    };
    for (vb, count) in VBS.into_iter().zip(&mut acknowledged) {
        if engine.create(vb).is_err() {
            return (acknowledged, false);
        }
        *count = Some(0);
    }
    for batch in history() {
        let results = commit_all(&*engine, &VBS.map(|vb| (vb, batch.clone())));
        for (result, count) in results.iter().zip(&mut acknowledged) {
            *count = count.map(|count| count + usize::from(result.is_ok()));
        }
        if results.iter().any(Result::is_err) {
            return (acknowledged, false);
        }
    }
    (acknowledged, engine.close().is_ok())
}

/// Checks that the acknowledged batches are there, and at most one more, as a whole. Returns their
/// numbers.
fn check_after(engine: &dyn Engine, acknowledged: &Acknowledged, what: &str) -> Acknowledged {
    let (stages, there) = (stages(), engine.vbuckets());
    let mut shown = [None; VBS.len()];
    for ((vb, &least), shown) in VBS.into_iter().zip(acknowledged).zip(&mut shown) {
        if !there.contains(&vb) {
            assert_eq!(least, None, "{what}: vBucket {vb} is gone");
            continue;
        }
        let (found, least) = (contents(engine, vb), least.unwrap_or(0));
        *shown = (least..stages.len().min(least + 2)).find(|&stage| stages[stage] == found);
        assert!(
            shown.is_some(),
            "{what}: vBucket {vb}: {least} acknowledged, found {:?}",
            found.keys()
        );
    }
    shown
}

/// Checks promises 2 and 6: after power loss at any I/O everything acknowledged is there, and its
/// contents stay.
pub(super) fn power_loss_keeps_acknowledged_batches(open: Open<'_>) {
    let counting = FaultyDisk::new(MemoryDisk::new());
    assert!(run_until_failure(open, &counting).1);
    for nth in 1..=counting.io_count() {
        for keep in keeps(nth) {
            let what = format!("power off at I/O {nth}, {keep:?}");
            let disk = FaultyDisk::new(MemoryDisk::new());
            disk.power_off_at_io(nth);
            let (acknowledged, _) = run_until_failure(open, &disk);
            disk.crash(keep);
            let engine =
                open(Arc::new(disk.clone())).unwrap_or_else(|error| panic!("{what}: {error}"));
            let shown = check_after(&*engine, &acknowledged, &what);
            drop(engine);
            disk.crash(PowerLoss::DropUnsynced);
            let engine =
                open(Arc::new(disk.clone())).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(
                check_after(&*engine, &acknowledged, &what),
                shown,
                "{what}: shown, then gone"
            );
        }
    }
}

/// Checks promises 2 and 5: a failed batch is invisible or acknowledged; it is left out for good
/// once a later one is in.
pub(super) fn failures_leave_batches_in_or_out(open: Open<'_>) {
    let faults = [
        Fault::Eio,
        Fault::Enospc,
        Fault::Torn { bytes: 700 },
        Fault::EioPersisted,
    ];
    let counting = FaultyDisk::new(MemoryDisk::new());
    assert!(run_until_failure(open, &counting).1);
    let mut failures = 0;
    for (nth, fault) in (1..=counting.io_count()).flat_map(|nth| faults.map(|fault| (nth, fault))) {
        let what = format!("{fault:?} at I/O {nth}");
        let disk = FaultyDisk::new(MemoryDisk::new());
        disk.fail_io(nth, fault);
        let reopen = || {
            let tries = (0..2).find_map(|_| open(Arc::new(disk.clone())).ok());
            tries.unwrap_or_else(|| panic!("{what}: does not open"))
        };
        let mut engine = reopen();
        while engine.vbuckets().is_empty() {
            if let Err(EngineError::Poisoned { .. }) = engine.create(VBS[0]) {
                drop(engine);
                engine = reopen();
            }
        }
        let mut expected = Contents::new();
        for batch in history() {
            if commit(&*engine, VBS[0], &batch).is_ok() {
                expected = apply(&expected, &batch);
                continue;
            }
            failures += 1;
            assert_eq!(
                contents(&*engine, VBS[0]),
                expected,
                "{what}: a failed batch is invisible"
            );
            if matches!(
                commit(&*engine, VBS[0], &[]),
                Err(EngineError::Poisoned { .. })
            ) {
                drop(engine);
                engine = reopen();
                let whole = apply(&expected, &batch);
                let found = contents(&*engine, VBS[0]);
                assert!(
                    found == expected || found == whole,
                    "{what}: a part of a batch"
                );
                expected = found;
            }
        }
        disk.clear_faults();
        for keep in [PowerLoss::Random { seed: nth }, PowerLoss::DropUnsynced] {
            drop(engine);
            disk.crash(keep);
            engine = reopen();
            assert_eq!(contents(&*engine, VBS[0]), expected, "{what}, {keep:?}");
        }
    }
    assert!(failures > 10, "the faults must strike: {failures}");
}

/// Checks promise 5: after a failed sync reads continue, writes are refused until the store is
/// reopened, and nothing is lost.
pub(super) fn failed_sync_poisons(open: Open<'_>) {
    for keep in keeps(0) {
        let disk = FaultyDisk::new(MemoryDisk::new());
        let engine = open(Arc::new(disk.clone())).expect("opens");
        engine.create(VBS[0]).expect("created");
        commit(&*engine, VBS[0], &history()[0]).expect("committed");
        disk.fail_sync(1);
        assert!(commit(&*engine, VBS[0], &history()[1]).is_err());
        for refused in [
            commit(&*engine, VBS[0], &history()[2]).map(|_| ()),
            engine.create(VBS[1]),
        ] {
            assert_eq!(refused.expect_err("poisoned").kind(), "poisoned");
        }
        assert_eq!(contents(&*engine, VBS[0]), stages()[1], "reads go on");
        drop(engine);
        let engine = open(Arc::new(disk.clone())).expect("opens");
        let shown = check_after(&*engine, &[Some(1), None], "reopened");
        drop(engine);
        disk.crash(keep);
        let engine = open(Arc::new(disk.clone())).expect("opens");
        assert_eq!(check_after(&*engine, &[Some(1), None], "crashed"), shown);
    }
}
