use std::path::Path;
use std::sync::Arc;

use super::super::store_context::StoreContext;
use super::read::FoundManifest;
use super::slot::FRAME_BYTES_MAX;
use super::{
    Catalog, CatalogEntry, EpochStart, Lineage, MANIFEST_NAME, Manifest, ManifestEdit,
    read_manifest,
};
use crate::disk::{Access, Disk, Fault, FaultyDisk, MemoryDisk, PowerLoss};
use crate::logstor::config::{Geometry, LogstorConfig};
use crate::logstor::format::PurgedTombstones;
use crate::shared::record;

const DIR: &str = "/store";

fn context(disk: &FaultyDisk) -> StoreContext {
    StoreContext::new(
        Arc::new(disk.clone()),
        Path::new(DIR),
        LogstorConfig::new([1, 2]),
        crate::logstor::hash_key::HashKey::new([1, 2]),
    )
}

fn fresh() -> (FaultyDisk, StoreContext, Manifest) {
    let disk = FaultyDisk::new(MemoryDisk::new());
    disk.create_dir(Path::new(DIR)).expect("made");
    let context = context(&disk);
    let catalog = Catalog::new(
        Geometry {
            segment_bytes: 65_536,
            segments_per_file: 4,
        },
        crate::logstor::hash_key::HashKey::new([1, 2]),
    );
    let manifest = Manifest::create(&context, None, catalog).expect("made");
    (disk, context, manifest)
}

fn found(disk: &FaultyDisk) -> FoundManifest {
    read_manifest(disk, Path::new(DIR))
        .expect("sound")
        .expect("there")
}

fn purge(upto: u64) -> ManifestEdit {
    ManifestEdit::Purge {
        vb: 7,
        purged: PurgedTombstones {
            upto,
            ..PurgedTombstones::default()
        },
    }
}

/// Makes edits from `from` on until one is refused; the last that was made.
fn edit_until_refused(context: &StoreContext, manifest: &mut Manifest, from: u64, to: u64) -> u64 {
    let mut last = from - 1;
    for upto in from..=to {
        if manifest.append(context, &purge(upto)).is_err() {
            break;
        }
        last = upto;
    }
    last
}

fn upto(catalog: &Catalog) -> u64 {
    catalog
        .vbuckets
        .get(&7)
        .map_or(0, |entry| entry.purged.upto)
}

#[test]
fn edits_fill_a_slot_and_go_on_in_the_other_without_more_space() {
    let (disk, context, mut manifest) = fresh();
    manifest
        .append(&context, &ManifestEdit::Create { vb: 7 })
        .expect("new");
    let before = disk.memory().usage();
    assert_eq!(edit_until_refused(&context, &mut manifest, 1, 1000), 1000);
    assert!(manifest.generation() > 4, "{}", manifest.generation());
    assert_eq!(disk.memory().usage(), before);
    let found = found(&disk);
    assert_eq!((&found.catalog, found.torn_bytes), (manifest.catalog(), 0));
}

