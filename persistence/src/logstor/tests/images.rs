//! Index images: what they spare, and what becomes of them when they are damaged, missing, or
//! somebody else's.

use std::sync::Arc;

use lowtide_checkpoint::{Key, Namespace, Vbid};

use super::damage::change;
use super::life::{Pins, life, shown, take};
use super::support::{
    A, B, IMAGES, SMALL, commit, commit_all, contents, dir, dump, hide_images, make_image,
    open_with, run, set,
};
use crate::contract::{Engine, EngineError, Executor, InOrder, Task};
use crate::disk::{Disk, FaultyDisk, MemoryDisk};
use crate::logstor::maintenance::reclaim;
use crate::logstor::{Logstor, LogstorConfig};

/// A store that has lived and was closed, or killed; it has an image.
fn lived(config: LogstorConfig, is_closed: bool) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, config).expect("opens");
    let mut pins = Pins::default();
    for (step, _) in life() {
        assert!(take(&engine, &mut pins, &step).expect("done"));
    }
    make_image(&engine).expect("made");
    commit(&engine, B, &[set(2, "after", b"a")]).expect("committed");
    if is_closed {
        engine.close().expect("closed");
    }
    disk
}

fn image_name(disk: &MemoryDisk) -> String {
    let mut names = disk.list(&dir()).expect("there");
    names.retain(|name| name.starts_with("index-"));
    assert_eq!(names.len(), 1, "{names:?}");
    names.remove(0)
}

/// What opening says, and everything the store knows then.
fn opened(disk: &MemoryDisk) -> (String, String) {
    let (engine, report) = open_with(disk, IMAGES).expect("opens");
    assert_eq!(report.repairs, []);
    (report.notes.concat(), dump(&engine))
}

#[test]
fn opening_reads_the_image_and_what_came_after_it() {
    let disk = lived(IMAGES, false);
    let (note, with_image) = opened(&disk);
    assert!(note.contains("knows everything up to append"), "{note}");
    // One that was being committed to and two that rewriting had open, with one batch's item.
    assert!(
        note.starts_with("read 3 of 20 segments, 1 records"),
        "{note}"
    );
    assert_eq!(hide_images(&disk, true), 1);
    let (note, without) = opened(&disk);
    assert!(
        note.contains("without an index image: there is none"),
        "{note}"
    );
    assert_eq!(with_image, without);
}

#[test]
fn closing_writes_an_image_when_enough_was_appended() {
    for (config, images) in [
        (IMAGES, 1),
        (SMALL, 0),
        (
            LogstorConfig {
                image_bytes: 4 << 20,
                ..SMALL
            },
            1,
        ),
    ] {
        let disk = lived(config, true);
        assert_eq!(hide_images(&disk, true), images, "{config:?}");
    }
    let disk = lived(IMAGES, true);
    let name = image_name(&disk);
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    engine.close().expect("closed");
    assert_eq!(image_name(&disk), name, "nothing was appended");
}

#[test]
fn a_store_that_nobody_writes_to_makes_an_image_sooner() {
    let disk = MemoryDisk::new();
    let config = LogstorConfig {
        image_bytes: 1 << 20,
        garbage_percent: None,
        ..SMALL
    };
    let (engine, _) = open_with(&disk, config).expect("opens");
    engine.create(A).expect("created");
    for n in 1..60 {
        commit(&engine, A, &[set(n, &format!("key-{n}"), &[0; 3000])]).expect("committed");
        while let Some(job) = engine.maintenance() {
            run(job).expect("done");
        }
        assert_eq!(engine.stats()["images"], 0);
    }
    // An eighth of a MiB was appended long ago; but a host that looks often looks between two
    // commits, too.
    for _ in 0..63 {
        assert!(engine.maintenance().is_none());
    }
    commit(&engine, A, &[set(60, "key-60", b"")]).expect("committed");
    let (looks, job) = (0..100)
        .find_map(|look| Some((look, engine.maintenance()?)))
        .expect("nobody writes");
    assert_eq!(
        looks, 65,
        "the first finds what was appended, and 64 nothing more"
    );
    run(job).expect("made");
    assert_eq!(engine.stats()["images"], 1);
    assert!(engine.maintenance().is_none());
}

