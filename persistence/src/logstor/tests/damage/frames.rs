//! Damaged frames: an acknowledged one is reported with its place, a torn end is cut off once.

use lowtide_checkpoint::Seqno;

use super::stores::{assert_refused, store};
use crate::contract::{Engine, EngineError, ScanLimit};
use crate::disk::{Fault, FaultyDisk, MemoryDisk};
use crate::logstor::tests::support::{A, change_byte, commit, log_path, open, run, set};

#[test]
fn damaged_acknowledged_frame_is_reported() {
    // The last of the six frames may be torn: nothing shows that it was acknowledged.
    for block in 0..5_u64 {
        // Without the header nothing shows whose frame it is.
        for at in [0, 5, 9, 30, 59, 63] {
            let disk = store();
            change_byte(&disk, &log_path(0), block * 4096 + at, |byte| byte ^ 16);
            let error = open(&disk).expect_err("damaged");
            assert_eq!(error.kind(), "corrupt", "block {block}, byte {at}: {error}");
        }
        for at in [64, 100, 700] {
            let disk = store();
            change_byte(&disk, &log_path(0), block * 4096 + at, |byte| byte ^ 16);
            let (engine, report) = open(&disk).expect("opens");
            let place = format!("log-00000000 at offset {}: ", block * 4096);
            let (vb, what) = &report.unreadable[0];
            assert!(*vb == A && what.contains(&place), "{what}");
            assert_refused(&engine, A);
        }
    }
}

/// A fragment of a large record is alone in its segment. Without its header the segment looks as if
/// it was never used, and the record as if it was freed.
#[test]
fn damaged_only_header_of_a_segment_is_reported() {
    for at in [0, 5, 9, 30, 59, 63] {
        let disk = MemoryDisk::new();
        let (engine, _) = open(&disk).expect("opens");
        engine.create(A).expect("created");
        commit(&engine, A, &[set(1, "large", &[1; 100_000])]).expect("committed");
        commit(&engine, A, &[set(2, "small", b"")]).expect("committed");
        drop(engine);
        change_byte(&disk, &log_path(0), at, |byte| byte ^ 16);
        let error = open(&disk).expect_err("damaged");
        assert!(
            matches!(error, EngineError::Corrupt { offset: 0, .. }),
            "byte {at}: {error}"
        );
    }
}

/// A cut-off append is no proof that everything before it is there.
#[test]
fn damaged_header_before_a_cut_off_append_is_reported() {
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
        change_byte(disk.memory(), &log_path(0), block * 4096 + 20, |byte| {
            byte ^ 16
        });
        let error = open(&disk).expect_err("damaged");
        assert!(
            matches!(error, EngineError::Corrupt { .. }),
            "block {block}: {error}"
        );
        change_byte(disk.memory(), &log_path(0), block * 4096 + 20, |byte| {
            byte ^ 16
        });
    }
    assert_eq!(
        open(&disk).expect("sound").0.info(A).expect("there").high,
        Seqno(4)
    );
}

#[test]
fn damaged_end_is_cut_off_and_reported_once() {
    for at in [64, 100, 700] {
        let disk = store();
        change_byte(&disk, &log_path(0), 5 * 4096 + at, |byte| byte ^ 16);
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
fn record_damaged_under_an_open_store_is_reported() {
    let disk = store();
    let (engine, _) = open(&disk).expect("opens");
    change_byte(&disk, &log_path(0), 2 * 4096 + 200, |byte| byte ^ 4);
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
    // Rewriting copies no damaged record, and loses no sound one.
    let job = engine
        .compact(A, crate::contract::CompactionRequest::default())
        .expect("begun");
    let _ = run(job);
    assert_eq!(engine.check(A).expect("told").len(), 1);
}
