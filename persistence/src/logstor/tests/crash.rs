//! Power losses and failures at every single I/O of a life with everything that writes.

use lowtide_checkpoint::Seqno;

use super::life::{Pins, Shown, Step, life, shown, take};
use super::support::{
    A, B, IMAGES, SMALL, STEP, apply, audit, commit, commit_all, contents, delete, dump,
    hide_images, open, open_with, run, set,
};
use crate::contract::{CompactionRequest, Engine, EngineError};
use crate::disk::{Fault, FaultyDisk, MemoryDisk, PowerLoss};
use crate::logstor::{Logstor, LogstorConfig};

/// Takes the steps of a life until one fails. Returns the number of steps that were done.
fn live(disk: &FaultyDisk, config: LogstorConfig) -> (usize, Result<(), EngineError>) {
    let mut done = 0;
    let mut go = || {
        let (engine, _) = open_with(disk, config)?;
        let mut pins = Pins::default();
        for (step, _) in life() {
            assert!(
                take(&engine, &mut pins, &step)?,
                "everything can be done in one life"
            );
            done += 1;
        }
        engine.close()
    };
    let result = go();
    (done, result)
}

fn stages() -> Vec<Shown> {
    std::iter::once(Shown::new())
        .chain(life().into_iter().map(|(_, shown)| shown))
        .collect()
}

fn keeps(nth: u64) -> Vec<PowerLoss> {
    let random = (0..4).map(|n| PowerLoss::Random { seed: 4 * nth + n });
    [PowerLoss::DropUnsynced, PowerLoss::KeepUnsynced]
        .into_iter()
        .chain(random)
        .collect()
}

/// Asserts that the store goes on as before: it takes commits, and rewrites all it has.
fn goes_on(engine: &Logstor, before: &Shown, what: &str) {
    let mut expected = before.clone();
    for vb in engine.vbuckets() {
        let high = engine.info(vb).expect("there").high.0;
        let batch = [
            set(high + 1, "afterwards", &[7; 20_000]),
            set(high + 2, "key-1", b""),
        ];
        commit(engine, vb, &batch).unwrap_or_else(|error| panic!("{what}: {error}"));
        expected.insert(vb.0, apply(&expected[&vb.0], &batch));
        run(engine
            .compact(vb, CompactionRequest::default())
            .expect("begun"))
        .expect("compacted");
    }
    assert_eq!(shown(engine), expected, "{what}: afterwards");
    audit(engine, true);
}

fn power_loss_at_any_io(config: LogstorConfig) {
    let counting = FaultyDisk::new(MemoryDisk::new());
    assert!(live(&counting, config).1.is_ok());
    let stages = stages();
    let mut with_images = 0;
    for (nth, keep) in (1..=counting.io_count())
        .flat_map(|nth| keeps(nth).into_iter().map(move |keep| (nth, keep)))
    {
        let what = format!("power off at {nth}, {keep:?}");
        let disk = FaultyDisk::new(MemoryDisk::new());
        disk.power_off_at_io(nth);
        let (done, result) = live(&disk, config);
        assert!(result.is_err(), "{what}");
        disk.crash(keep);
        let open = || open_with(&disk, config).unwrap_or_else(|error| panic!("{what}: {error}"));
        let (engine, _) = open();
        let found = shown(&engine);
        let allowed = &stages[done..stages.len().min(done + 2)];
        assert!(allowed.contains(&found), "{what}: {done} done");
        audit(&engine, true);
        drop(engine);
        disk.crash(PowerLoss::DropUnsynced);
        let (engine, report) = open();
        assert_eq!(report.repairs, [], "{what}: repaired once");
        assert!(shown(&engine) == found, "{what}: shown, then gone");
        let with_image = dump(&engine);
        drop(engine);
        with_images += hide_images(&disk, true);
        let (engine, _) = open();
        assert_eq!(dump(&engine), with_image, "{what}: by a scan of everything");
        goes_on(&engine, &found, &what);
    }
    assert!(with_images > 500 || config == SMALL, "{with_images}");
}