#[test]
fn an_image_is_not_due_before_it_is_worth_its_bytes() {
    let disk = MemoryDisk::new();
    let config = LogstorConfig {
        image_bytes: 100_000,
        image_percent: 10,
        ..SMALL
    };
    let (engine, _) = open_with(&disk, config).expect("opens");
    engine.create(A).expect("created");
    let mut images = Vec::new();
    for n in 1..400 {
        commit(&engine, A, &[set(n, &format!("key-{n}"), &[0; 3000])]).expect("committed");
        if let Some(job) = engine.maintenance.image_job() {
            run(job).expect("made");
            images.push(n);
        }
    }
    // A block a commit; an image has 40 bytes a key, and 10 % of what was appended since would be
    // 400.
    assert!(
        images.windows(2).all(|pair| pair[1] - pair[0] >= 25),
        "{images:?}"
    );
    assert!(images.len() > 10, "{images:?}");
    let stats = engine.stats();
    assert_eq!(stats["images"], images.len() as u64);
    assert!(
        stats["image-bytes"] * 8 < stats["bytes-written"],
        "{stats:?}"
    );
}

#[test]
fn a_damaged_image_costs_time_and_nothing_else() {
    let disk = lived(IMAGES, true);
    let sound = opened(&disk).1;
    let name = image_name(&disk);
    let path = dir().join(&name);
    let len = disk
        .open(&path, crate::disk::Access::ReadOnly)
        .expect("there")
        .len()
        .expect("known");
    let (mut scanned, mut lazily) = (0, 0);
    for offset in (0..len).step_by(41).chain(len - 24..len) {
        let disk = lived(IMAGES, true);
        change(&disk, &path, offset, |byte| byte ^ 4);
        let (note, found) = opened(&disk);
        assert_eq!(found, sound, "byte {offset}");
        let is_scanned = note.contains("without an index image: index-");
        *(if is_scanned {
            &mut scanned
        } else {
            &mut lazily
        }) += 1;
    }
    assert!(scanned > 24 && lazily > 24, "{scanned} {lazily}");
}

#[test]
fn an_image_of_another_store_or_time_is_not_believed() {
    let disk = lived(IMAGES, true);
    let sound = opened(&disk).1;
    let name = image_name(&disk);
    // Another store's.
    let other = lived(
        LogstorConfig {
            hash_key: [3, 4],
            ..IMAGES
        },
        true,
    );
    copy(&other, &image_name(&other), &disk, &name);
    let (note, found) = opened(&disk);
    assert!(note.contains("it is another store's"), "{note}");
    assert_eq!(found, sound);
    // One that was left over from long before: true, and of little use.
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    let mut pins = Pins::default();
    let mut early = None;
    for (step, _) in life() {
        assert!(take(&engine, &mut pins, &step).expect("done"));
        if early.is_none() {
            make_image(&engine).expect("made");
            early = (engine.stats()["images"] == 3).then(|| bytes_of(&disk, &image_name(&disk)));
        }
    }
    let now = shown(&engine);
    drop((pins, engine));
    hide_images(&disk, true);
    let sound = opened(&disk).1;
    put(&disk, "index-00000003", &early.expect("made"));
    let (note, found) = opened(&disk);
    assert!(note.contains("index-00000003 knows"), "{note}");
    assert_eq!(found, sound);
    assert_eq!(shown(&open_with(&disk, IMAGES).expect("opens").0), now);
}

fn bytes_of(disk: &MemoryDisk, name: &str) -> Vec<u8> {
    let file = disk
        .open(&dir().join(name), crate::disk::Access::ReadOnly)
        .expect("there");
    let mut bytes = vec![0; file.len().expect("known") as usize];
    file.read_at(&mut bytes, 0).expect("read");
    bytes
}

