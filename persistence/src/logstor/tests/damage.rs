//! Damaged stores: what was acknowledged and is damaged is told, with its place; nothing panics.

use std::path::PathBuf;

use lowtide_checkpoint::{Seqno, Vbid};

use super::life::{Pins, life, shown, take};
use super::support::{
    A, B, IMAGES, SMALL, audit, commit, commit_all, contents, log_path, make_image, open,
    open_with, run, set,
};
use crate::contract::{CompactionRequest, Engine, EngineError, ScanLimit};
use crate::disk::{Access, Disk, Fault, FaultyDisk, MemoryDisk};
use crate::logstor::{Logstor, LogstorConfig};

fn store() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(A).expect("created");
    for n in 0..6 {
        commit(
            &engine,
            A,
            &[set(n + 1, &format!("key-{n}"), &[n as u8; 700])],
        )
        .expect("committed");
    }
    engine.close().expect("closed");
    disk
}

pub(super) fn change(
    disk: &MemoryDisk,
    name: &std::path::Path,
    offset: u64,
    to: impl Fn(u8) -> u8,
) {
    let file = disk.open(name, Access::ReadWrite).expect("there");
    let mut byte = [0];
    file.read_at(&mut byte, offset).expect("read");
    file.write_at(&[&[to(byte[0])]], offset).expect("written");
}

#[test]
fn damage_in_an_acknowledged_frame_is_told() {
    // Of six frames of a block the last may be torn; nobody knows better.
    for block in 0..5_u64 {
        // Without a header nobody knows whose the frame was.
        for at in [0, 5, 9, 30, 59, 63] {
            let disk = store();
            change(&disk, &log_path(0), block * 4096 + at, |byte| byte ^ 16);
            let error = open(&disk).expect_err("damaged");
            assert_eq!(error.kind(), "corrupt", "block {block}, byte {at}: {error}");
        }
        for at in [64, 100, 700] {
            let disk = store();
            change(&disk, &log_path(0), block * 4096 + at, |byte| byte ^ 16);
            let (engine, report) = open(&disk).expect("opens");
            let place = format!("log-00000000 at offset {}: ", block * 4096);
            let (vb, what) = &report.unreadable[0];
            assert!(*vb == A && what.contains(&place), "{what}");
            assert_refused(&engine, A);
        }
    }
}

/// A piece of a large record is alone in its segment: without its header the segment seemed never
/// to have been used, and the record to have been freed.
#[test]
fn a_damaged_header_that_is_alone_in_its_segment_is_told() {
    for at in [0, 5, 9, 30, 59, 63] {
        let disk = MemoryDisk::new();
        let (engine, _) = open(&disk).expect("opens");
        engine.create(A).expect("created");
        commit(&engine, A, &[set(1, "large", &[1; 100_000])]).expect("committed");
        commit(&engine, A, &[set(2, "small", b"")]).expect("committed");
        drop(engine);
        change(&disk, &log_path(0), at, |byte| byte ^ 16);
        let error = open(&disk).expect_err("damaged");
        assert!(
            matches!(error, EngineError::Corrupt { offset: 0, .. }),
            "byte {at}: {error}"
        );
    }
}

/// Where a failed append was cut off nobody looked whether all that came before was there.
#[test]
fn a_damaged_header_before_what_was_cut_off_is_told() {
    let disk = FaultyDisk::new(MemoryDisk::new());
    let (engine, _) = open(&disk).expect("opens");
    engine.create(A).expect("created");
    for seqno in 1..=3 {
        commit(&engine, A, &[set(seqno, "key", &[seqno as u8; 700])]).expect("committed");
    }
    disk.fail_write(1, Fault::EioPersisted);
    assert!(commit(&engine, A, &[set(4, "failed", b"")]).is_err());
    commit(&engine, A, &[set(4, "other", b"")]).expect("committed");
    drop(engine);
    for block in [1, 2] {
        change(disk.memory(), &log_path(0), block * 4096 + 20, |byte| {
            byte ^ 16
        });
        let error = open(&disk).expect_err("damaged");
        assert!(
            matches!(error, EngineError::Corrupt { .. }),
            "block {block}: {error}"
        );
        change(disk.memory(), &log_path(0), block * 4096 + 20, |byte| {
            byte ^ 16
        });
    }
    assert_eq!(
        open(&disk).expect("sound").0.info(A).expect("there").high,
        Seqno(4)
    );
}