#[test]
fn power_loss_at_any_io_keeps_what_was_acknowledged() {
    power_loss_at_any_io(SMALL);
}

#[test]
fn power_loss_at_any_io_of_images_keeps_what_was_acknowledged() {
    power_loss_at_any_io(IMAGES);
}

fn power_loss_while_recovering(config: LogstorConfig, stride: usize) {
    let counting = FaultyDisk::new(MemoryDisk::new());
    assert!(live(&counting, config).1.is_ok());
    let stages = stages();
    for nth in (1..=counting.io_count()).step_by(stride) {
        let broken = || {
            let disk = FaultyDisk::new(MemoryDisk::new());
            disk.power_off_at_io(nth);
            let (done, _) = live(&disk, config);
            disk.crash(PowerLoss::Random { seed: nth });
            (disk, done)
        };
        let (counting, _) = broken();
        let before = counting.io_count();
        drop(open_with(&counting, config).expect("opens"));
        for step in 1..=counting.io_count() - before {
            let (disk, done) = broken();
            disk.power_off_at_io(step);
            assert!(open_with(&disk, config).is_err());
            disk.crash(PowerLoss::Random { seed: nth + step });
            let (engine, _) = open_with(&disk, config).expect("opens");
            let found = shown(&engine);
            let allowed = &stages[done..stages.len().min(done + 2)];
            assert!(
                allowed.contains(&found),
                "off at {nth}, again at {step}: {done} done"
            );
        }
    }
}

#[test]
fn power_loss_while_recovering_keeps_what_was_acknowledged() {
    power_loss_while_recovering(SMALL, 3);
    power_loss_while_recovering(IMAGES, 11);
}

const FAULTS: [Fault; 5] = [
    Fault::Eio,
    Fault::Enospc,
    Fault::Torn { bytes: 600 },
    Fault::Torn { bytes: 9000 },
    Fault::EioPersisted,
];

/// Takes every step of a life, and tries a failed step again. Returns the number of failures.
fn struggle(disk: &FaultyDisk, config: LogstorConfig, what: &str) -> (Shown, usize) {
    let reopen = || {
        (0..2)
            .find_map(|_| open_with(disk, config).ok())
            .unwrap_or_else(|| panic!("{what}: does not open"))
            .0
    };
    let (mut engine, mut pins) = (reopen(), Pins::default());
    let (mut before, mut failures) = (Shown::new(), 0);
    let mut rolled_back = true;
    for (number, (step, after)) in life().into_iter().enumerate() {
        // A rollback that could not be done leaves other seqnos to the steps that follow.
        if !rolled_back
            && !matches!(
                step,
                Step::Separate | Step::Compact(_) | Step::Upkeep | Step::Image
            )
        {
            continue;
        }
        let expected = if rolled_back { after } else { before.clone() };
        loop {
            let error = match take(&engine, &mut pins, &step) {
                Ok(done) => {
                    rolled_back &= done;
                    break;
                }
                Err(error) => error,
            };
            failures += 1;
            assert!(failures < 4, "{what}: {error}");
            let found = shown(&engine);
            let is_known = found == before || found == expected;
            assert!(
                is_known,
                "{what}, step {number}: {error}: {:?}",
                engine.vbuckets()
            );
            let is_poisoned =
                matches!(engine.purge(A, Seqno(0)), Err(EngineError::Poisoned { .. }));
            if is_poisoned {
                pins = Pins::default();
                drop(engine);
                engine = reopen();
            }
            let found = shown(&engine);
            if found == expected && found != before {
                break;
            }
            assert!(
                found == before,
                "{what}, step {number}: a part of it, or it came back"
            );
        }
        if rolled_back {
            before = expected;
        }
        assert!(shown(&engine) == before, "{what}, step {number}");
    }
    audit(&engine, false);
    (before, failures)
}

