//! A full device and a full budget: operations that need no space are done (L46), deletions are
//! taken, and the space they free is used (L47).

use std::path::Path;

use lowtide_checkpoint::Item;

use crate::contract::{CompactionRequest, Engine, EngineError};
use crate::disk::{Disk, DiskErrorKind, Fault, FaultyDisk, MemoryDisk, PowerLoss};
use crate::logstor::tests::support::{
    A, B, Contents, SMALL, apply, audit, commit, commit_all, contents, delete, noise, open_with,
    run, set,
};
use crate::logstor::{Logstor, LogstorConfig};

const CAPACITY_BYTES: u64 = 3 << 20;
/// The configuration makes an image due after every append.
const CONFIG: LogstorConfig = LogstorConfig {
    disk_bytes: u64::MAX,
    image_bytes: 0,
    image_percent: u32::MAX,
    ..SMALL
};

fn many(first: u64, count: u64, len: usize) -> Vec<Item> {
    (0..count)
        .map(|n| {
            set(
                first + n,
                &format!("key-{}", n % 40),
                &noise(first + n, len),
            )
        })
        .collect()
}

/// Leaves no byte of the disk free.
fn fill(disk: &MemoryDisk) {
    let ballast = disk.create(Path::new("/ballast")).expect("made");
    for at in 0.. {
        match ballast.write_at(&[&[1; 4096]], at * 4096) {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error.kind, DiskErrorKind::NoSpace);
                break;
            }
        }
    }
    ballast.sync_data().expect("synced");
    disk.sync_dir(Path::new("/")).expect("synced");
    assert_eq!(disk.usage().allocated_bytes, CAPACITY_BYTES);
}

/// Makes a store with dead records and an append that a power loss tore, on a disk without a free
/// byte.
fn full() -> (FaultyDisk, Contents) {
    let disk = FaultyDisk::new(MemoryDisk::with_capacity_bytes(CAPACITY_BYTES));
    let (engine, _) = open_with(&disk, CONFIG).expect("opens");
    for vb in [A, B] {
        engine.create(vb).expect("created");
    }
    let mut expected = Contents::new();
    for first in [1, 61, 121] {
        let batch = many(first, 60, 2500);
        expected = apply(&expected, &batch);
        assert!(
            commit_all(&engine, &[(A, batch.clone()), (B, batch)])
                .iter()
                .all(Result::is_ok)
        );
        run(engine.maintenance.image_job().expect("due")).expect("made");
    }
    // The second write of the append is not done.
    disk.power_off_at_io(2);
    assert!(commit(&engine, A, &[set(181, "torn", &noise(7, 100_000))]).is_err());
    drop(engine);
    disk.crash(PowerLoss::KeepUnsynced);
    fill(disk.memory());
    (disk, expected)
}

/// Opens the store on a full device, reads it, and makes it smaller.
fn use_it(disk: &FaultyDisk, expected: &Contents, has_b: &mut bool) -> Result<(), EngineError> {
    let (engine, _) = open_with(disk, CONFIG)?;
    assert_eq!(contents(&engine, A), *expected);
    *has_b = engine.vbuckets().contains(&B);
    if *has_b {
        engine.drop_vbucket(B)?;
        *has_b = false;
    }
    let seqno = lowtide_checkpoint::Seqno(100);
    engine.purge(A, seqno)?;
    run(engine.compact(A, CompactionRequest::default())?)?;
    assert_eq!(contents(&engine, A), *expected);
    engine.close()
}

/// L46.
#[test]
fn store_on_a_full_device_opens_reads_drops_and_compacts() {
    let (disk, expected) = full();
    let mut has_b = true;
    use_it(&disk, &expected, &mut has_b).expect("nothing of it needs room");
    let (engine, report) = open_with(&disk, CONFIG).expect("opens again");
    assert_eq!(report.repairs, []);
    assert_eq!(
        (contents(&engine, A), engine.vbuckets()),
        (expected, vec![A])
    );
    audit(&engine, true);
}

/// L46.
#[test]
fn half_written_manifest_of_a_failed_attempt_is_replaced() {
    for bytes in [0, 74, 20_000] {
        let (disk, expected) = full();
        disk.remove(Path::new("/ballast")).expect("removed");
        disk.sync_dir(Path::new("/")).expect("synced");
        let left = disk.create(Path::new("/store/MANIFEST.new")).expect("made");
        left.write_at(&[&vec![7; bytes]], 0).expect("written");
        drop(left);
        fill(disk.memory());
        let (engine, _) = open_with(&disk, CONFIG).expect("opens");
        assert_eq!(contents(&engine, A), expected);
        assert!(
            !disk
                .list(Path::new("/store"))
                .expect("there")
                .contains(&"MANIFEST.new".to_owned())
        );
    }
}