/// A vBucket that can't be read answers everything with that; it is there.
fn assert_refused(engine: &Logstor, vb: Vbid) {
    assert!(engine.vbuckets().contains(&vb));
    let errors = [
        engine.info(vb).expect_err("unreadable"),
        engine.snapshot(vb).expect_err("unreadable"),
        engine.check(vb).expect_err("unreadable"),
        commit(engine, vb, &[set(1000, "a", b"")]).expect_err("unreadable"),
        engine.purge(vb, Seqno(5)).expect_err("unreadable"),
        engine.rollback(vb, Seqno(0)).expect_err("unreadable"),
        engine
            .compact(vb, CompactionRequest::default())
            .expect_err("unreadable"),
        engine
            .get(
                vb,
                lowtide_checkpoint::Namespace::Committed,
                &lowtide_checkpoint::Key::new(b"a"),
            )
            .expect_err("unreadable"),
    ];
    for error in errors {
        assert_eq!(error.kind(), "corrupt", "{error}");
    }
    assert_eq!(
        engine.create(vb).expect_err("there").kind(),
        "vbucket-exists"
    );
}

/// Two vBuckets with segments of their own, and where the log has `A`'s newest frame of moved
/// records.
fn separated(config: LogstorConfig) -> (MemoryDisk, PathBuf, u64) {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, config).expect("opens");
    engine.create(A).expect("created");
    engine.create(B).expect("created");
    for n in 1..40 {
        let item = |key: &str| vec![set(n, &format!("{key}-{n}"), &[n as u8; 3000])];
        assert!(
            commit_all(&engine, &[(A, item("a")), (B, item("b"))])
                .iter()
                .all(Result::is_ok)
        );
    }
    run(engine.separate().expect("begun")).expect("separated");
    let vbucket = engine.store.registry.loaded(A).expect("there");
    let at = vbucket.slots()[20].location;
    let segment = engine.store.log.segments.get(at.segment).expect("in use");
    engine.close().expect("closed");
    (
        disk,
        segment.file.path.clone(),
        segment.base + u64::from(at.offset) + 50,
    )
}

#[test]
fn damage_harms_the_vbucket_whose_it_is() {
    let (disk, path, offset) = separated(SMALL);
    change(&disk, &path, offset, |byte| byte ^ 16);
    for _ in 0..2 {
        let (mut engine, report) = open(&disk).expect("opens");
        assert_eq!(
            report
                .unreadable
                .iter()
                .map(|(vb, _)| *vb)
                .collect::<Vec<_>>(),
            [A]
        );
        assert_eq!(report.repairs, []);
        assert_refused(&engine, A);
        // The others serve, also while space is made.
        let high = engine.info(B).expect("there").high.0;
        for n in high + 1..high + 400 {
            commit(&engine, B, &[set(n, &format!("b-{}", n % 50), &[1; 9000])]).expect("committed");
            if n % 8 == 0 {
                super::life::take(&engine, &mut Pins::default(), &super::life::Step::Upkeep)
                    .expect("done");
            }
        }
        assert_eq!(contents(&engine, B).keys().next_back(), Some(&(high + 399)));
        engine.close().expect("closed");
        engine = open(&disk).expect("opens").0;
        assert_refused(&engine, A);
    }
    let (engine, _) = open(&disk).expect("opens");
    engine.drop_vbucket(A).expect("dropped");
    engine.create(A).expect("created");
    commit(&engine, A, &[set(1, "new", b"n")]).expect("committed");
    drop(engine);
    let (engine, report) = open(&disk).expect("opens");
    assert_eq!((report.unreadable, report.repairs), (vec![], vec![]));
    assert_eq!(contents(&engine, A).len(), 1);
    run(engine
        .compact(B, CompactionRequest::default())
        .expect("begun"))
    .expect("compacted");
    contents(&engine, B);
    audit(&engine, false);
}

