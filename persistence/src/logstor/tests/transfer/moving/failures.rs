//! Imports that do not finish. After every failure, damage and drop the vBucket is there as a whole
//! or not at all (L36), and can be imported again.

use super::{OTHER, exported, import, target};
use crate::contract::{Budget, CompactionRequest, Engine, EngineError, Job};
use crate::disk::{Fault, FaultyDisk, MemoryDisk, PowerLoss};
use crate::logstor::Logstor;
use crate::logstor::tests::support::{A, B, audit, commit, contents, open_with, run, set};

fn is_absent(engine: &Logstor) {
    assert_eq!(engine.vbuckets(), [B]);
    assert!(engine.snapshot(A).is_err());
    audit(engine, true);
}

fn ios_of_import(bytes: &[u8]) -> u64 {
    let disk = FaultyDisk::new(MemoryDisk::new());
    let engine = target(&disk);
    let before = disk.io_count();
    import(&engine, A, bytes).expect("imported");
    disk.io_count() - before
}

#[test]
fn power_loss_at_any_io_of_an_import_leaves_all_of_it_or_nothing() {
    let (bytes, expected) = exported();
    let ios = ios_of_import(&bytes);
    let mut outcomes = [0, 0];
    for nth in 1..=ios {
        for keep in [
            PowerLoss::DropUnsynced,
            PowerLoss::KeepUnsynced,
            PowerLoss::Random { seed: nth },
            PowerLoss::Random { seed: nth + 1000 },
        ] {
            let disk = FaultyDisk::new(MemoryDisk::new());
            let engine = target(&disk);
            let others = contents(&engine, B);
            disk.power_off_at_io(nth);
            assert!(import(&engine, A, &bytes).is_err());
            drop(engine);
            disk.crash(keep);
            let (engine, _) = open_with(&disk, OTHER).expect("opens");
            assert!(contents(&engine, B) == others, "{nth}, {keep:?}");
            let is_there = engine.vbuckets().contains(&A);
            outcomes[usize::from(is_there)] += 1;
            if is_there {
                assert!(contents(&engine, A) == expected, "{nth}, {keep:?}");
                engine.drop_vbucket(A).expect("dropped");
            } else {
                is_absent(&engine);
            }
            import(&engine, A, &bytes).expect("imported");
            assert!(contents(&engine, A) == expected, "{nth}, {keep:?}: again");
            audit(&engine, true);
        }
    }
    assert!(outcomes[0] > 20 && outcomes[1] > 0, "{outcomes:?}");
}

#[test]
fn failed_import_leaves_nothing_and_can_be_repeated() {
    let (bytes, expected) = exported();
    let faults = [
        Fault::Eio,
        Fault::Enospc,
        Fault::Torn { bytes: 600 },
        Fault::EioPersisted,
    ];
    let (ios, mut failures) = (ios_of_import(&bytes), 0);
    for fault in faults {
        for nth in 1..=ios {
            let disk = FaultyDisk::new(MemoryDisk::new());
            let engine = target(&disk);
            let others = contents(&engine, B);
            disk.fail_io(nth, fault);
            let what = format!("{fault:?} at {nth}");
            if import(&engine, A, &bytes).is_ok() {
                // The import found space elsewhere, or the failed operation was not needed yet.
                assert!(
                    contents(&engine, A) == expected && contents(&engine, B) == others,
                    "{what}"
                );
                audit(&engine, true);
                continue;
            }
            failures += 1;
            is_absent(&engine);
            disk.clear_faults();
            let engine = match import(&engine, A, &bytes) {
                Ok(()) => engine,
                Err(EngineError::Poisoned { .. }) => {
                    drop(engine);
                    let (engine, _) = open_with(&disk, OTHER).expect("opens");
                    // The failed edit may have been written.
                    if !engine.vbuckets().contains(&A) {
                        import(&engine, A, &bytes).expect("imported");
                    }
                    engine
                }
                Err(error) => panic!("{what}: {error}"),
            };
            assert!(
                contents(&engine, A) == expected && contents(&engine, B) == others,
                "{what}"
            );
            audit(&engine, true);
        }
    }
    assert!(failures > 3 * ios, "{failures} of {ios} each");
}

