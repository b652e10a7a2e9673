//! Damaged stores: what was acknowledged and is damaged is told, with its place; nothing panics.

use checkpoint::Seqno;

use super::life::{Pins, life, shown, take};
use super::support::{A, commit, log_path, open, set};
use crate::disk::{Access, Disk, MemoryDisk};
use crate::{Engine, EngineError, ScanLimit};

fn store() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(A).expect("created");
    for n in 0..6 {
        commit(&engine, A, &[set(n + 1, &format!("key-{n}"), &[n as u8; 700])]).expect("committed");
    }
    engine.close().expect("closed");
    disk
}

pub(super) fn change(disk: &MemoryDisk, name: &std::path::Path, offset: u64, to: impl Fn(u8) -> u8) {
    let file = disk.open(name, Access::ReadWrite).expect("there");
    let mut byte = [0];
    file.read_at(&mut byte, offset).expect("read");
    file.write_at(&[&[to(byte[0])]], offset).expect("written");
}

#[test]
fn damage_in_an_acknowledged_frame_is_told() {
    // Of six frames of a block the last may be torn; nobody knows better.
    for block in 0..5_u64 {
        for at in [0, 5, 9, 30, 59, 63, 64, 100, 700] {
            let disk = store();
            change(&disk, &log_path(0), block * 4096 + at, |byte| byte ^ 16);
            let error = open(&disk).expect_err("damaged");
            assert_eq!(error.kind(), "corrupt", "block {block}, byte {at}: {error}");
        }
    }
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
        change(&disk, std::path::Path::new("/store/MANIFEST"), offset, |byte| byte ^ 1);
        assert_eq!(open(&disk).expect_err("damaged").kind(), "corrupt");
    }
}

#[test]
fn missing_files_are_told() {
    let disk = store();
    disk.remove(std::path::Path::new("/store/MANIFEST")).expect("removed");
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
    let error = snapshot.scan(Seqno::ZERO, Seqno::MAX, ScanLimit::NONE).expect_err("damaged");
    assert!(matches!(error, EngineError::Corrupt { offset, .. } if offset == 2 * 4096 + 64), "{error}");
    assert_eq!(engine.check(A).expect("told").len(), 1);
    drop(snapshot);
    // Rewriting does not spread it, and loses nothing.
    let job = engine.compact(A, crate::CompactionRequest::default()).expect("begun");
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
            Ok((engine, report)) => assert!(shown(&engine) == before || !report.repairs.is_empty(), "{n}"),
            Err(error) => {
                assert_eq!(error.kind(), "corrupt");
                told += 1;
            }
        }
        change(&disk, &file, offset, |byte| byte ^ bit);
    }
    assert!(told > 50, "{told}");
}
