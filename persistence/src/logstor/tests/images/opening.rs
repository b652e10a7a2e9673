//! Opening with an image: the reads that it saves, and the images that are not trusted. A power loss
//! while a vBucket is loaded from one changes nothing.

use lowtide_checkpoint::Vbid;

use super::stores::{bytes_of, copy, image_name, lived, opened, put};
use crate::contract::Engine;
use crate::disk::{Disk, FaultyDisk, MemoryDisk};
use crate::logstor::LogstorConfig;
use crate::logstor::tests::life::{Pins, life, shown, take};
use crate::logstor::tests::support::{
    A, IMAGES, change_byte, dir, hide_images, make_image, open_with,
};

#[test]
fn open_with_image_reads_the_image_and_later_appends() {
    let disk = lived(IMAGES, false);
    let (note, with_image) = opened(&disk);
    assert!(note.contains("knows everything up to append"), "{note}");
    // The segment that took commits and the two that rewriting had open. They hold one batch's
    // item.
    assert!(
        note.starts_with("read 3 of 20 segments, 1 records"),
        "{note}"
    );
    assert_eq!(hide_images(&disk, true), 1);
    let (note, without) = opened(&disk);
    assert!(
        note.contains("without an index image: there is none"),
        "{note}"
    );
    assert_eq!(with_image, without);
}

#[test]
fn damaged_image_costs_time_and_nothing_else() {
    let disk = lived(IMAGES, true);
    let sound = opened(&disk).1;
    let name = image_name(&disk);
    let path = dir().join(&name);
    let len = disk
        .open(&path, crate::disk::Access::ReadOnly)
        .expect("there")
        .len()
        .expect("known");
    let (mut scanned, mut lazily) = (0, 0);
    for offset in (0..len).step_by(41).chain(len - 24..len) {
        let disk = lived(IMAGES, true);
        change_byte(&disk, &path, offset, |byte| byte ^ 4);
        let (note, found) = opened(&disk);
        assert_eq!(found, sound, "byte {offset}");
        let is_scanned = note.contains("without an index image: index-");
        *(if is_scanned {
            &mut scanned
        } else {
            &mut lazily
        }) += 1;
    }
    assert!(scanned > 24 && lazily > 24, "{scanned} {lazily}");
}

#[test]
fn image_of_another_store_or_time_is_not_trusted() {
    let disk = lived(IMAGES, true);
    let sound = opened(&disk).1;
    let name = image_name(&disk);
    // The image of another store.
    let other = lived(
        LogstorConfig {
            hash_key: crate::logstor::HashKey::new([3, 4]),
            ..IMAGES
        },
        true,
    );
    copy(&other, &image_name(&other), &disk, &name);
    let (note, found) = opened(&disk);
    assert!(note.contains("it is another store's"), "{note}");
    assert_eq!(found, sound);
    // An image left over from long before: true, and of little use.
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    let mut pins = Pins::default();
    let mut early = None;
    for (step, _) in life() {
        assert!(take(&engine, &mut pins, &step).expect("done"));
        if early.is_none() {
            make_image(&engine).expect("made");
            early = (engine.stats()["images"] == 3).then(|| bytes_of(&disk, &image_name(&disk)));
        }
    }
    let now = shown(&engine);
    drop((pins, engine));
    hide_images(&disk, true);
    let sound = opened(&disk).1;
    put(&disk, "index-00000003", &early.expect("made"));
    let (note, found) = opened(&disk);
    assert!(note.contains("index-00000003 knows"), "{note}");
    assert_eq!(found, sound);
    assert_eq!(shown(&open_with(&disk, IMAGES).expect("opens").0), now);
}

#[test]
fn power_loss_during_a_load_loses_nothing() {
    let memory = lived(IMAGES, true);
    let disk = FaultyDisk::new(memory.clone());
    let sound = opened(&memory).1;
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    disk.power_off_at_io(1);
    assert!(engine.create(Vbid(5)).is_err());
    let error = engine.info(A).expect_err("no power");
    assert_eq!(error.kind(), "power-lost");
    drop(engine);
    disk.crash(crate::disk::PowerLoss::DropUnsynced);
    assert_eq!(opened(&memory).1, sound);
}
