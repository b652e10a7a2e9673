//! One file that cannot be read: its vBucket reports the reason at every operation, the others
//! serve, and it can be dropped.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use lowtide_checkpoint::{Key, Namespace, Seqno, Vbid};

use crate::contract::{Engine, EngineError};
use crate::couchstore::config::CouchstoreConfig;
use crate::couchstore::engine::Couchstore;
use crate::couchstore::tests::support::{VB, commit, contents, dir, fixture, open, set};
use crate::disk::{Access, Disk, DiskOperation, Fault, FaultyDisk, MemoryDisk, OsDisk, PowerLoss};

const OTHER: Vbid = Vbid(8);

/// Makes a store of two vBuckets. The file of the first is one of the vendor's, under revision 4.
fn store_with(case: &str) -> FaultyDisk {
    let disk = FaultyDisk::new(MemoryDisk::new());
    let (engine, _) = open(&disk).expect("opens");
    engine.create(OTHER).expect("created");
    commit(&engine, OTHER, &[set(1, "a", b"1")]).expect("committed");
    engine.close().expect("closed");
    put(&disk, case, "7.couch.4");
    disk
}

fn put(disk: &FaultyDisk, case: &str, name: &str) {
    let golden = std::fs::read(fixture(&format!("{case}.couch.1"))).expect("fixture");
    let file = disk.create(&dir().join(name)).expect("new");
    file.write_at(&[&golden], 0).expect("written");
    file.sync_data().expect("synced");
    disk.sync_dir(&dir()).expect("synced");
}

fn refusals(engine: &dyn Engine) -> Vec<EngineError> {
    vec![
        engine.info(VB).expect_err("info"),
        engine.snapshot(VB).expect_err("snapshot"),
        engine
            .get(VB, Namespace::Committed, &Key::new(b"a"))
            .expect_err("get"),
        commit(engine, VB, &[set(99, "a", b"1")]).expect_err("commit"),
        engine.rollback(VB, Seqno(0)).expect_err("rollback"),
        engine.purge(VB, Seqno(0)).expect_err("purge"),
    ]
}

#[test]
fn unreadable_file_does_not_affect_other_vbuckets() {
    let path = dir().join("7.couch.4");
    for (case, kind, offset) in [
        ("f_bad_header", "corrupt", Some(12288)),
        ("f_bad_blocktype", "corrupt", Some(12288)),
        ("e_torn_in_header", "corrupt", Some(12288)),
        ("i_encrypted_v0_wrapped", "unsupported", None),
    ] {
        let disk = store_with(case);
        let (engine, report) = open(&disk).expect("opens");
        assert_eq!(engine.vbuckets(), [VB, OTHER]);
        assert_eq!(
            (report.vbuckets, report.unreadable.len()),
            (2, 1),
            "{report:?}"
        );
        assert!(report.unreadable[0].1.contains("7.couch.4"), "{report:?}");
        for error in refusals(&engine) {
            assert_eq!(error.kind(), kind, "{case}: {error}");
            match error {
                EngineError::Corrupt {
                    path: of,
                    offset: at,
                    ..
                } => {
                    assert_eq!((of, Some(at)), (path.clone(), offset));
                }
                EngineError::Unsupported { path: of, .. } => assert_eq!(of, path),
                other => panic!("{other}"),
            }
        }
        assert_eq!(
            engine.create(VB).expect_err("there").kind(),
            "vbucket-exists"
        );
        assert_eq!(contents(&engine, OTHER).len(), 1);
        commit(&engine, OTHER, &[set(2, "b", b"2")]).expect("committed");
        assert_eq!(engine.stats()["vbuckets"], 2);

        engine.drop_vbucket(VB).expect("dropped");
        assert_eq!(engine.vbuckets(), [OTHER]);
        engine.create(VB).expect("created");
        assert_eq!(
            disk.list(&dir()).expect("listed"),
            ["7.couch.5", "8.couch.1"]
        );
        commit(&engine, VB, &[set(1, "new", b"1")]).expect("committed");
        engine.close().expect("closed");
    }
}

#[test]
fn unreadable_vbucket_does_not_prevent_closing() {
    let disk = store_with("f_bad_header");
    let (engine, _) = open(&disk).expect("opens");
    engine.close().expect("closed");
    drop(engine);
    assert_eq!(
        open(&disk).expect("opens").1.unreadable.len(),
        1,
        "nothing was repaired away"
    );
}

