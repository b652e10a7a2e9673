//! A store that is dropped without a close, in every state it can have (L45). Its memory is freed,
//! its directory opens again, and snapshots and jobs taken from it harm no other store.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

use lowtide_checkpoint::Item;

use crate::contract::{
    CompactionRequest, Engine, EngineError, Job, JobProgress, JobStage, ScanLimit, Snapshot,
};
use crate::disk::{Disk, MemoryDisk, OsDisk};
use crate::logstor::tests::support::{
    A, B, Contents, IMAGES, STEP, audit, commit, commit_all, contents, noise, run, set,
};
use crate::logstor::{Logstor, LogstorConfig};

const BUDGET: LogstorConfig = LogstorConfig {
    disk_bytes: 40 * (64 << 10),
    garbage_percent: None,
    ..IMAGES
};

/// A directory on some disk.
struct Place {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

impl Place {
    fn open(&self) -> Logstor {
        Logstor::open(Arc::clone(&self.disk), &self.dir, BUDGET)
            .expect("it opens")
            .0
    }
}

fn many(first: u64, len: usize) -> Vec<Item> {
    (0..30)
        .map(|n| set(first + n, &format!("key-{n}"), &noise(first + n, len)))
        .collect()
}

/// Makes a store with dead records, segments that mix two vBuckets, and an image that does not
/// cover the last records.
fn lived(place: &Place) -> Logstor {
    let engine = place.open();
    for vb in [A, B] {
        engine.create(vb).expect("created");
    }
    for first in [1, 31, 61] {
        let batches = [(A, many(first, 3000)), (B, many(first, 2000))];
        assert!(commit_all(&engine, &batches).iter().all(Result::is_ok));
    }
    run(engine.maintenance.image_job().expect("due")).expect("made");
    commit(&engine, A, &many(91, 1000)).expect("committed");
    engine
}

/// A job or snapshot that a host may hold while it drops the store.
type Held = Box<dyn Any + Send>;
type Begin = fn(&Logstor) -> Box<dyn Job>;

const JOBS: [(&str, Begin); 6] = [
    ("image", |engine| {
        engine.maintenance.image_job().expect("due")
    }),
    ("compact", |engine| {
        engine
            .compact(A, CompactionRequest::default())
            .expect("begun")
    }),
    ("separate", |engine| engine.separate().expect("begun")),
    ("prepare", |engine| {
        engine
            .maintenance
            .begin(engine.maintenance.due_space().expect("due"))
            .expect("begun")
    }),
    ("load", |engine| engine.maintenance.load_job().expect("due")),
    ("import", |engine| {
        let mut export = engine.export(A).expect("there");
        let mut bytes = Vec::new();
        while let Some(piece) = export.next_piece().expect("readable") {
            bytes.extend(piece);
        }
        engine
            .import(
                lowtide_checkpoint::Vbid(9),
                Box::new(std::io::Cursor::new(bytes)),
            )
            .expect("begun")
    }),
];

/// Returns a store on which a job of that kind is due.
fn ready(name: &str, place: &Place) -> Logstor {
    let engine = lived(place);
    match name {
        "load" => {
            drop(engine);
            place.open()
        }
        "prepare" => {
            let mut seqno = 120;
            while engine.maintenance.due_space().is_none() {
                seqno += 1;
                commit(&engine, A, &[set(seqno, "more", &noise(seqno, 20_000))])
                    .expect("committed");
            }
            engine
        }
        _ => engine,
    }
}

/// Drops a store while its jobs and snapshots live, opens the directory again, and uses the new
/// store concurrently with them. Then drops them.
fn drop_and_reopen(place: &Place, engine: Logstor, mut held: Held, what: &str) {
    let expected: Vec<Contents> = [A, B].iter().map(|&vb| contents(&engine, vb)).collect();
    let store = Arc::downgrade(&engine.store);
    drop(engine);
    assert!(
        store.upgrade().is_none(),
        "{what}: something keeps the store"
    );
    let engine = place.open();
    let shows = |engine: &Logstor| [A, B].map(|vb| contents(engine, vb)).to_vec() == expected;
    assert!(shows(&engine), "{what}");
    // The new store makes an image while a job of the old store ends; both may choose the same
    // name.
    let mut image = engine.maintenance.image_job();
    if let Some(job) = &mut image {
        while !matches!(
            job.step(STEP).expect("works"),
            JobProgress::Working {
                stage: JobStage::WritingImage,
                ..
            }
        ) {}
    }
    if let Some(job) = held.downcast_mut::<Box<dyn Job>>() {
        let error = loop {
            match job.step(STEP) {
                // Work done before the drop.
                Ok(JobProgress::Reached(_)) => {}
                Ok(progress) => panic!("{what}: it goes on: {progress:?}"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), "closed", "{what}: {error}");
    }
    drop(held);
    image
        .into_iter()
        .for_each(|job| drop(run(job).unwrap_or_else(|error| panic!("{what}: {error}"))));
    run(engine
        .compact(A, CompactionRequest::default())
        .expect("begun"))
    .expect("done");
    assert!(shows(&engine), "{what}");
    audit(&engine, true);
    engine.close().expect("closed");
    drop(engine);
    let engine = place.open();
    assert!(shows(&engine), "{what}, and again");
}

/// Returns every state: its name, and the store in it with its jobs and snapshots.
fn in_each_state(steps: &[usize], mut see: impl FnMut(&str, &dyn Fn(&Place) -> (Logstor, Held))) {
    see("idle", &|place| (lived(place), Box::new(())));
    see("relief", &|place| {
        let engine = lived(place);
        let mut seqno = 120_u64;
        while !engine.maintenance.backpressure.lock().is_under_way() {
            seqno += 1;
            // Overwrites in no order: every segment keeps some live records.
            let key = noise(seqno, 2)
                .iter()
                .fold(0, |key, byte| key * 256 + u64::from(*byte))
                % 400;
            commit(
                &engine,
                A,
                &[set(seqno, &format!("more-{key}"), &noise(seqno, 3000))],
            )
            .expect("committed");
        }
        (engine, Box::new(()))
    });
    see("reclaimed", &|place| {
        let engine = lived(place);
        let mut seqno = 120;
        while commit(
            &engine,
            A,
            &[set(seqno, &format!("more-{seqno}"), &noise(seqno, 20_000))],
        )
        .is_ok()
        {
            seqno += 1;
        }
        (engine, Box::new(()))
    });
    for (name, begin) in JOBS {
        for &steps in steps {
            let is_over = std::cell::Cell::new(false);
            see(&format!("{name} after {steps} steps"), &|place| {
                let engine = ready(name, place);
                let mut job = begin(&engine);
                for _ in 0..steps {
                    if let JobProgress::Done(_) = job.step(STEP).expect("works") {
                        is_over.set(true);
                    }
                }
                (
                    engine,
                    if is_over.get() {
                        Box::new(())
                    } else {
                        Box::new(job)
                    },
                )
            });
            if is_over.get() {
                break;
            }
        }
    }
    for pieces in 0..4 {
        see(&format!("export after {pieces} pieces"), &|place| {
            let engine = lived(place);
            let mut export = engine.export(A).expect("there");
            for _ in 0..pieces {
                export.next_piece().expect("readable");
            }
            (engine, Box::new(export))
        });
    }
    see("snapshots", &|place| {
        let engine = lived(place);
        let held: Vec<Box<dyn Snapshot>> = vec![
            engine.snapshot(A).expect("there"),
            engine.snapshot(B).expect("there"),
        ];
        (engine, Box::new(held))
    });
}

#[test]
fn store_dropped_in_any_state_frees_its_directory_and_memory() {
    let steps: Vec<usize> = (0..6).chain((6..200).step_by(5)).collect();
    in_each_state(&steps, |what, make| {
        let disk = MemoryDisk::new();
        let place = Place {
            disk: Arc::new(disk.clone()),
            dir: PathBuf::from("/store"),
        };
        let (engine, held) = make(&place);
        drop_and_reopen(&place, engine, held, what);
        // A removed file exists as long as a handle is open.
        for name in place.disk.list(&place.dir).expect("there") {
            place.disk.remove(&place.dir.join(name)).expect("removed");
        }
        place.disk.sync_dir(&place.dir).expect("synced");
        assert_eq!(disk.usage().allocated_bytes, 0, "{what}: handles are open");
    });
}

#[test]
fn store_dropped_on_a_real_directory_opens_again() {
    // Syncs of real files take long.
    in_each_state(&[0, 2, 9, 30], |what, make| {
        let dir = tempfile::tempdir().expect("a place for temporary files");
        let place = Place {
            disk: Arc::new(OsDisk::new()),
            dir: dir.path().join("store"),
        };
        let (engine, held) = make(&place);
        drop_and_reopen(&place, engine, held, what);
    });
}

/// Returns everything a snapshot shows, or its error.
fn shown(snapshot: &dyn Snapshot) -> Result<Vec<Item>, EngineError> {
    Ok(snapshot
        .scan(
            lowtide_checkpoint::Seqno::ZERO,
            lowtide_checkpoint::Seqno::MAX,
            ScanLimit::NONE,
        )?
        .items)
}

#[test]
fn snapshot_of_a_dropped_store_shows_the_same_or_reports_why_not() {
    let place = Place {
        disk: Arc::new(MemoryDisk::new()),
        dir: PathBuf::from("/store"),
    };
    let engine = lived(&place);
    let snapshot = engine.snapshot(A).expect("there");
    let expected = shown(&*snapshot).expect("readable");
    drop(engine);
    assert_eq!(
        shown(&*snapshot).expect("no store has the directory"),
        expected
    );
    // The next store reuses the segments.
    let engine = place.open();
    engine.drop_vbucket(A).expect("dropped");
    assert_eq!(
        shown(&*snapshot).expect("nothing was overwritten yet"),
        expected
    );
    engine.create(A).expect("created");
    run(engine
        .compact(B, CompactionRequest::default())
        .expect("begun"))
    .expect("done");
    let mut refused = 0;
    for n in 0..200 {
        let high = engine.info(A).expect("there").high.0;
        commit(
            &engine,
            A,
            &[set(high + 1, &format!("key-{}", n % 30), &noise(n, 20_000))],
        )
        .expect("committed");
        match shown(&*snapshot) {
            Ok(items) => assert_eq!(items, expected),
            Err(error) => {
                refused += 1;
                assert!(
                    error
                        .to_string()
                        .contains("another one has reused the segment"),
                    "{error}"
                );
            }
        }
    }
    assert!(refused > 0, "every segment was used again");
}