#[test]
fn a_damaged_frame_of_many_vbuckets_harms_those_that_may_be_in_it() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    let vbs: Vec<Vbid> = (0..6).map(Vbid).collect();
    for &vb in &vbs {
        engine.create(vb).expect("created");
        commit(&engine, vb, &[set(1, "a", b"1")]).expect("committed");
    }
    let both = [vbs[2], vbs[4]].map(|vb| (vb, vec![set(2, "b", b"2")]));
    assert!(commit_all(&engine, &both).iter().all(Result::is_ok));
    commit(&engine, vbs[0], &[set(2, "end", b"")]).expect("committed");
    drop(engine);
    change(&disk, &log_path(0), 6 * 4096 + 90, |byte| byte ^ 1);
    let (engine, report) = open(&disk).expect("opens");
    // The third one's epoch lies between theirs.
    assert_eq!(
        report
            .unreadable
            .iter()
            .map(|(vb, _)| vb.0)
            .collect::<Vec<_>>(),
        [2, 3, 4]
    );
    for vb in [0, 1, 5] {
        contents(&engine, Vbid(vb));
    }
}

#[test]
fn a_damaged_large_record_harms_its_vbucket() {
    for piece in [1_u64, 2] {
        let disk = MemoryDisk::new();
        let (engine, _) = open(&disk).expect("opens");
        engine.create(A).expect("created");
        engine.create(B).expect("created");
        commit(&engine, A, &[set(1, "large", &[7; 180_000])]).expect("committed");
        commit(&engine, B, &[set(1, "b", b"1")]).expect("committed");
        commit(&engine, B, &[set(2, "b", b"2")]).expect("committed");
        drop(engine);
        change(&disk, &log_path(0), piece * (64 << 10) + 500, |byte| {
            byte ^ 1
        });
        let (engine, report) = open(&disk).expect("opens");
        assert_eq!(report.unreadable.len(), 1, "{report:?}");
        assert_refused(&engine, A);
        assert_eq!(contents(&engine, B).len(), 1);
    }
}

/// Rows of an image and the log, both damaged: that is known when the vBucket is loaded.
#[test]
fn what_is_damaged_twice_harms_its_vbucket_when_it_is_loaded() {
    let (disk, path, offset) = separated(IMAGES);
    change(&disk, &path, offset, |byte| byte ^ 16);
    let (engine, report) = open_with(&disk, IMAGES).expect("opens");
    assert_eq!(report.unreadable, []);
    assert_eq!(engine.info(A).expect("the image knows").items, 39);
    drop(engine);
    let names = disk.list(&super::support::dir()).expect("there");
    let image = names
        .iter()
        .find(|name| name.starts_with("index-"))
        .expect("there");
    // The first rows are those of the lower vBucket.
    change(&disk, &super::support::dir().join(image), 100, |byte| {
        byte ^ 16
    });
    let (engine, report) = open_with(&disk, IMAGES).expect("opens");
    assert_eq!(report.unreadable, []);
    for n in 40..300 {
        commit(&engine, B, &[set(n, &format!("b-{}", n % 50), &[1; 9000])]).expect("committed");
    }
    assert_refused(&engine, A);
    assert_eq!(contents(&engine, B).keys().next_back(), Some(&299));
    // The next image can't be made of the last one.
    engine.close().expect("closed");
    drop(engine);
    let (engine, report) = open_with(&disk, IMAGES).expect("opens");
    assert_refused(&engine, A);
    assert_eq!(report.repairs, []);
    engine.drop_vbucket(A).expect("dropped");
    let _ = make_image(&engine);
    commit(&engine, B, &[set(300, "end", b"")]).expect("committed");
    make_image(&engine).expect("made of the log");
    drop(engine);
    let (engine, report) = open_with(&disk, IMAGES).expect("opens");
    assert!(report.notes[0].contains("knows everything"), "{report:?}");
    assert_eq!(contents(&engine, B).keys().next_back(), Some(&300));
}

