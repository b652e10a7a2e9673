//! Sound stores: no finding is damage after any step of a life, nor after a crash at any I/O.

use std::sync::Arc;

use super::stores::{check, is_damage, seen};
use crate::contract::Engine;
use crate::disk::{Disk, FaultyDisk, MemoryDisk, PowerLoss};
use crate::logstor::LogstorConfig;
use crate::logstor::tests::life::{Pins, life, shown, take};
use crate::logstor::tests::support::{IMAGES, SMALL, dir, make_image, open, open_with};
use crate::logstor::tools::inspect::LogDirectory;

#[test]
fn store_in_use_is_sound_after_every_step() {
    sound_at_every_moment(SMALL, false);
    sound_at_every_moment(IMAGES, true);
}

fn sound_at_every_moment(config: LogstorConfig, with_images: bool) {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, config).expect("opens");
    let mut pins = Pins::default();
    for (number, (step, expected)) in life().into_iter().enumerate() {
        assert!(take(&engine, &mut pins, &step).expect("done"));
        // Only some steps make an image, and some images are not up to date.
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
fn layout_counts_every_byte_as_live_dead_or_free() {
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
    // Figures count what is loaded.
    engine.store.registry.load_all().expect("readable");
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
fn crash_at_any_io_is_no_damage_and_repairs_are_predicted() {
    crash_at_any_io(SMALL, 2);
}

#[test]
fn crash_at_any_io_of_images_is_no_damage() {
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
            [
                PowerLoss::DropUnsynced,
                PowerLoss::KeepUnsynced,
                PowerLoss::Random { seed: nth },
            ][(nth / stride % 3) as usize],
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