fn put(disk: &MemoryDisk, name: &str, bytes: &[u8]) {
    let path = dir().join(name);
    let _ = disk.remove(&path);
    disk.create(&path)
        .expect("made")
        .write_at(&[bytes], 0)
        .expect("written");
}

fn copy(from: &MemoryDisk, name: &str, to: &MemoryDisk, as_name: &str) {
    put(to, as_name, &bytes_of(from, name));
}

#[test]
fn a_vbucket_is_loaded_when_it_is_used_and_not_before() {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    let vbs: Vec<Vbid> = (0..20).map(Vbid).collect();
    for &vb in &vbs {
        engine.create(vb).expect("created");
        commit(&engine, vb, &[set(1, "a", b"1"), set(2, "b", b"2")]).expect("committed");
    }
    engine.close().expect("closed");
    drop(engine);
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    assert_eq!(engine.store.registry.left_to_load(), 20);
    assert_eq!(contents(&engine, vbs[3]).len(), 2);
    commit(&engine, vbs[4], &[set(3, "a", b"3")]).expect("committed");
    let get = |key: &[u8]| {
        let found = engine
            .get(vbs[4], Namespace::Committed, &Key::new(key))
            .expect("readable");
        found.map(|item| item.seqno.0)
    };
    assert_eq!([get(b"a"), get(b"b"), get(b"c")], [Some(3), Some(2), None]);
    engine.drop_vbucket(vbs[5]).expect("dropped");
    assert_eq!(
        engine.store.registry.left_to_load(),
        18,
        "gets and commits need no more than they ask for"
    );
    run(engine.maintenance().expect("there is something to load")).expect("loaded");
    assert_eq!(engine.store.registry.left_to_load(), 0);
    assert!(engine.maintenance.load_job().is_none());
}

/// Rewriting must know every record that is needed, before it frees anything.
#[test]
fn nothing_is_freed_before_everything_is_loaded() {
    for by in ["separating", "relieving", "reclaiming"] {
        let disk = MemoryDisk::new();
        let (engine, _) = open_with(&disk, IMAGES).expect("opens");
        engine.create(A).expect("created");
        engine.create(B).expect("created");
        let both = |n: u64| {
            let item = |key: &str| vec![set(n, &format!("{key}-{n}"), &[n as u8; 9000])];
            vec![(A, item("a")), (B, item("b"))]
        };
        for n in 1..30 {
            assert!(commit_all(&engine, &both(n)).iter().all(Result::is_ok));
        }
        // Until little is left, and much of the rest is dead.
        let available = |engine: &Logstor| {
            let census = engine.store.log.segments.census();
            census.free + census.possible
        };
        let mut high = 29;
        while by == "reclaiming" && available(&engine) > 8 {
            high += 1;
            let item = set(high, &format!("a-{}", high % 29 + 1), &[0; 9000]);
            commit(&engine, A, &[item]).expect("committed");
        }
        engine.close().expect("closed");
        drop(engine);
        let (engine, _) = open_with(&disk, IMAGES).expect("opens");
        match by {
            "separating" => drop(run(engine.separate().expect("begun")).expect("separated")),
            "relieving" => {
                // Overwriting all of one vBucket until space is short.
                for n in 30..700 {
                    let key = format!("a-{}", n % 29 + 1);
                    commit(&engine, A, &[set(n, &key, &[0; 9000])]).expect("committed");
                }
            }
            _ => {
                // One record for which there is not enough room before what is dead is known.
                let large = vec![0; ((available(&engine) + 10) << 16) as usize];
                commit(&engine, A, &[set(high + 1, "large", &large)]).expect("there is room");
            }
        }
        assert_eq!(contents(&engine, B).len(), 29);
    }
}

