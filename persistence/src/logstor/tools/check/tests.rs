//! Sound stores are called sound, whatever a crash has left of them; and no damage goes unnoticed
//! (T9).

use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::Seqno;

use super::super::inspect::{LogDirectory, LogFinding, LogFindingKind, LogObserver, LogSeverity};
use super::check_store;
use crate::contract::{CompactionRequest, Engine};
use crate::disk::{Access, Disk, FaultyDisk, Keep, MemoryDisk};
use crate::logstor::tests::life::{Pins, Shown, life, shown, take};
use crate::logstor::tests::support::{
    A, B, IMAGES, SMALL, commit, delete, dir, log_path, make_image, noise, open, open_with, run,
    set,
};
use crate::logstor::{Logstor, LogstorConfig};

fn check(disk: &(impl Disk + Clone + 'static)) -> (Vec<LogFinding>, Vec<String>) {
    let mut findings = Vec::new();
    match check_store(Arc::new(disk.clone()), &dir(), &mut findings) {
        Ok(report) => (findings, report.repairs),
        Err(error) => {
            assert_eq!(error.kind(), "corrupt", "{error}");
            findings.push(LogFinding::of_file(
                LogFindingKind::File,
                Path::new(""),
                0,
                error.to_string(),
            ));
            (findings, Vec::new())
        }
    }
}

fn is_damage(finding: &LogFinding) -> bool {
    finding.severity() == LogSeverity::Damage
}

/// What the tools show of a store; nothing if there is no telling.
fn seen(disk: &(impl Disk + Clone + 'static)) -> Option<Shown> {
    contents_of(&LogDirectory::read(Arc::new(disk.clone()), &dir(), &mut Vec::new()).ok()?)
}

fn contents_of(store: &LogDirectory) -> Option<Shown> {
    let contents = |vb| {
        let items = store
            .items(vb)
            .map(|item| item.map(|item| (item.seqno.0, item)));
        items
            .collect::<Result<_, _>>()
            .ok()
            .map(|items| (vb.0, items))
    };
    store.vbuckets().map(contents).collect()
}

fn flip(disk: &MemoryDisk, path: &Path, offset: u64, bits: u8) {
    let file = disk.open(path, Access::ReadWrite).expect("there");
    let mut byte = [0];
    file.read_at(&mut byte, offset).expect("read");
    file.write_at(&[&[byte[0] ^ bits]], offset)
        .expect("written");
}

#[test]
fn a_store_in_use_is_sound_at_every_moment_of_its_life() {
    sound_at_every_moment(SMALL, false);
    sound_at_every_moment(IMAGES, true);
}

fn sound_at_every_moment(config: LogstorConfig, with_images: bool) {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, config).expect("opens");
    let mut pins = Pins::default();
    for (number, (step, expected)) in life().into_iter().enumerate() {
        assert!(take(&engine, &mut pins, &step).expect("done"));
        // Only some, so that there are images that are not up to date.
        if with_images && number % 2 == 0 {
            make_image(&engine).expect("made");
        }
        assert_eq!(
            check(&disk),
            (Vec::new(), Vec::new()),
            "after step {number}"
        );
        assert!(seen(&disk) == Some(expected), "after step {number}");
    }
    let store = LogDirectory::read(Arc::new(disk.clone()), &dir(), &mut Vec::new()).expect("sound");
    assert!(store.others().is_empty(), "an image is the store's own");
    assert_eq!(store.layout().images.len(), usize::from(with_images));
}

#[test]
fn every_byte_is_live_dead_or_free() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    let mut pins = Pins::default();
    for (step, _) in life() {
        assert!(take(&engine, &mut pins, &step).expect("done"));
    }
    drop((pins, engine));
    let store = LogDirectory::read(Arc::new(disk.clone()), &dir(), &mut Vec::new()).expect("sound");
    let layout = store.layout();
    let of_segments = layout
        .segments
        .iter()
        .map(|segment| segment.live_bytes)
        .sum::<u64>();
    let of_vbuckets = layout.vbuckets.iter().map(|vb| vb.live_bytes).sum::<u64>();
    assert_eq!([of_segments, of_vbuckets], [layout.live_bytes; 2]);
    assert_eq!(
        layout.live_bytes + layout.dead_bytes + layout.free_bytes,
        layout.file_bytes
    );
    assert_eq!(
        layout.segments.len() as u64 * u64::from(layout.segment_bytes),
        layout.file_bytes
    );
    let (engine, _) = open(&disk).expect("opens");
    let stats = engine.stats();
    assert_eq!(
        (stats["live-bytes"], stats["file-bytes"]),
        (layout.live_bytes, layout.file_bytes)
    );
    let free = layout
        .segments
        .iter()
        .filter(|segment| !segment.kind.is_used())
        .count() as u64;
    assert_eq!(stats["free-segments"], free);
}