/// An older revision may be all that is left of the data. Once the vBucket is dropped, it must not
/// come back.
#[test]
fn older_revisions_of_an_unreadable_file_are_kept_until_the_drop() {
    let broken = || {
        let disk = store_with("f_bad_header");
        put(&disk, "b_ten", "7.couch.2");
        put(&disk, "b_ten", "7.couch.3");
        disk
    };
    let disk = broken();
    let (engine, report) = open(&disk).expect("opens");
    let kept: Vec<PathBuf> = report.repairs.into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        kept,
        ["7.couch.2", "7.couch.3"].map(|name| dir().join(name))
    );
    assert_eq!(disk.list(&dir()).expect("listed").len(), 4);
    let before = disk.io_count();
    engine.drop_vbucket(VB).expect("dropped");
    let ios = disk.io_count() - before;
    assert!(ios >= 5, "{ios}");
    let mut cases = 0;
    for nth in 1..=ios {
        for keep in [PowerLoss::DropUnsynced, PowerLoss::KeepUnsynced]
            .into_iter()
            .chain((0..20).map(|seed| PowerLoss::Random { seed }))
        {
            let disk = broken();
            let (engine, _) = open(&disk).expect("opens");
            disk.power_off_at_io(nth);
            assert!(engine.drop_vbucket(VB).is_err());
            disk.crash(keep);
            drop(engine);
            let (engine, report) = open(&disk).expect("opens");
            let is_there = engine.vbuckets().contains(&VB);
            assert_eq!(
                report.unreadable.len(),
                usize::from(is_there),
                "off at {nth}, {keep:?}: {report:?}"
            );
            cases += 1;
        }
        let disk = broken();
        let (engine, _) = open(&disk).expect("opens");
        disk.fail_io(nth, Fault::Eio);
        if engine.drop_vbucket(VB).is_err() {
            drop(engine);
            let (engine, _) = open(&disk).expect("opens");
            if engine.vbuckets().contains(&VB) {
                assert_eq!(engine.info(VB).expect_err("unreadable").kind(), "corrupt");
                engine.drop_vbucket(VB).expect("dropped");
            }
        }
    }
    assert!(cases >= 100, "{cases}");
}

/// A failure that may pass is not a property of the file.
#[test]
fn failing_disk_fails_the_opening() {
    let disk = store_with("f_bad_header");
    disk.fail_sync(1);
    assert_eq!(open(&disk).expect_err("failed").kind(), "io");
    assert!(
        disk.open(&dir().join("7.couch.4"), Access::ReadOnly)
            .is_ok()
    );
    assert_eq!(open(&disk).expect("opens").1.unreadable.len(), 1);
}

/// Wrong permissions, a bad sector, a link in a circle: only that vBucket is affected.
#[test]
fn file_that_cannot_be_opened_affects_its_vbucket_only() {
    for kind in [
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::Other,
        io::ErrorKind::NotFound,
    ] {
        let disk = store_with("b_ten");
        let path = dir().join("7.couch.4");
        disk.refuse_open(&path, Some(kind));
        let (engine, report) = open(&disk).expect("opens");
        assert_eq!(
            (engine.vbuckets(), report.unreadable.len()),
            (vec![VB, OTHER], 1),
            "{report:?}"
        );
        assert!(
            report.unreadable[0]
                .1
                .contains("cannot open /store/7.couch.4"),
            "{report:?}"
        );
        for error in refusals(&engine) {
            let EngineError::Disk(error) = error else {
                panic!("{error}")
            };
            assert_eq!(
                (error.operation, &error.path, error.source.kind()),
                (DiskOperation::Open, &path, kind)
            );
        }
        assert_eq!(
            engine.create(VB).expect_err("there").kind(),
            "vbucket-exists"
        );
        assert!(
            disk.list(&dir())
                .expect("listed")
                .contains(&"7.couch.4".to_owned()),
            "it is left alone"
        );
        assert_eq!(contents(&engine, OTHER).len(), 1);
        commit(&engine, OTHER, &[set(2, "b", b"2")]).expect("committed");
        engine.close().expect("closed");
        drop(engine);

        // The reason may pass. Then all of the content is there.
        disk.refuse_open(&path, None);
        let (engine, report) = open(&disk).expect("opens");
        assert_eq!(
            (report.unreadable.len(), contents(&engine, VB).len()),
            (0, 10)
        );
        engine.close().expect("closed");
        drop(engine);
        disk.refuse_open(&path, Some(kind));
        let (engine, _) = open(&disk).expect("opens");
        engine.drop_vbucket(VB).expect("dropped");
        assert_eq!(disk.list(&dir()).expect("listed"), ["8.couch.1"]);
    }
}

#[test]
fn dangling_links_affect_their_vbuckets_only() {
    use std::os::unix::fs::symlink;
    let place = tempfile::tempdir().expect("a place for temporary files");
    let dir = place.path();
    let open = || {
        Couchstore::open(Arc::new(OsDisk::new()), dir, CouchstoreConfig::DEFAULT).expect("opens")
    };
    let (engine, _) = open();
    engine.create(OTHER).expect("created");
    commit(&engine, OTHER, &[set(1, "a", b"1")]).expect("committed");
    engine.close().expect("closed");
    drop(engine);
    symlink(dir.join("nowhere"), dir.join("1.couch.1")).expect("made");
    symlink(dir.join("2.couch.1"), dir.join("2.couch.1")).expect("made");
    let (engine, report) = open();
    let unreadable: Vec<u16> = report.unreadable.iter().map(|(vb, _)| vb.0).collect();
    assert_eq!(unreadable, [1, 2], "{report:?}");
    assert_eq!(contents(&engine, OTHER).len(), 1);
    for vb in [Vbid(1), Vbid(2)] {
        assert_eq!(engine.info(vb).expect_err("a link").kind(), "io");
        assert_eq!(
            engine.create(vb).expect_err("there").kind(),
            "vbucket-exists"
        );
        engine.drop_vbucket(vb).expect("the link goes");
    }
    assert_eq!(engine.vbuckets(), [OTHER]);
    engine.close().expect("closed");
}