/// As a commit does that finds no room; mostly its part of the rewriting has made some before, and
/// loaded everything. What is not loaded seems dead, or is held: it is to be neither freed nor
/// left.
#[test]
fn reclaiming_loads_everything_first() {
    for (config, is_overwritten) in [
        (SMALL, false),
        (SMALL, true),
        (IMAGES, false),
        (IMAGES, true),
    ] {
        let disk = MemoryDisk::new();
        let (engine, _) = open_with(&disk, config).expect("opens");
        engine.create(A).expect("created");
        engine.create(B).expect("created");
        for n in 1..30 {
            let other = if is_overwritten {
                "b".to_owned()
            } else {
                format!("b-{n}")
            };
            let item = |key: &str| vec![set(n, key, &[n as u8; 9000])];
            let batches = [(A, item(&format!("a-{n}"))), (B, item(&other))];
            assert!(commit_all(&engine, &batches).iter().all(Result::is_ok));
        }
        engine.close().expect("closed");
        drop(engine);
        let (engine, _) = open_with(&disk, config).expect("opens");
        assert_eq!(engine.store.registry.left_to_load(), 2);
        let is_freed =
            reclaim(&engine.store, &mut engine.maintenance.outputs.lock()).expect("readable");
        assert_eq!(is_freed, is_overwritten, "where something is dead");
        let expected = if is_overwritten { [29, 1] } else { [29, 29] };
        assert_eq!(
            [contents(&engine, A).len(), contents(&engine, B).len()],
            expected
        );
    }
}

#[test]
fn power_that_goes_while_a_vbucket_is_loaded_harms_nothing() {
    let memory = lived(IMAGES, true);
    let disk = FaultyDisk::new(memory.clone());
    let sound = opened(&memory).1;
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    disk.power_off_at_io(1);
    assert!(engine.create(Vbid(5)).is_err());
    let error = engine.info(A).expect_err("no power");
    assert_eq!(error.kind(), "power-lost");
    drop(engine);
    disk.crash(crate::disk::Keep::None);
    assert_eq!(opened(&memory).1, sound);
}

/// A thread for each task.
#[derive(Debug)]
struct Threads;

impl Executor for Threads {
    fn run(&self, tasks: Vec<Task<'_>>) {
        std::thread::scope(|scope| tasks.into_iter().for_each(|task| drop(scope.spawn(task))));
    }
}

/// The last one first.
#[derive(Debug)]
struct Backwards;

impl Executor for Backwards {
    fn run(&self, tasks: Vec<Task<'_>>) {
        tasks.into_iter().rev().for_each(|task| task());
    }
}

#[test]
fn opening_finds_the_same_whoever_reads() {
    let disk = lived(IMAGES, false);
    let open = |executor: &dyn Executor| -> Result<_, EngineError> {
        let (engine, report) =
            Logstor::open_with(Arc::new(disk.clone()), &dir(), IMAGES, executor)?;
        Ok((report, dump(&engine)))
    };
    for is_hidden in [false, true] {
        hide_images(&disk, is_hidden);
        let expected = open(&InOrder).expect("opens");
        for executor in [&Threads as &dyn Executor, &Backwards] {
            assert_eq!(open(executor).expect("opens"), expected);
        }
    }
    // Of several that are damaged the first is told.
    let told = |executor: &dyn Executor| {
        open(executor)
            .map_err(|error| error.to_string())
            .map(|(report, dump)| (report.unreadable, dump))
    };
    let flip = |blocks: [u64; 3]| {
        for block in blocks {
            change(
                &disk,
                &super::support::log_path(0),
                block * 4096 + 5,
                |byte| byte ^ 1,
            );
        }
    };
    let mut errors = 0;
    for n in 0..40_u64 {
        let blocks = [n * 7 % 61, n * 11 % 61, n * 17 % 61];
        flip(blocks);
        let expected = told(&InOrder);
        assert_eq!(
            [told(&Threads), told(&Backwards)],
            [expected.clone(), expected.clone()]
        );
        errors += usize::from(expected.is_err());
        flip(blocks);
    }
    assert!(errors > 5, "{errors}");
}
