//! Gets and commits before the index is in memory: what they find, what becomes of them when the
//! power goes, when the image is damaged, and while others load.

use std::sync::atomic::{AtomicBool, Ordering};

use lowtide_checkpoint::{Item, Key, Namespace, Vbid};

use super::damage::change;
use super::life::{Pins, Shown, life, shown, take};
use super::support::{
    A, B, C, IMAGES, apply, audit, commit, commit_all, contents, delete, dir, dump, fork,
    hide_images, make_image, noise, open_with, run, set,
};
use crate::contract::{CompactionRequest, Engine, EngineError};
use crate::disk::{Disk, FaultyDisk, Keep, MemoryDisk};
use crate::logstor::{Logstor, LogstorConfig};

fn get(engine: &Logstor, vb: Vbid, key: &str) -> Result<Option<Item>, EngineError> {
    engine.get(vb, Namespace::Committed, &Key::new(key.as_bytes()))
}

/// A store with a life behind it, an image, and what came after that.
fn lived() -> (MemoryDisk, Shown) {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    let mut pins = Pins::default();
    for (step, _) in life() {
        assert!(take(&engine, &mut pins, &step).expect("done"));
    }
    let many: Vec<Item> = (100..200)
        .map(|n| set(n, &format!("b-{n}"), &noise(n, 50)))
        .collect();
    commit(&engine, B, &many).expect("committed");
    make_image(&engine).expect("made");
    engine.create(C).expect("created");
    commit(
        &engine,
        B,
        &[set(200, "b-117", b"after"), delete(201, "b-118")],
    )
    .expect("committed");
    commit(&engine, C, &[set(1, "late", b"made after the image")]).expect("committed");
    let shown = shown(&engine);
    drop((pins, engine));
    (fork(&disk), shown)
}

/// What is there, by the keys that were ever used.
fn assert_gets(engine: &Logstor, expected: &Shown) {
    let keys = expected
        .values()
        .flat_map(|contents| contents.values())
        .map(|item| item.key.clone());
    let never = ["b", "no", "", "c-1", "zzz"].map(|key| Key::new(key.as_bytes()));
    for key in keys.chain(never) {
        for (&vb, contents) in expected {
            let found = engine
                .get(Vbid(vb), Namespace::Committed, &key)
                .expect("readable");
            assert_eq!(
                found.as_ref(),
                contents.values().find(|item| item.key == key),
                "{key:?}"
            );
        }
    }
}

#[test]
fn every_key_is_found_before_the_index_is_in_memory() {
    let (disk, expected) = lived();
    for is_hidden in [false, true] {
        let disk = fork(&disk);
        if is_hidden {
            hide_images(&disk, true);
        }
        let (engine, _) = open_with(&disk, IMAGES).expect("opens");
        assert_gets(&engine, &expected);
        assert_eq!(
            engine.store.registry.left_to_load(),
            3,
            "nothing was loaded for that"
        );
        assert_eq!(shown(&engine), expected);
        assert_gets(&engine, &expected);
    }
}

/// A rollback makes records count again that the image knows nothing of: only loading can tell.
#[test]
fn a_vbucket_that_was_rolled_back_since_the_image_is_loaded_by_the_first_get() {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    engine.create(A).expect("created");
    commit(&engine, A, &[set(1, "a", b"1"), set(2, "b", b"2")]).expect("committed");
    let pin = engine.snapshot(A).expect("pinned");
    commit(&engine, A, &[set(3, "a", b"3")]).expect("committed");
    make_image(&engine).expect("made");
    engine
        .rollback(A, lowtide_checkpoint::Seqno(2))
        .expect("back");
    drop((pin, engine));
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    commit(&engine, A, &[set(3, "b", b"other")]).expect("committed");
    assert_eq!(engine.store.registry.left_to_load(), 1);
    assert_eq!(
        get(&engine, A, "b").expect("readable"),
        Some(set(3, "b", b"other"))
    );
    assert_eq!(
        engine.store.registry.left_to_load(),
        1,
        "what was committed since is known"
    );
    assert_eq!(
        get(&engine, A, "a").expect("readable"),
        Some(set(1, "a", b"1"))
    );
    assert_eq!(engine.store.registry.left_to_load(), 0);
    audit(&engine, true);
}