#[test]
fn what_a_crash_leaves_is_no_damage_and_what_opening_does_is_foretold() {
    crash_at_any_io(SMALL, 2);
}

#[test]
fn what_a_crash_leaves_of_images_is_no_damage() {
    crash_at_any_io(IMAGES, 3);
}

fn crash_at_any_io(config: LogstorConfig, stride: u64) {
    let whole = FaultyDisk::new(MemoryDisk::new());
    let live = |disk: &FaultyDisk| {
        let Ok((engine, _)) = open_with(disk, config) else {
            return;
        };
        let mut pins = Pins::default();
        for (step, _) in life() {
            if take(&engine, &mut pins, &step).is_err() {
                return;
            }
        }
    };
    live(&whole);
    let mut noted = 0;
    for nth in (2..whole.io_count()).step_by(stride as usize) {
        let disk = FaultyDisk::new(MemoryDisk::new());
        disk.power_off_at_io(nth);
        live(&disk);
        disk.crash(
            [Keep::None, Keep::All, Keep::Random { seed: nth }][(nth / stride % 3) as usize],
        );
        if !disk
            .list(&dir())
            .is_ok_and(|names| names.iter().any(|name| name == "MANIFEST"))
        {
            continue;
        }
        let (findings, foretold) = check(&disk);
        assert!(!findings.iter().any(is_damage), "{nth}: {findings:?}");
        noted += findings.len();
        let before = seen(&disk);
        let (engine, report) = open_with(&disk, config).expect("opens");
        let repairs = report
            .repairs
            .iter()
            .map(|(path, what)| format!("{}: {what}", path.display()));
        assert_eq!(foretold, repairs.collect::<Vec<_>>(), "{nth}");
        assert!(before == Some(shown(&engine)), "{nth}");
    }
    assert!(noted > 4, "{noted}");
}

#[test]
fn no_changed_byte_goes_unnoticed() {
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
        // Every byte of the first header and of what follows the last frame, and some between.
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

/// A store whose first segment has several frames of one vBucket, and a large record behind.
fn store() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(A).expect("created");
    engine.create(B).expect("created");
    for n in 1..=4 {
        commit(&engine, A, &[set(n, &format!("key-{n}"), &noise(n, 700))]).expect("committed");
    }
    commit(
        &engine,
        B,
        &[set(1, "large", &noise(1, 100_000)), set(2, "small", b"")],
    )
    .expect("committed");
    commit(&engine, B, &[delete(3, "small")]).expect("committed");
    disk
}

fn kinds(disk: &MemoryDisk) -> Vec<LogFindingKind> {
    check(disk)
        .0
        .into_iter()
        .map(|finding| finding.kind)
        .collect()
}

#[test]
fn damage_is_told_with_its_place_and_the_rest_is_read() {
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
fn a_lost_start_is_told() {
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
fn a_lost_end_is_told() {
    let disk = store();
    // The segment's last frame: whole appends have come since.
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
fn files_that_are_missing_or_cut_are_told() {
    let disk = store();
    let cut = disk.open(&log_path(0), Access::ReadWrite).expect("there");
    cut.set_len(100_000).expect("cut");
    assert!(kinds(&disk).contains(&LogFindingKind::File));
    let disk = store();
    disk.rename(&log_path(0), &log_path(1)).expect("renamed");
    assert!(kinds(&disk).contains(&LogFindingKind::File));
    disk.remove(&dir().join("MANIFEST")).expect("removed");
    let error =
        check_store(Arc::new(disk), &dir(), &mut Vec::new()).expect_err("nothing tells how");
    assert_eq!(error.kind(), "corrupt");
}

/// Writes to a store while it is looked at.
struct Meddler<'a> {
    engine: &'a Logstor,
    left: u64,
    what: fn(&Logstor),
}

impl LogObserver for Meddler<'_> {
    fn found(&mut self, _finding: LogFinding) {}

    fn progress(&mut self, _done: u64, _total: u64) {
        self.left = self.left.wrapping_sub(1);
        if self.left == 0 {
            (self.what)(self.engine);
        }
    }
}

#[test]
fn a_store_that_is_written_to_meanwhile_is_told_as_such() {
    let writes: [fn(&Logstor); 5] = [
        |engine| assert!(commit(engine, A, &[set(5, "more", b"")]).is_ok()),
        |engine| assert!(engine.purge(B, Seqno(3)).is_ok()),
        |engine| {
            engine
                .create(crate::logstor::tests::support::C)
                .expect("created")
        },
        |engine| engine.drop_vbucket(A).expect("dropped"),
        |engine| {
            drop(
                run(engine
                    .compact(A, CompactionRequest::default())
                    .expect("begun"))
                .expect("done"),
            )
        },
    ];
    let mut told = 0;
    for (number, what) in writes.into_iter().enumerate() {
        for left in 1..=16 {
            let disk = store();
            let (engine, _) = open(&disk).expect("opens");
            let mut meddler = Meddler {
                engine: &engine,
                left,
                what,
            };
            let result = LogDirectory::read(Arc::new(disk.clone()), &dir(), &mut meddler);
            match result {
                // It came where nobody had looked yet.
                Ok(store) => assert!(
                    contents_of(&store) == Some(shown(&engine)),
                    "{number}, {left}"
                ),
                Err(error) => {
                    assert_eq!(error.kind(), "in-use", "{error}");
                    told += 1;
                }
            }
        }
    }
    assert!(told > 30, "{told}");
}

/// A store with an image, whose first key has that name.
fn with_image(key: &str) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    engine.create(A).expect("created");
    commit(&engine, A, &[set(1, key, b"1"), set(2, "other", b"2")]).expect("committed");
    commit(&engine, A, &[set(3, "other", &noise(1, 100_000))]).expect("committed");
    make_image(&engine).expect("made");
    commit(&engine, A, &[set(4, "later", b"4")]).expect("committed");
    disk
}

