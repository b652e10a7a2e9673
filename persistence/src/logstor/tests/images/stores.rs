//! A store with an image, and the files of images.

use crate::contract::Engine;
use crate::disk::{Disk, MemoryDisk};
use crate::logstor::LogstorConfig;
use crate::logstor::tests::life::{Pins, life, take};
use crate::logstor::tests::support::{B, IMAGES, commit, dir, dump, make_image, open_with, set};

/// Returns the disk of a store with an image and a later commit, closed or killed.
pub(super) fn lived(config: LogstorConfig, is_closed: bool) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, config).expect("opens");
    let mut pins = Pins::default();
    for (step, _) in life() {
        assert!(take(&engine, &mut pins, &step).expect("done"));
    }
    make_image(&engine).expect("made");
    commit(&engine, B, &[set(2, "after", b"a")]).expect("committed");
    if is_closed {
        engine.close().expect("closed");
    }
    disk
}

pub(super) fn image_name(disk: &MemoryDisk) -> String {
    let mut names = disk.list(&dir()).expect("there");
    names.retain(|name| name.starts_with("index-"));
    assert_eq!(names.len(), 1, "{names:?}");
    names.remove(0)
}

/// Opens the store. Returns the notes of the open, and everything the store knows then.
pub(super) fn opened(disk: &MemoryDisk) -> (String, String) {
    let (engine, report) = open_with(disk, IMAGES).expect("opens");
    assert_eq!(report.repairs, []);
    (report.notes.concat(), dump(&engine))
}

pub(super) fn bytes_of(disk: &MemoryDisk, name: &str) -> Vec<u8> {
    let file = disk
        .open(&dir().join(name), crate::disk::Access::ReadOnly)
        .expect("there");
    let mut bytes = vec![0; file.len().expect("known") as usize];
    file.read_at(&mut bytes, 0).expect("read");
    bytes
}

pub(super) fn put(disk: &MemoryDisk, name: &str, bytes: &[u8]) {
    let path = dir().join(name);
    let _ = disk.remove(&path);
    disk.create(&path)
        .expect("made")
        .write_at(&[bytes], 0)
        .expect("written");
}

pub(super) fn copy(from: &MemoryDisk, name: &str, to: &MemoryDisk, as_name: &str) {
    put(to, as_name, &bytes_of(from, name));
}