fn image_path(disk: &MemoryDisk) -> std::path::PathBuf {
    let mut names = disk.list(&dir()).expect("there");
    names.retain(|name| name.starts_with("index-"));
    assert_eq!(names.len(), 1, "{names:?}");
    dir().join(&names[0])
}

/// Batches in whose order it is done before anything is loaded.
fn batches() -> [Vec<(Vbid, Vec<Item>)>; 3] {
    [
        vec![(
            B,
            vec![
                set(300, "b-120", b"early"),
                delete(301, "b-121"),
                set(302, "new", b"n"),
            ],
        )],
        vec![
            (
                A,
                vec![delete(300, "key-3"), set(301, "large", &noise(3, 70_000))],
            ),
            (C, vec![delete(2, "late")]),
        ],
        vec![
            (
                B,
                vec![set(303, "b-121", b"again"), set(304, "b-120", b"twice")],
            ),
            (A, vec![set(302, "x", b"")]),
        ],
    ]
}

fn after(before: &Shown, batches: &[(Vbid, Vec<Item>)]) -> Shown {
    let mut after = before.clone();
    for (vb, items) in batches {
        after.insert(vb.0, apply(&before[&vb.0], items));
    }
    after
}

#[test]
fn a_damaged_block_of_the_image_costs_the_first_get_a_load_and_commits_nothing() {
    let (disk, before) = lived();
    let expected = batches()
        .iter()
        .fold(before, |shown, batches| after(&shown, batches));
    let go = |disk: &MemoryDisk| {
        let (engine, _) = open_with(disk, IMAGES).expect("opens");
        for batches in batches() {
            assert!(commit_all(&engine, &batches).iter().all(Result::is_ok));
        }
        assert_eq!(engine.store.registry.left_to_load(), 3);
        assert_gets(&engine, &expected);
        let loaded = 3 - engine.store.registry.left_to_load();
        (loaded, dump(&engine))
    };
    let (_, sound) = go(&fork(&disk));
    let rows: u64 = 64;
    let mut loads = 0;
    for n in 0..rows {
        let disk = fork(&disk);
        change(&disk, &image_path(&disk), n * 97, |byte| byte ^ 1);
        let (loaded, found) = go(&disk);
        assert_eq!(found, sound, "byte {}", n * 97);
        loads += loaded;
    }
    assert!(
        loads > 30,
        "{loads}: who reads the damaged block has it all loaded"
    );
}

/// Image and log are damaged: nobody knows it before something is looked for. What was committed
/// meanwhile is not shown, and does not get lost: it counts as live, and goes with its vBucket.
#[test]
fn a_commit_to_a_vbucket_that_turns_out_to_be_damaged_harms_nobody() {
    let disk = MemoryDisk::new();
    let config = LogstorConfig {
        disk_bytes: 40 * (64 << 10),
        ..IMAGES
    };
    let (engine, _) = open_with(&disk, config).expect("opens");
    engine.create(A).expect("created");
    engine.create(B).expect("created");
    for n in 1..20 {
        commit(&engine, A, &[set(n, &format!("a-{n}"), &noise(n, 3000))]).expect("committed");
        commit(&engine, B, &[set(n, &format!("b-{n}"), &noise(n, 3000))]).expect("committed");
    }
    run(engine.separate().expect("begun")).expect("separated");
    let at = {
        let vbucket = engine.store.registry.loaded(A).expect("there");
        let slot = vbucket.slots()[5];
        let (file, base) = engine
            .store
            .log
            .segments
            .geometry()
            .place(slot.location.segment);
        (
            super::support::log_path(file),
            base + u64::from(slot.location.offset) + 50,
        )
    };
    engine.close().expect("closed");
    drop(engine);
    change(&disk, &at.0, at.1, |byte| byte ^ 1);
    change(&disk, &image_path(&disk), 30, |byte| byte ^ 1);
    let (engine, report) = open_with(&disk, config).expect("opens");
    assert_eq!(report.unreadable, []);
    commit(&engine, A, &[set(20, "a-3", &noise(1, 9000))]).expect("nobody knows yet");
    assert_eq!(
        get(&engine, A, "a-3").expect("it was committed"),
        Some(set(20, "a-3", &noise(1, 9000)))
    );
    assert_eq!(get(&engine, A, "a-4").expect_err("lost").kind(), "corrupt");
    for error in [
        get(&engine, A, "a-3").expect_err("the whole vBucket is lost"),
        commit(&engine, A, &[set(21, "a", b"")]).expect_err("refused"),
        engine.info(A).expect_err("refused"),
    ] {
        assert_eq!(error.kind(), "corrupt");
    }
    // B overwrites until it has gone through all there is, more than once.
    for n in 20..900 {
        commit(
            &engine,
            B,
            &[set(n, &format!("b-{}", n % 19 + 1), &noise(n, 9000))],
        )
        .expect("committed");
    }
    let expected = contents(&engine, B);
    assert_eq!(expected.len(), 19);
    drop(engine);
    // What is there of A, and which of it is damaged, is as it was.
    let (engine, report) = open_with(&disk, config).expect("opens");
    assert_eq!(contents(&engine, B), expected);
    let is_told = !report.unreadable.is_empty() || engine.info(A).is_err();
    assert!(is_told, "it did not come back with something missing");
    engine.drop_vbucket(A).expect("dropped");
    for n in 900..1500 {
        commit(
            &engine,
            B,
            &[set(n, &format!("b-{}", n % 19 + 1), &noise(n, 9000))],
        )
        .expect("committed");
    }
    audit(&engine, true);
}

