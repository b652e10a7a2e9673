//! A power loss at every I/O of commits, loads and rewriting in a store that is not loaded.

use super::stores::{after, assert_gets, batches, get, lived};
use crate::contract::{CompactionRequest, Engine, EngineError};
use crate::disk::{FaultyDisk, PowerLoss};
use crate::logstor::tests::life::shown;
use crate::logstor::tests::support::{
    B, IMAGES, audit, commit_all, dump, fork, hide_images, make_image, open_with, run,
};

/// Opens the store, commits, loads in between, and rewrites at the end. Returns the number of
/// acknowledged commits.
fn serve_early(disk: &FaultyDisk) -> (usize, Result<(), EngineError>) {
    let mut done = 0;
    let mut go = || {
        let (engine, _) = open_with(disk, IMAGES)?;
        for (n, batches) in batches().iter().enumerate() {
            for result in commit_all(&engine, batches) {
                result?;
            }
            done += 1;
            get(&engine, B, "b-130")?;
            if n == 1 {
                engine.store.registry.load_one()?;
            }
        }
        run(engine.maintenance().expect("something is to be loaded"))?;
        run(engine.compact(B, CompactionRequest::default())?)?;
        make_image(&engine)?;
        engine.close()
    };
    let result = go();
    (done, result)
}

#[test]
fn power_loss_at_any_io_of_unloaded_commits_keeps_acknowledged_batches() {
    let (disk, before) = lived();
    let mut stages = vec![before];
    for batches in batches() {
        let next = after(stages.last().expect("one"), &batches);
        stages.push(next);
    }
    let counting = FaultyDisk::new(fork(&disk));
    assert!(serve_early(&counting).1.is_ok());
    for nth in 1..=counting.io_count() {
        for keep in [
            PowerLoss::DropUnsynced,
            PowerLoss::KeepUnsynced,
            PowerLoss::Random { seed: 2 * nth },
            PowerLoss::Random { seed: 2 * nth + 1 },
        ] {
            let what = format!("power off at {nth}, {keep:?}");
            let disk = FaultyDisk::new(fork(&disk));
            disk.power_off_at_io(nth);
            let (done, result) = serve_early(&disk);
            assert!(result.is_err(), "{what}");
            disk.crash(keep);
            let (engine, _) =
                open_with(&disk, IMAGES).unwrap_or_else(|error| panic!("{what}: {error}"));
            let found = shown(&engine);
            assert!(
                stages[done..stages.len().min(done + 2)].contains(&found),
                "{what}: {done} done"
            );
            audit(&engine, true);
            let with_image = dump(&engine);
            drop(engine);
            let (engine, _) = open_with(&disk, IMAGES).expect("opens");
            assert_gets(&engine, &found);
            assert_eq!(dump(&engine), with_image, "{what}: again");
            drop(engine);
            hide_images(&disk, true);
            let (engine, _) = open_with(&disk, IMAGES).expect("opens");
            assert_eq!(dump(&engine), with_image, "{what}: by a scan of everything");
        }
    }
}
