//! Damaged logs: each damage is reported with its place, and the rest is read.

use std::sync::Arc;

use super::stores::{check, flip, kinds, seen, store};
use crate::disk::{Access, Disk, MemoryDisk};
use crate::logstor::format::{Fragment, FrameDetail, FrameHeader, FrameKind};
use crate::logstor::tests::life::{Pins, life, take};
use crate::logstor::tests::support::{A, SMALL, dir, log_path, open};
use crate::logstor::tools::check::{against_engine, check_store};
use crate::logstor::tools::inspect::{LogDirectory, LogFinding, LogFindingKind, SegmentKind};

#[test]
fn checked_changed_byte_is_reported_or_harmless() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    let mut pins = Pins::default();
    for (step, _) in life() {
        assert!(take(&engine, &mut pins, &step).expect("done"));
    }
    drop((pins, engine));
    let before = seen(&disk).expect("sound");
    let store = LogDirectory::read(Arc::new(disk.clone()), &dir(), &mut Vec::new()).expect("sound");
    let layout = store.layout();
    let mut places: Vec<(std::path::PathBuf, u64)> = Vec::new();
    for segment in &layout.segments {
        // Every byte of the first header and behind the last frame, and some between.
        let used = u64::from(segment.used_bytes);
        let between = (0..6_u64).map(|n| n.wrapping_mul(2_654_435_761) % used.max(1));
        let near = [
            0, 3, 4, 6, 8, 15, 16, 24, 32, 36, 44, 48, 52, 56, 60, 63, 64, 70, 511, 512, 4096,
        ];
        let behind = near.into_iter().map(|at| used + at);
        let all = near
            .into_iter()
            .chain(between)
            .chain(behind)
            .filter(|&at| at < layout.segment_bytes.into());
        places.extend(all.map(|at| (segment.path.clone(), segment.offset + at)));
    }
    let manifest = dir().join("MANIFEST");
    let bytes = disk
        .open(&manifest, Access::ReadOnly)
        .and_then(|file| file.len())
        .expect("there");
    places.extend((0..bytes).step_by(7).map(|at| (manifest.clone(), at)));
    let mut told = 0;
    for (n, (path, offset)) in places.iter().enumerate() {
        let bits = 1 << (n % 8);
        flip(&disk, path, *offset, bits);
        let (findings, _) = check(&disk);
        let is_told = !findings.is_empty();
        assert!(
            is_told || seen(&disk).as_ref() == Some(&before),
            "{}, {offset}",
            path.display()
        );
        told += usize::from(is_told);
        flip(&disk, path, *offset, bits);
    }
    assert!(told > places.len() / 5, "{told} of {}", places.len());
    assert_eq!(check(&disk), (Vec::new(), Vec::new()));
}

#[test]
fn damage_is_reported_with_its_place_and_the_rest_is_read() {
    let disk = store();
    let before = seen(&disk).expect("sound");
    flip(&disk, &log_path(0), 4096 + 200, 1);
    let (findings, _) = check(&disk);
    let [frame, record] = &findings[..] else {
        panic!("{findings:?}")
    };
    assert_eq!(
        (frame.kind, frame.offset, frame.segment),
        (LogFindingKind::Frame, 4096, Some(0))
    );
    assert_eq!((record.kind, record.offset), (LogFindingKind::Record, 4096));
    let mut beside = before.clone();
    beside.get_mut(&A.0).expect("there").remove(&2);
    assert!(seen(&disk) == Some(beside), "the others are read");

    let disk = store();
    flip(&disk, &log_path(0), 2 * 4096 + 20, 1);
    flip(&disk, &log_path(0), 4096 + 62, 1);
    assert_eq!(
        kinds(&disk),
        [LogFindingKind::Header],
        "one gap, of two frames"
    );
    assert_eq!(
        seen(&disk).expect("the rest")[&A.0]
            .keys()
            .copied()
            .collect::<Vec<_>>(),
        [1, 4]
    );
}

