//! The files of a store's directory: dropped vBuckets, leftovers, foreign files, and the lock.

use std::path::PathBuf;

use lowtide_checkpoint::{Key, Namespace, Seqno, Vbid};

use crate::contract::{Engine, EngineError};
use crate::couchstore::tests::support::{
    VB, commit, contents, dir, fixture, open, set, store_with,
};
use crate::disk::{Disk, MemoryDisk, PowerLoss};

#[test]
fn dropped_vbucket_never_comes_back() {
    let keeps = [
        PowerLoss::DropUnsynced,
        PowerLoss::KeepUnsynced,
        PowerLoss::Random { seed: 1 },
        PowerLoss::Random { seed: 2 },
    ];
    for (keep, again) in keeps
        .into_iter()
        .flat_map(|keep| [(keep, false), (keep, true)])
    {
        let disk = MemoryDisk::new();
        let (engine, _) = open(&disk).expect("opens");
        engine.create(VB).expect("created");
        commit(&engine, VB, &[set(1, "a", b"old")]).expect("committed");
        let pinned = engine.snapshot(VB).expect("there");
        engine.drop_vbucket(VB).expect("dropped");
        assert!(matches!(
            engine.info(VB),
            Err(EngineError::UnknownVBucket { .. })
        ));
        if again {
            engine.create(VB).expect("created");
            assert!(matches!(
                engine.create(VB),
                Err(EngineError::VBucketExists { .. })
            ));
            assert_eq!(disk.list(&dir()).expect("listed"), ["7.couch.2"]);
            assert!(contents(&engine, VB).is_empty());
        }
        assert!(
            pinned
                .get(Namespace::Committed, &Key::new(b"a"))
                .expect("readable")
                .is_some()
        );
        disk.crash(keep);
        drop(engine);
        let (engine, _) = open(&disk).expect("opens");
        assert_eq!(engine.vbuckets().len(), usize::from(again), "{keep:?}");
        assert!(!again || contents(&engine, VB).is_empty());
    }
}

#[test]
fn opening_removes_leftovers_and_keeps_foreign_files() {
    let disk = store_with("b_ten");
    for name in [
        "7.couch.boot",
        "9.couch.boot",
        "7.couch.2.compact",
        "notes.txt",
        "master.couch.1",
    ] {
        disk.create(&dir().join(name)).expect("new");
    }
    let newer = std::fs::read(fixture("e_base.couch.1")).expect("fixture");
    disk.create(&dir().join("7.couch.10"))
        .expect("new")
        .write_at(&[&newer], 0)
        .expect("written");
    let (engine, report) = open(&disk).expect("opens");
    assert_eq!(engine.vbuckets(), [VB]);
    assert!(matches!(
        engine.check(Vbid(9)),
        Err(EngineError::UnknownVBucket { .. })
    ));
    assert_eq!(
        engine.info(VB).expect("there").high,
        Seqno(15),
        "10 is newer than 1"
    );
    assert_eq!(
        disk.list(&dir()).expect("listed"),
        ["7.couch.10", "master.couch.1", "notes.txt"]
    );
    let mut named: Vec<PathBuf> = report.repairs.into_iter().map(|(path, _)| path).collect();
    named.sort();
    let names = [
        "7.couch.1",
        "7.couch.2.compact",
        "7.couch.boot",
        "9.couch.boot",
        "notes.txt",
    ];
    assert_eq!(named, names.map(|name| dir().join(name)));
    engine.drop_vbucket(VB).expect("dropped");
    engine.create(VB).expect("created");
    assert!(
        disk.list(&dir())
            .expect("listed")
            .contains(&"7.couch.11".to_owned())
    );
}

#[test]
fn second_opening_of_a_store_is_refused() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(open(&disk).expect_err("locked").kind(), "locked");
    engine.close().expect("closed");
    open(&disk).expect("closing frees the lock");
}