fn image_path() -> std::path::PathBuf {
    dir().join("index-00000001")
}

/// Guards that every byte of an image is looked at, and that the log is sound beside it.
#[test]
fn a_damaged_image_is_told_and_nothing_else_is() {
    let disk = with_image("key");
    assert_eq!(check(&disk), (Vec::new(), Vec::new()));
    let before = seen(&disk);
    let len = disk
        .open(&image_path(), Access::ReadOnly)
        .and_then(|file| file.len())
        .expect("there");
    for offset in 0..len {
        flip(&disk, &image_path(), offset, 1 << (offset % 8));
        assert_eq!(kinds(&disk), [LogFindingKind::Image], "byte {offset}");
        flip(&disk, &image_path(), offset, 1 << (offset % 8));
    }
    assert!(seen(&disk) == before);
}

/// Guards that an image is compared with the log: its checksums are right, and it speaks of another
/// key.
#[test]
fn an_image_that_says_otherwise_is_told() {
    let (disk, other) = (with_image("key"), with_image("yek"));
    let file = other.open(&image_path(), Access::ReadOnly).expect("there");
    let mut bytes = vec![0; file.len().expect("known") as usize];
    file.read_at(&mut bytes, 0).expect("read");
    disk.remove(&image_path()).expect("removed");
    disk.create(&image_path())
        .expect("made")
        .write_at(&[&bytes], 0)
        .expect("written");
    let (findings, _) = check(&disk);
    let Some(first) = findings.first() else {
        panic!("nothing is told")
    };
    assert_eq!(
        (first.kind, first.vb),
        (LogFindingKind::Image, Some(A)),
        "{findings:?}"
    );
}

/// Guards that what an image says of collections is compared, too: too little, too much, and of one
/// that is not there.
#[test]
fn an_image_that_knows_other_collections_is_told() {
    // One collection: its number, its id, its highest seqno.
    let highs = [
        &[0, 0, 0, 0, 0, 0, 0, 1][..],
        &[0; 4],
        &[0, 0, 0, 0, 0, 0, 0, 3],
    ]
    .concat();
    for (place, value) in [(19, 2), (19, 9), (11, 8)] {
        let disk = with_image("key");
        let file = disk.open(&image_path(), Access::ReadWrite).expect("there");
        let mut bytes = vec![0; file.len().expect("known") as usize];
        file.read_at(&mut bytes, 0).expect("read");
        let trailer = bytes.len() - 24;
        let directory =
            u64::from_be_bytes(*bytes[trailer + 8..].first_chunk().expect("8")) as usize;
        let at = (directory..trailer)
            .find(|&at| bytes[at..].starts_with(&highs))
            .expect("there");
        bytes[at + place] = value;
        let crc = crc32c::crc32c(&bytes[directory + 8..trailer]);
        bytes[directory + 4..directory + 8].copy_from_slice(&crc.to_be_bytes());
        file.write_at(&[&bytes], 0).expect("written");
        let (findings, _) = check(&disk);
        let Some(first) = findings.first() else {
            panic!("{place}: nothing is told")
        };
        assert_eq!(
            (first.kind, first.vb),
            (LogFindingKind::Image, Some(A)),
            "{findings:?}"
        );
    }
}