/// L46.
#[test]
fn failure_or_power_loss_on_a_full_device_loses_nothing() {
    let (counting, expected) = full();
    let before = counting.io_count();
    use_it(&counting, &expected, &mut true).expect("nothing of it needs room");
    let ios = counting.io_count() - before;
    let faults = [
        None,
        Some(Fault::Eio),
        Some(Fault::Enospc),
        Some(Fault::Torn { bytes: 700 }),
        Some(Fault::EioPersisted),
    ];
    for nth in 1..=ios {
        let fault = faults[nth as usize % faults.len()];
        let what = format!("{fault:?} at {nth} of {ios}");
        let (disk, expected) = full();
        match fault {
            None => disk.power_off_at_io(nth),
            Some(fault) => disk.fail_io(nth, fault),
        }
        let mut has_b = true;
        let done = use_it(&disk, &expected, &mut has_b);
        disk.clear_faults();
        if done.is_err() || disk.is_off() || nth % 2 == 0 {
            disk.crash(
                [
                    PowerLoss::DropUnsynced,
                    PowerLoss::KeepUnsynced,
                    PowerLoss::Random { seed: nth },
                ][nth as usize % 3],
            );
        }
        let (engine, _) =
            open_with(&disk, CONFIG).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(contents(&engine, A), expected, "{what}");
        assert!(
            has_b || !engine.vbuckets().contains(&B),
            "{what}: what was dropped is back"
        );
        run(engine
            .compact(A, CompactionRequest::default())
            .expect("begun"))
        .unwrap_or_else(|error| panic!("{what}: {error}"));
        audit(&engine, true);
    }
}

/// Commits until a batch is refused. Returns the keys that were taken, and the last seqno.
fn set_until_refused(
    engine: &Logstor,
    expected: &mut Contents,
    seqno: &mut u64,
    len: usize,
) -> u64 {
    let mut taken = 0;
    loop {
        let batch = [set(
            *seqno + 1,
            &format!("key-{}", *seqno + 1),
            &noise(*seqno, len),
        )];
        match commit(engine, A, &batch) {
            Ok(_) => *expected = apply(expected, &batch),
            Err(error) => {
                assert_eq!(error.kind(), "no-space");
                return taken;
            }
        }
        *seqno += 1;
        taken += 1;
        assert!(taken < 5000, "it is never full");
    }
}

fn upkeep(engine: &Logstor) {
    while let Some(job) = engine.maintenance() {
        // Some maintenance finds no space on a full device. It is reported, and the rest goes on.
        if let Err(error) = run(job) {
            assert_eq!(error.kind(), "no-space");
            break;
        }
    }
}

/// L47.
#[test]
fn full_store_takes_deletions_and_then_uses_their_space() {
    let budget = LogstorConfig {
        disk_bytes: 32 * (64 << 10),
        ..SMALL
    };
    let device = LogstorConfig {
        disk_bytes: u64::MAX,
        ..SMALL
    };
    for (config, len) in [budget, device]
        .into_iter()
        .flat_map(|config| [1000, 3000, 20_000].map(|len| (config, len)))
    {
        let disk = MemoryDisk::with_capacity_bytes(CAPACITY_BYTES);
        let (engine, _) = open_with(&disk, config).expect("opens");
        engine.create(A).expect("created");
        let (mut expected, mut seqno) = (Contents::new(), 0);
        let first = set_until_refused(&engine, &mut expected, &mut seqno, len);
        // The batch stays refused, and nothing changes.
        assert_eq!(
            set_until_refused(&engine, &mut expected, &mut seqno, len),
            0,
            "{len}"
        );
        assert_eq!(contents(&engine, A), expected);
        // Deletes two of three keys, some alone and some together, and keys that do not exist.
        let keys: Vec<u64> = (1..=seqno).filter(|n| n % 3 > 0).collect();
        let (alone, together) = keys.split_at(6);
        for (n, keys) in alone.chunks(1).chain(together.chunks(7)).enumerate() {
            let mut batch: Vec<Item> = Vec::new();
            for key in keys {
                batch.push(delete(
                    seqno + 1 + batch.len() as u64,
                    &format!("key-{key}"),
                ));
            }
            batch.push(delete(seqno + 1 + batch.len() as u64, &format!("gone-{n}")));
            seqno += batch.len() as u64;
            commit(&engine, A, &batch)
                .unwrap_or_else(|error| panic!("{len}, deletion {n}: {error}"));
            expected = apply(&expected, &batch);
        }
        upkeep(&engine);
        let again = set_until_refused(&engine, &mut expected, &mut seqno, len);
        let deleted = keys.len() as u64;
        // Tombstones take space, and so do segment ends that no record fits into.
        assert!(
            again >= deleted * 9 / 10,
            "{len}: {first} were taken at first, {again} after {deleted} were deleted"
        );
        assert_eq!(contents(&engine, A), expected, "{len}");
        audit(&engine, true);
    }
}

/// L47.
#[test]
fn full_store_takes_a_batch_that_makes_more_space_than_it_takes() {
    let config = LogstorConfig {
        disk_bytes: 32 * (64 << 10),
        ..SMALL
    };
    let (engine, _) = open_with(&MemoryDisk::new(), config).expect("opens");
    engine.create(A).expect("created");
    let (mut expected, mut seqno) = (Contents::new(), 0);
    set_until_refused(&engine, &mut expected, &mut seqno, 5000);
    let mut batch = vec![set(seqno + 1, "new", &[1; 3000])];
    assert_eq!(
        commit(&engine, A, &batch)
            .expect_err("it takes room")
            .kind(),
        "no-space"
    );
    batch.push(delete(seqno + 2, "key-1"));
    batch.push(set(seqno + 3, "key-2", b"smaller"));
    commit(&engine, A, &batch).expect("it makes room");
    assert_eq!(contents(&engine, A), apply(&expected, &batch));
    audit(&engine, true);
}