#[test]
fn lost_segment_start_is_reported() {
    let disk = store();
    let large = LogDirectory::read(Arc::new(disk.clone()), &dir(), &mut Vec::new())
        .expect("sound")
        .layout();
    let of_large = large
        .segments
        .iter()
        .filter(|segment| segment.kind.name() == "large");
    let pieces: Vec<_> = of_large
        .map(|segment| (segment.path.clone(), segment.offset))
        .collect();
    assert_eq!(pieces.len(), 2);
    for (path, offset) in pieces {
        for at in [0, 10, 40, 63] {
            flip(&disk, &path, offset + at, 32);
            assert!(kinds(&disk).contains(&LogFindingKind::Header), "byte {at}");
            flip(&disk, &path, offset + at, 32);
        }
    }
}

#[test]
fn lost_segment_end_is_reported() {
    let disk = store();
    // The segment's last frame; whole appends came after it.
    let path = log_path(0);
    let layout = LogDirectory::read(Arc::new(disk.clone()), &dir(), &mut Vec::new())
        .expect("sound")
        .layout();
    let end = u64::from(layout.segments[0].used_bytes);
    for at in 0..64 {
        flip(&disk, &path, end - 4096 + at, 4);
        assert_eq!(kinds(&disk), [LogFindingKind::Header], "byte {at}");
        flip(&disk, &path, end - 4096 + at, 4);
    }
}

#[test]
fn missing_or_cut_files_are_reported() {
    let disk = store();
    let cut = disk.open(&log_path(0), Access::ReadWrite).expect("there");
    cut.set_len(100_000).expect("cut");
    assert!(kinds(&disk).contains(&LogFindingKind::File));
    let disk = store();
    disk.rename(&log_path(0), &log_path(1)).expect("renamed");
    assert!(kinds(&disk).contains(&LogFindingKind::File));
    disk.rename(&log_path(1), &log_path(u32::MAX))
        .expect("renamed");
    let (findings, _) = check(&disk);
    let missing: Vec<_> = findings
        .iter()
        .filter(|finding| finding.kind == LogFindingKind::File)
        .map(|finding| (&finding.path, &finding.what[..]))
        .collect();
    assert_eq!(
        missing,
        [(
            &log_path(0),
            "4294967295 log files from this one on are missing"
        )],
        "one finding, however many are missing"
    );
    disk.remove(&dir().join("MANIFEST")).expect("removed");
    let error =
        check_store(Arc::new(disk), &dir(), &mut Vec::new()).expect_err("nothing tells how");
    assert_eq!(error.kind(), "corrupt");
}

#[test]
fn vbucket_that_the_opened_store_cannot_read_is_reported() {
    let disk = store();
    let inspected =
        LogDirectory::read(Arc::new(disk.clone()), &dir(), &mut Vec::new()).expect("sound");
    // Damage that the inspection did not see.
    flip(&disk, &log_path(0), 4096 + 200, 1);
    let mut findings: Vec<LogFinding> = Vec::new();
    let live_bytes = inspected.layout().live_bytes;
    let _repairs = against_engine(&inspected, live_bytes, &mut findings).expect("it opens");
    assert!(
        findings
            .iter()
            .any(|finding| finding.vb == Some(A) && finding.what.contains("can't read it")),
        "{findings:?}"
    );
}

#[test]
fn segment_with_two_large_records_is_damage_and_violates_no_invariant() {
    let disk = store();
    let layout = LogDirectory::read(Arc::new(disk.clone()), &dir(), &mut Vec::new())
        .expect("sound")
        .layout();
    let unused = layout
        .segments
        .iter()
        .find(|segment| segment.kind == SegmentKind::Unused)
        .expect("one");
    let file = disk.open(&unused.path, Access::ReadWrite).expect("there");
    for n in 0..2 {
        let header = FrameHeader {
            kind: FrameKind::Large,
            detail: FrameDetail::Fragment(Fragment { index: 0, count: 1 }),
            ..FrameHeader::free(unused.id, 1_000, layout.last_append + 1 + n, 0)
        };
        file.write_at(&[&header.encode(SMALL.hash_key)], unused.offset + 4096 * n)
            .expect("written");
    }
    assert_eq!(kinds(&disk), [LogFindingKind::Record]);
}
