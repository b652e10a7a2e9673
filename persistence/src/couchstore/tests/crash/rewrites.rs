//! Power loss and failures at every I/O of a script that commits, rolls back, purges, drops and
//! recreates.

use lowtide_checkpoint::{Item, Seqno};

use crate::contract::{Engine, EngineError};
use crate::couchstore::config::{CommitMode, CouchstoreConfig};
use crate::couchstore::engine::Couchstore;
use crate::couchstore::tests::reference_model::{self, Commit, Naive};
use crate::couchstore::tests::support::{VB, commit, delete, open_with, set, state};
use crate::disk::{Fault, FaultyDisk, MemoryDisk, PowerLoss, for_all_choices};

#[derive(Clone, Debug)]
enum Step {
    Create,
    Drop,
    Commit(Vec<Item>),
    Rollback(u64),
    Purge(u64),
}

use Step::{Create, Drop, Purge, Rollback};

fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    next.take(len).collect()
}

fn script() -> Vec<Step> {
    vec![
        Create,
        Step::Commit(vec![
            set(1, "a", b"1"),
            set(2, "b", b"2"),
            delete(3, "gone"),
        ]),
        Step::Commit(vec![set(4, "a", b"4"), delete(5, "b"), set(6, "c", b"6")]),
        Step::Commit(
            (7..30)
                .map(|n| set(n, &format!("key-{n}"), &noise(n as usize * 40)))
                .collect(),
        ),
        Rollback(10),
        Step::Commit(vec![set(7, "other", b"7"), delete(8, "c")]),
        Purge(5),
        Step::Commit(vec![delete(9, "a"), set(10, "z", &noise(6000))]),
        Rollback(6),
        Step::Commit((7..20).map(|n| delete(n, &format!("key-{n}"))).collect()),
        Purge(100),
        Rollback(0),
        Step::Commit(vec![set(1, "new", b"1")]),
        Drop,
        Create,
        Step::Commit(vec![set(1, "newest", b"1"), delete(2, "gone")]),
        Step::Commit(vec![set(3, "newest", b"3")]),
        Purge(3),
        Rollback(2),
    ]
}

/// The vBucket after each number of steps; `None` if it does not exist.
fn stages(script: &[Step]) -> Vec<Option<Commit>> {
    let mut model: Option<Naive> = None;
    let mut stages = vec![None];
    for step in script {
        match (step, &mut model) {
            (Create, _) => model = Some(Naive::new()),
            (Drop, _) => model = None,
            (_, None) => panic!("no vBucket"),
            (Step::Commit(items), Some(model)) => model.commit(items, state_of(items)),
            (Rollback(to), Some(model)) => drop(model.rollback(*to)),
            (Purge(upto), Some(model)) => drop(model.purge(*upto)),
        }
        stages.push(model.as_ref().map(|model| model.now().clone()));
    }
    stages
}

fn state_of(items: &[Item]) -> lowtide_checkpoint::VBucketState {
    state(items.last().map_or(0, |item| item.seqno.0))
}

fn apply(engine: &Couchstore, step: &Step) -> Result<(), EngineError> {
    match step {
        Create => engine.create(VB),
        Drop => engine.drop_vbucket(VB),
        Step::Commit(items) => commit(engine, VB, items).map(drop),
        Rollback(to) => engine.rollback(VB, Seqno(*to)).map(drop),
        Purge(upto) => engine.purge(VB, Seqno(*upto)).map(drop),
    }
}

/// Runs the script until a failure. Returns the number of acknowledged steps.
fn run(
    disk: &FaultyDisk,
    config: CouchstoreConfig,
    script: &[Step],
) -> (usize, Result<(), EngineError>) {
    let mut acknowledged = 0;
    let mut go = || {
        let (engine, _) = open_with(disk, config)?;
        for step in script {
            apply(&engine, step)?;
            acknowledged += 1;
        }
        engine.close()
    };
    let result = go();
    (acknowledged, result)
}

fn shown(engine: &Couchstore) -> Option<Commit> {
    (engine.vbuckets() == [VB]).then(|| reference_model::now(engine))
}

fn configs() -> [CouchstoreConfig; 2] {
    [CommitMode::OneSync, CommitMode::TwoPhase].map(|commit| CouchstoreConfig {
        commit,
        ..CouchstoreConfig::default()
    })
}

/// Opens the store after a crash. Every acknowledged step is there, and the step in flight as a
/// whole or not at all, and stays so.
fn check_after(
    disk: &FaultyDisk,
    config: CouchstoreConfig,
    stages: &[Option<Commit>],
    acknowledged: usize,
    what: &str,
) {
    let (engine, _) = open_with(disk, config).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = shown(&engine);
    let allowed = &stages[acknowledged..stages.len().min(acknowledged + 2)];
    assert!(
        allowed.contains(&found),
        "{what}: {acknowledged} acknowledged, found {found:?}"
    );
    drop(engine);
    disk.crash(PowerLoss::DropUnsynced);
    let (engine, report) =
        open_with(disk, config).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(report.repairs, [], "{what}: repaired once");
    assert_eq!(shown(&engine), found, "{what}: what was shown is durable");
}