#[test]
fn power_loss_or_a_failure_at_any_io_of_an_edit_leaves_it_made_or_not() {
    const EDITS: u64 = 260;
    let (disk, context, mut manifest) = fresh();
    manifest
        .append(&context, &ManifestEdit::Create { vb: 7 })
        .expect("new");
    let start = disk.io_count();
    assert_eq!(edit_until_refused(&context, &mut manifest, 1, EDITS), EDITS);
    assert!(manifest.generation() > 1, "it went on in the other slot");
    let ios = disk.io_count() - start;
    let faults = [
        None,
        Some(Fault::Eio),
        Some(Fault::Enospc),
        Some(Fault::Torn { bytes: 20 }),
        Some(Fault::Torn { bytes: 3000 }),
        Some(Fault::EioPersisted),
    ];
    // The turn from one slot to the other is among the last; before it every edit is as the one
    // before.
    let places = (1..20)
        .chain(ios - 60..=ios)
        .flat_map(|nth| faults.map(|fault| (nth, fault)));
    for (nth, fault) in places {
        let what = format!("{fault:?} at {nth} of {ios}");
        let (disk, context, mut manifest) = fresh();
        manifest
            .append(&context, &ManifestEdit::Create { vb: 7 })
            .expect("new");
        match fault {
            None => disk.power_off_at_io(nth),
            Some(fault) => disk.fail_io(nth, fault),
        }
        let made = edit_until_refused(&context, &mut manifest, 1, EDITS);
        // What was refused was not made; unless it was poisoned it goes on.
        let goes_on = fault.is_some() && context.check_writable().is_ok();
        if goes_on {
            assert_eq!(upto(manifest.catalog()), made, "{what}");
            assert_eq!(
                edit_until_refused(&context, &mut manifest, made + 2, made + 3),
                made + 3,
                "{what}"
            );
        }
        drop(manifest);
        for keep in [
            PowerLoss::DropUnsynced,
            PowerLoss::KeepUnsynced,
            PowerLoss::Random { seed: nth },
        ] {
            disk.crash(keep);
            let found = found(&disk);
            let expected = if goes_on {
                vec![made + 3]
            } else {
                vec![made, made + 1]
            };
            assert!(
                expected.contains(&upto(&found.catalog)),
                "{what}: {} of {expected:?}",
                upto(&found.catalog)
            );
            // Opening makes it sure.
            let context = self::context(&disk);
            let manifest =
                Manifest::create(&context, found.place, found.catalog.clone()).expect("written");
            assert_eq!(*manifest.catalog(), found.catalog, "{what}");
            disk.crash(PowerLoss::DropUnsynced);
            assert_eq!(self::found(&disk).catalog, found.catalog, "{what}");
        }
    }
}

#[test]
fn catalog_larger_than_a_slot_gets_larger_slots_or_without_space_goes_on() {
    let (disk, context, mut manifest) = fresh();
    let slot_bytes = manifest.place.slot_bytes;
    let create =
        |manifest: &mut Manifest, vb| manifest.append(&context, &ManifestEdit::Create { vb });
    for vb in 0..30 {
        create(&mut manifest, vb).expect("new");
    }
    assert_eq!(manifest.place.slot_bytes, slot_bytes);
    // A device without room: half a slot is passed, and it goes on until all of it is.
    let full = MemoryDisk::with_capacity_bytes(8 * slot_bytes);
    let full = FaultyDisk::new(full);
    full.create_dir(Path::new(DIR)).expect("made");
    let on_full = self::context(&full);
    let mut there = Manifest::create(&on_full, None, manifest.catalog().clone()).expect("made");
    let ballast = full.create(Path::new("/ballast")).expect("made");
    let mut at = 0;
    while ballast.write_at(&[&[1; 4096]], at).is_ok() {
        at += 4096;
    }
    let mut made = 30;
    let refused = loop {
        match there.append(&on_full, &ManifestEdit::Create { vb: made }) {
            Ok(()) => made += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), "no-space");
    assert!(u64::from(made) * 40 > slot_bytes / 2, "{made}");
    assert_eq!(
        full.list(Path::new(DIR)).expect("there"),
        [MANIFEST_NAME],
        "nothing is left of what was tried"
    );
    for vb in 0..made {
        there
            .append(&on_full, &ManifestEdit::Drop { vb })
            .expect("it gets smaller");
    }
    // With room it grows.
    for vb in 30..2000 {
        create(&mut manifest, vb).expect("new");
    }
    assert!(
        manifest.place.slot_bytes > 8 * slot_bytes,
        "{:?}",
        manifest.place
    );
    assert_eq!(found(&disk).catalog, *manifest.catalog());
}

#[test]
fn file_of_the_previous_version_is_read_and_rewritten() {
    let (disk, context, manifest) = fresh();
    let mut catalog = manifest.catalog().clone();
    catalog.kind = *b"lowtide\x02";
    drop(manifest);
    let edits = [ManifestEdit::Create { vb: 7 }, purge(9)];
    let frames = edits
        .iter()
        .map(|edit| record::encode(edit, FRAME_BYTES_MAX).expect("small"));
    let mut bytes = record::encode(&catalog, FRAME_BYTES_MAX).expect("small");
    bytes.extend(frames.flatten());
    let path = Path::new(DIR).join(MANIFEST_NAME);
    disk.remove(&path).expect("there");
    disk.create(&path)
        .expect("made")
        .write_at(&[&bytes, b"torn"], 0)
        .expect("written");
    let old = found(&disk);
    assert_eq!(
        (upto(&old.catalog), old.torn_bytes, old.place),
        (9, 4, None)
    );
    let new = Manifest::create(&context, old.place, old.catalog.clone()).expect("made");
    assert_eq!(*new.catalog(), old.catalog);
    assert_eq!(
        (found(&disk).catalog, found(&disk).torn_bytes),
        (old.catalog, 0)
    );
}