#[test]
fn damaged_export_is_refused_and_leaves_nothing() {
    let (bytes, _) = exported();
    let disk = FaultyDisk::new(MemoryDisk::new());
    let engine = target(&disk);
    let mut damaged: Vec<Vec<u8>> = (0..bytes.len())
        .step_by(1009)
        .map(|len| bytes[..len].to_vec())
        .collect();
    damaged.extend((0..bytes.len()).step_by(997).chain(0..64).map(|at| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        bytes
    }));
    // Pieces exchanged, left out, and doubled.
    let mut starts: Vec<usize> = (0..bytes.len())
        .filter(|&at| bytes[at..].starts_with(b"LTEX\x02"))
        .collect();
    starts.push(bytes.len());
    let piece = |n: usize| &bytes[starts[n]..starts[n + 1]];
    let last = starts.len() - 2;
    damaged.push([piece(0), piece(2), piece(1)].concat());
    damaged.push([piece(0), piece(1), piece(last)].concat());
    damaged.push([piece(0), piece(1), piece(1)].concat());
    damaged.push(piece(1).to_vec());
    for (number, bytes) in damaged.iter().enumerate() {
        let error = import(&engine, A, bytes).expect_err("damaged");
        assert_eq!(error.kind(), "corrupt", "{number}: {error}");
        is_absent(&engine);
    }
    // The space is freed, and the number is free.
    run(engine.separate().expect("begun")).expect("done");
    run(engine
        .compact(B, CompactionRequest::default())
        .expect("begun"))
    .expect("done");
    let stats = engine.stats();
    assert!(stats["segments"] - stats["free-segments"] <= 4, "{stats:?}");
    engine.create(A).expect("free");
}

#[test]
fn dropped_import_leaves_nothing_and_one_import_of_a_vbucket_runs_at_a_time() {
    let (bytes, expected) = exported();
    let disk = FaultyDisk::new(MemoryDisk::new());
    let engine = target(&disk);
    let begin = |vb| engine.import(vb, Box::new(std::io::Cursor::new(bytes.clone())));
    assert_eq!(begin(B).expect_err("there").kind(), "vbucket-exists");
    let small = Budget { items: 1, bytes: 1 };
    for steps in 0..4 {
        let mut job: Box<dyn Job> = begin(A).expect("new");
        for _ in 0..steps {
            job.step(small).expect("sound");
        }
        assert_eq!(begin(A).expect_err("under way").kind(), "vbucket-exists");
        assert_eq!(
            engine.create(A).expect_err("under way").kind(),
            "vbucket-exists"
        );
        assert_eq!(
            engine.drop_vbucket(A).expect_err("not there").kind(),
            "unknown-vbucket"
        );
        assert!(commit(&engine, A, &[set(1, "a", b"")]).is_err());
        is_absent(&engine);
        // The written records are rewritten as any others.
        run(engine.separate().expect("begun")).expect("done");
        is_absent(&engine);
        drop(job);
        is_absent(&engine);
    }
    import(&engine, A, &bytes).expect("imported");
    assert!(contents(&engine, A) == expected);
    assert_eq!(begin(A).expect_err("there").kind(), "vbucket-exists");
}

#[test]
fn failed_import_stays_failed_and_ends_no_other() {
    let (bytes, expected) = exported();
    let engine = target(&FaultyDisk::new(MemoryDisk::new()));
    let begin = |bytes: &[u8]| engine.import(A, Box::new(std::io::Cursor::new(bytes.to_vec())));
    let mut failed = begin(&bytes[..bytes.len() - 1]).expect("new");
    let error = loop {
        if let Err(error) = failed.step(Budget::NONE) {
            break error;
        }
    };
    assert_eq!(error.kind(), "corrupt");
    let other = begin(&bytes).expect("free again");
    let again = failed.step(Budget::NONE).expect_err("there is no vBucket");
    assert_eq!(again.kind(), "aborted");
    drop(failed);
    assert_eq!(
        begin(&bytes).expect_err("under way").kind(),
        "vbucket-exists"
    );
    run(other).expect("done");
    assert!(contents(&engine, A) == expected);
}