#[test]
fn power_loss_at_any_io_keeps_whole_steps() {
    let (script, mut cases) = (script(), 0);
    let stages = stages(&script);
    for config in configs() {
        let counting = FaultyDisk::new(MemoryDisk::new());
        assert!(matches!(run(&counting, config, &script), (19, Ok(()))));
        for nth in 1..=counting.io_count() {
            let random = (0..14).map(|seed| PowerLoss::Random {
                seed: nth * 100 + seed,
            });
            for keep in [PowerLoss::DropUnsynced, PowerLoss::KeepUnsynced]
                .into_iter()
                .chain(random)
            {
                let disk = FaultyDisk::new(MemoryDisk::new());
                disk.power_off_at_io(nth);
                let (acknowledged, result) = run(&disk, config, &script);
                assert!(result.is_err());
                disk.crash(keep);
                let what = format!("{config:?}, off at {nth}, {keep:?}");
                check_after(&disk, config, &stages, acknowledged, &what);
                cases += 1;
            }
        }
    }
    assert!(cases >= 2400, "{cases}");
}

/// Every outcome of a crash, by sectors, for steps that write little.
#[test]
fn every_outcome_of_a_crash_keeps_whole_steps() {
    let script = [
        Create,
        Step::Commit(vec![set(1, "a", b"1"), delete(2, "b")]),
        Step::Commit(vec![set(3, "a", b"3")]),
        Rollback(2),
        Step::Commit(vec![set(3, "c", b"3")]),
        Purge(2),
        Rollback(2),
    ];
    let stages = stages(&script);
    for config in configs() {
        let counting = FaultyDisk::new(MemoryDisk::new());
        assert!(run(&counting, config, &script).1.is_ok());
        let mut cases = 0;
        for nth in 1..=counting.io_count() {
            for_all_choices(|choose| {
                let disk = FaultyDisk::new(MemoryDisk::new());
                disk.power_off_at_io(nth);
                let (acknowledged, _) = run(&disk, config, &script);
                disk.crash_with(choose);
                check_after(
                    &disk,
                    config,
                    &stages,
                    acknowledged,
                    &format!("{config:?}, off at {nth}"),
                );
                cases += 1;
            });
        }
        assert!(cases >= 9000, "{cases}");
    }
}

/// Runs the script to its end in spite of failures, and reopens a store that asks for it. A failed
/// step is repeated, unless reopening shows that it is done.
#[test]
fn any_failure_leaves_a_step_done_or_not() {
    let (script, mut struck, mut cases) = (script(), 0, 0);
    let stages = stages(&script);
    let faults = [
        Fault::Eio,
        Fault::Enospc,
        Fault::Torn { bytes: 700 },
        Fault::EioPersisted,
    ];
    for config in configs() {
        let counting = FaultyDisk::new(MemoryDisk::new());
        let _ = run(&counting, config, &script);
        for (nth, fault) in
            (1..=counting.io_count()).flat_map(|nth| faults.map(|fault| (nth, fault)))
        {
            let what = format!("{config:?}, {fault:?} at {nth}");
            let disk = FaultyDisk::new(MemoryDisk::new());
            disk.fail_io(nth, fault);
            let reopen = || {
                (0..2)
                    .find_map(|_| open_with(&disk, config).ok())
                    .expect("strikes once")
                    .0
            };
            let mut engine = reopen();
            let mut done = 0;
            while let Some(step) = script.get(done) {
                let Err(error) = apply(&engine, step) else {
                    done += 1;
                    assert_eq!(shown(&engine), stages[done], "{what}");
                    continue;
                };
                struck += 1;
                let is_poisoned =
                    matches!(
                        engine.purge(VB, Seqno(0)),
                        Err(EngineError::Poisoned { .. })
                    ) || matches!(engine.create(VB), Err(EngineError::Poisoned { .. }));
                if is_poisoned {
                    drop(engine);
                    engine = reopen();
                    done += usize::from(shown(&engine) == stages[done + 1]);
                } else if shown(&engine).is_some() && matches!(step, Create) {
                    // The check above was a second attempt.
                    done += 1;
                }
                assert_eq!(shown(&engine), stages[done], "{what}: {error}");
            }
            drop(engine);
            disk.clear_faults();
            disk.crash(PowerLoss::Random { seed: nth });
            assert_eq!(shown(&reopen()), stages[script.len()], "{what}");
            cases += 1;
        }
    }
    assert!(
        cases >= 600 && struck >= 500,
        "{cases} cases, {struck} failures"
    );
}