/// A slot that no longer counts is cleared: were it not, a damaged one would be passed over for it,
/// and what was acknowledged since be lost in silence.
#[test]
fn damaged_slot_is_reported_and_not_replaced_by_the_older_one() {
    let (disk, context, mut manifest) = fresh();
    manifest
        .append(&context, &ManifestEdit::Create { vb: 7 })
        .expect("new");
    assert_eq!(edit_until_refused(&context, &mut manifest, 1, 1000), 1000);
    assert!(manifest.generation() > 4, "both slots have counted");
    let file = disk
        .open(&Path::new(DIR).join(MANIFEST_NAME), Access::ReadWrite)
        .expect("there");
    file.write_at(&[&[0xff; 64]], manifest.place.start())
        .expect("written");
    let damaged =
        read_manifest(&disk, Path::new(DIR)).map(|found| found.map(|found| upto(&found.catalog)));
    assert_eq!(damaged.expect_err("it is damaged").kind(), "corrupt");
}

#[test]
fn manifest_without_a_number_left_refuses_and_is_unchanged() {
    let (disk, context, manifest) = fresh();
    let catalog = manifest.catalog().clone();
    drop(manifest);
    disk.remove(&Path::new(DIR).join(MANIFEST_NAME))
        .expect("there");
    let mut last = Manifest::make_file(&context, catalog.clone(), u64::MAX).expect("made");
    last.append(&context, &ManifestEdit::Create { vb: 7 })
        .expect("that needs no generation");
    let before = found(&disk);
    let refused = Manifest::create(&context, before.place, before.catalog.clone())
        .expect_err("no generation");
    assert_eq!(refused.kind(), "numbers-used-up");
    assert_eq!(found(&disk).catalog, before.catalog);
    let one_left = Catalog {
        next_epoch: u32::MAX,
        ..catalog
    };
    let (disk, context, manifest) = fresh();
    let place = Some(manifest.place);
    let mut manifest = Manifest::create(&context, place, one_left).expect("written");
    assert_eq!(
        manifest
            .append(&context, &ManifestEdit::Create { vb: 7 })
            .expect_err("no epoch")
            .kind(),
        "numbers-used-up"
    );
    assert!(context.check_writable().is_ok() && found(&disk).catalog.vbuckets.is_empty());
}

/// L7: a manifest with right checksums is still data from outside.
#[test]
fn manifest_whose_vbuckets_share_or_lack_epochs_is_refused() {
    let entry = |lineage: Lineage| CatalogEntry {
        lineage,
        start: EpochStart::default(),
        purged: PurgedTombstones::default(),
    };
    let no_epoch = record::encode(&Vec::<(u32, u64)>::new(), FRAME_BYTES_MAX).expect("small");
    let (no_epoch, _) = record::decode::<Lineage>(&no_epoch, FRAME_BYTES_MAX).expect("a list");
    let contradictions = [
        vec![(7, entry(Lineage::of(1))), (8, entry(Lineage::of(1)))],
        vec![(7, entry(no_epoch))],
        vec![(7, entry(Lineage::of(2)))],
    ];
    for vbuckets in contradictions {
        let (disk, context, manifest) = fresh();
        let mut catalog = manifest.catalog().clone();
        catalog.vbuckets = vbuckets.into_iter().collect();
        catalog.next_epoch = 2;
        Manifest::make_file(&context, catalog, 9).expect("made");
        let refused = read_manifest(&disk, Path::new(DIR)).expect_err("contradicts itself");
        assert_eq!(refused.kind(), "corrupt");
    }
}