fn any_failure(config: LogstorConfig, faults: usize) {
    let counting = FaultyDisk::new(MemoryDisk::new());
    assert!(live(&counting, config).1.is_ok());
    let mut struck = 0;
    let some =
        |nth: u64| (0..faults).map(move |n| (nth, FAULTS[(nth as usize + 2 * n) % FAULTS.len()]));
    for (nth, fault) in (1..=counting.io_count()).flat_map(some) {
        let what = format!("{fault:?} at {nth}");
        let disk = FaultyDisk::new(MemoryDisk::new());
        disk.fail_io(nth, fault);
        let (expected, failures) = struggle(&disk, config, &what);
        struck += usize::from(failures > 0);
        disk.clear_faults();
        disk.crash(
            [
                PowerLoss::DropUnsynced,
                PowerLoss::KeepUnsynced,
                PowerLoss::Random { seed: nth },
            ][nth as usize % 3],
        );
        let (engine, _) =
            open_with(&disk, config).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(shown(&engine) == expected, "{what}: after a loss of power");
        audit(&engine, true);
    }
    assert!(struck > 60 * faults, "{struck}");
}

#[test]
fn any_failure_leaves_each_step_done_or_not() {
    any_failure(SMALL, FAULTS.len());
}

#[test]
fn any_failure_leaves_each_step_done_or_not_with_images() {
    any_failure(IMAGES, 2);
}

#[test]
fn failed_batch_never_comes_back() {
    for fault in [Fault::EioPersisted, Fault::Torn { bytes: 4096 }, Fault::Eio] {
        for keep in keeps(1) {
            let disk = FaultyDisk::new(MemoryDisk::new());
            let (engine, _) = open(&disk).expect("opens");
            engine.create(A).expect("created");
            engine.create(B).expect("created");
            commit(&engine, A, &[set(1, "a", b"1")]).expect("committed");
            disk.fail_write(1, fault);
            assert!(
                commit(
                    &engine,
                    A,
                    &[set(2, "a", b"failed"), set(3, "b", b"failed")]
                )
                .is_err()
            );
            commit(&engine, A, &[set(2, "a", b"other")]).expect("committed");
            drop(engine);
            disk.crash(keep);
            let (engine, _) = open(&disk).expect("opens");
            let found = contents(&engine, A);
            assert_eq!(
                found.into_values().collect::<Vec<_>>(),
                [set(2, "a", b"other")],
                "{fault:?}, {keep:?}"
            );
        }
    }
}

/// The sync failed while a segment was being freed. The segment looks free when the store is opened
/// again, and is not. Its records must not come back once the record that hid them is gone.
#[test]
fn segment_that_only_looks_free_brings_nothing_back() {
    let disk = FaultyDisk::new(MemoryDisk::new());
    let (engine, _) = open(&disk).expect("opens");
    engine.create(A).expect("created");
    engine.create(B).expect("created");
    // Each value but the last fills a segment.
    let big = |seqno| set(seqno, "big", &[1; 62_000]);
    let batches = [
        vec![(A, vec![set(1, "gone", b"old")]), (B, vec![big(1)])],
        vec![(A, vec![delete(2, "gone")]), (B, vec![big(2)])],
        vec![(A, vec![set(3, "end", b"")]), (B, vec![big(3)])],
    ];
    for batch in &batches {
        assert!(commit_all(&engine, batch).iter().all(Result::is_ok));
    }
    disk.fail_sync(1);
    assert!(
        run(engine
            .compact(A, CompactionRequest::default())
            .expect("begun"))
        .is_err()
    );
    assert_eq!(engine.create(A).expect_err("poisoned").kind(), "poisoned");
    drop(engine);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(engine.purge(A, Seqno(2)).expect("purged"), Seqno(2));
    engine.drop_vbucket(B).expect("dropped");
    // The tombstone's segment is freed, and nothing is written to the first segment.
    let mut job = engine
        .compact(A, CompactionRequest::default())
        .expect("begun");
    while engine.stats()["segments-compacted"] == 0 {
        job.step(STEP).expect("no failure");
    }
    drop(job);
    drop(engine);
    disk.crash(PowerLoss::DropUnsynced);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(contents(&engine, A).into_keys().collect::<Vec<_>>(), [3]);
    audit(&engine, true);
}
