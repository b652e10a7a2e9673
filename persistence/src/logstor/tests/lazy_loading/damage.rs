//! Gets and commits before the index is loaded, with damage to the image and to the log.

use super::stores::{after, assert_gets, batches, get, image_path, lived};
use crate::contract::Engine;
use crate::disk::MemoryDisk;
use crate::logstor::LogstorConfig;
use crate::logstor::tests::support::{
    A, B, IMAGES, audit, change_byte, commit, commit_all, contents, dump, fork, log_path, noise,
    open_with, run, set,
};

#[test]
fn damaged_image_block_makes_the_first_get_load_the_vbucket() {
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
        change_byte(&disk, &image_path(&disk), n * 97, |byte| byte ^ 1);
        let (loaded, found) = go(&disk);
        assert_eq!(found, sound, "byte {}", n * 97);
        loads += loaded;
    }
    assert!(
        loads > 30,
        "{loads}: who reads the damaged block has it all loaded"
    );
}

/// Image and log are both damaged, and the store reports it only at the first lookup. The batch
/// committed meanwhile is not shown and not lost: it counts as live, and goes with its vBucket.
#[test]
fn commit_to_a_vbucket_later_found_damaged_harms_no_other() {
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
        (log_path(file), base + u64::from(slot.location.offset) + 50)
    };
    engine.close().expect("closed");
    drop(engine);
    change_byte(&disk, &at.0, at.1, |byte| byte ^ 1);
    change_byte(&disk, &image_path(&disk), 30, |byte| byte ^ 1);
    let (engine, report) = open_with(&disk, config).expect("opens");
    assert_eq!(report.unreadable, []);
    commit(&engine, A, &[set(20, "a-3", &noise(1, 9000))]).expect("the damage is not known yet");
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
    // B overwrites until it has used every segment more than once.
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
    // A is exactly as damaged as before.
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