/// Opens, commits, loads in between, and rewrites in the end; how many commits were acknowledged.
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
fn power_loss_at_any_io_of_early_commits_keeps_what_was_acknowledged() {
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
            Keep::None,
            Keep::All,
            Keep::Random { seed: 2 * nth },
            Keep::Random { seed: 2 * nth + 1 },
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

const KEYS: u64 = 40;

/// Overwrites its vBucket's keys in turn, and looks at each before and after.
fn overwrite(engine: &Logstor, vb: Vbid, from: u64, commits: u64) {
    for seqno in from..from + commits {
        let key = format!("key-{}", seqno % KEYS);
        let before = get(engine, vb, &key)
            .expect("readable")
            .expect("there")
            .seqno
            .0;
        assert_eq!(before, seqno - KEYS);
        commit(engine, vb, &[set(seqno, &key, &noise(seqno, 200))]).expect("committed");
        let item = get(engine, vb, &key).expect("readable").expect("there");
        assert_eq!(item, set(seqno, &key, &noise(seqno, 200)));
    }
}

/// Each key of some vBucket is there, whole, and never older than it was.
fn look(engine: &Logstor, vb: Vbid, over: &AtomicBool) {
    let mut seen = vec![0; KEYS as usize];
    while !over.load(Ordering::SeqCst) {
        for (n, seen) in (0..).zip(&mut seen) {
            let item = get(engine, vb, &format!("key-{n}"))
                .expect("readable")
                .expect("there");
            assert!(item.seqno.0 >= *seen && item.value == Some(noise(item.seqno.0, 200).into()));
            *seen = item.seqno.0;
        }
    }
}

#[test]
fn gets_commits_and_loads_beside_one_another_agree() {
    let disk = MemoryDisk::new();
    let vbs = [Vbid(1), Vbid(2)];
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    for vb in vbs {
        engine.create(vb).expect("created");
        let first: Vec<Item> = (1..=KEYS)
            .map(|n| set(n, &format!("key-{}", n % KEYS), &noise(n, 200)))
            .collect();
        commit(&engine, vb, &first).expect("committed");
    }
    make_image(&engine).expect("made");
    drop(engine);
    let commits = 30;
    for round in 0..20 {
        let from = KEYS + 1 + round * commits;
        let (engine, _) = open_with(&disk, IMAGES).expect("opens");
        assert_eq!(engine.store.registry.left_to_load(), 2);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (engine, over) = (&engine, &over);
            scope.spawn(move || look(engine, vbs[0], over));
            let writers = vbs.map(|vb| scope.spawn(move || overwrite(engine, vb, from, commits)));
            let loader = scope.spawn(move || engine.store.registry.load_all());
            let rewriter = scope.spawn(move || run(engine.separate().expect("nobody else does")));
            let written = writers.map(|writer| writer.join());
            loader.join().expect("no panic").expect("loaded");
            rewriter.join().expect("no panic").expect("separated");
            over.store(true, Ordering::SeqCst);
            written
                .into_iter()
                .for_each(|written| written.expect("no panic"));
        });
        audit(&engine, true);
        make_image(&engine).expect("made");
        drop(engine);
    }
}