#[test]
fn a_damaged_end_is_cut_off_and_told_once() {
    for at in [64, 100, 700] {
        let disk = store();
        change(&disk, &log_path(0), 5 * 4096 + at, |byte| byte ^ 16);
        let (engine, report) = open(&disk).expect("opens");
        assert_eq!(report.repairs.len(), 1, "{report:?}");
        assert_eq!(engine.info(A).expect("there").high, Seqno(5));
        commit(&engine, A, &[set(6, "again", b"")]).expect("committed");
        drop(engine);
        let (engine, report) = open(&disk).expect("opens");
        assert_eq!(report.repairs, []);
        assert_eq!(engine.info(A).expect("there").high, Seqno(6));
    }
}

#[test]
fn a_damaged_manifest_is_told() {
    for offset in [0, 8, 20] {
        let disk = store();
        change(
            &disk,
            std::path::Path::new("/store/MANIFEST"),
            offset,
            |byte| byte ^ 1,
        );
        assert_eq!(open(&disk).expect_err("damaged").kind(), "corrupt");
    }
}

#[test]
fn missing_files_are_told() {
    let disk = store();
    disk.remove(std::path::Path::new("/store/MANIFEST"))
        .expect("removed");
    assert_eq!(open(&disk).expect_err("no manifest").kind(), "corrupt");
    let disk = store();
    disk.rename(&log_path(0), &log_path(1)).expect("renamed");
    assert_eq!(open(&disk).expect_err("no first file").kind(), "corrupt");
}

#[test]
fn a_record_that_rots_under_an_open_store_is_told() {
    let disk = store();
    let (engine, _) = open(&disk).expect("opens");
    change(&disk, &log_path(0), 2 * 4096 + 200, |byte| byte ^ 4);
    let snapshot = engine.snapshot(A).expect("there");
    let error = snapshot
        .scan(Seqno::ZERO, Seqno::MAX, ScanLimit::NONE)
        .expect_err("damaged");
    assert!(
        matches!(error, EngineError::Corrupt { offset, .. } if offset == 2 * 4096 + 64),
        "{error}"
    );
    assert_eq!(engine.check(A).expect("told").len(), 1);
    drop(snapshot);
    // Rewriting does not spread it, and loses nothing.
    let job = engine
        .compact(A, crate::contract::CompactionRequest::default())
        .expect("begun");
    let _ = super::support::run(job);
    assert_eq!(engine.check(A).expect("told").len(), 1);
}

#[test]
fn no_changed_byte_goes_unnoticed_or_panics() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    let mut pins = Pins::default();
    for (step, _) in life() {
        assert!(take(&engine, &mut pins, &step).expect("done"));
    }
    let before = shown(&engine);
    drop((pins, engine));
    let mut told = 0;
    for n in 0..400_u64 {
        let file = log_path(n as u32 % 2);
        let offset = n.wrapping_mul(2_654_435_761) % (256 << 10);
        let bit = 1 << (n % 8);
        change(&disk, &file, offset, |byte| byte ^ bit);
        match open(&disk) {
            // It was in what nobody needs; opening may have cut off a torn end.
            Ok((engine, report)) if report.unreadable.is_empty() => {
                assert!(
                    shown(&engine) == before || !report.repairs.is_empty(),
                    "{n}"
                );
            }
            Ok((engine, report)) => {
                let harmed: Vec<Vbid> = report.unreadable.iter().map(|(vb, _)| *vb).collect();
                harmed.iter().for_each(|vb| assert_refused(&engine, *vb));
                let sound = engine
                    .vbuckets()
                    .into_iter()
                    .filter(|vb| !harmed.contains(vb));
                assert!(
                    sound
                        .clone()
                        .all(|vb| contents(&engine, vb) == before[&vb.0]),
                    "{n}"
                );
                told += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), "corrupt");
                told += 1;
            }
        }
        change(&disk, &file, offset, |byte| byte ^ bit);
    }
    assert!(told > 50, "{told}");
}
