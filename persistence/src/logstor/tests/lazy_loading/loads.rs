//! Loads: a vBucket is loaded at its first use, and all of them before anything is freed.

use std::sync::Arc;

use lowtide_checkpoint::{Key, Namespace, Vbid};

use crate::contract::Engine;
use crate::disk::{MemoryDisk, MeteredDisk};
use crate::logstor::Logstor;
use crate::logstor::maintenance::reclaim;
use crate::logstor::tests::support::{
    A, B, IMAGES, SMALL, commit, commit_all, contents, open_with, run, set,
};

#[test]
fn vbucket_is_loaded_at_first_use_and_not_before() {
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

/// Rewriting frees nothing before it knows every live record.
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
        // Fills the store until few segments are left, most of them with dead records.
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
                // Overwrites all of one vBucket until space is short.
                for n in 30..700 {
                    let key = format!("a-{}", n % 29 + 1);
                    commit(&engine, A, &[set(n, &key, &[0; 9000])]).expect("committed");
                }
            }
            _ => {
                // The record needs more space than is free before the dead records are known.
                let large = vec![0; ((available(&engine) + 10) << 16) as usize];
                commit(&engine, A, &[set(high + 1, "large", &large)]).expect("there is room");
            }
        }
        assert_eq!(contents(&engine, B).len(), 29);
    }
}

/// Reclaims as a commit does that finds no space. Mostly the commit's own rewriting has loaded
/// everything before. Records of vBuckets that are not loaded are neither freed nor left behind.
#[test]
fn reclaim_loads_everything_first() {
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

/// L23: asking for figures changes nothing.
#[test]
fn figures_load_and_read_nothing_and_count_what_is_loaded() {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    for vb in [A, B] {
        engine.create(vb).expect("created");
        commit(&engine, vb, &[set(1, "a", b"1"), set(2, "b", b"2")]).expect("committed");
    }
    let before = engine.figures();
    assert_eq!(before.vbuckets_unloaded, 0);
    engine.close().expect("closed");
    drop(engine);
    let metered = MeteredDisk::new(Arc::new(disk));
    let (engine, _) = open_with(&metered, IMAGES).expect("opens");
    let reads = metered.stats().reads;
    let figures = engine.figures();
    assert_eq!(metered.stats().reads, reads);
    assert_eq!(engine.store.registry.left_to_load(), 2);
    assert_eq!(figures.vbuckets_unloaded, 2);
    assert!(figures.live_records < before.live_records, "{figures:?}");
    assert!(figures.debt_bytes > before.debt_bytes, "{figures:?}");
    engine.store.registry.load_all().expect("readable");
    let loaded = engine.figures();
    assert_eq!(loaded.vbuckets_unloaded, 0);
    assert_eq!(
        (loaded.live_records, loaded.common.live_bytes),
        (before.live_records, before.common.live_bytes)
    );
    assert_eq!(engine.stats()["live-bytes"], loaded.common.live_bytes);
}
