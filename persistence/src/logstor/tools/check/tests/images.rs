//! Images that are damaged, or that contradict the log.

use super::stores::{check, flip, kinds, seen};
use crate::contract::Engine;
use crate::disk::{Access, Disk, MemoryDisk};
use crate::logstor::tests::support::{A, IMAGES, commit, dir, make_image, noise, open_with, set};
use crate::logstor::tools::inspect::LogFindingKind;

/// Makes a store with an image, whose first key has that name.
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

/// Guards that the check reads every byte of an image, and that the log stays sound.
#[test]
fn damaged_image_byte_is_the_only_finding() {
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

/// Guards that an image is compared with the log: its checksums are right, and it names another
/// key.
#[test]
fn image_contradicting_the_log_is_reported() {
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

/// Guards that the collections of an image are compared too: a seqno too low, one too high, and a
/// collection that does not exist.
#[test]
fn image_with_other_collections_is_reported() {
    // The number of collections (one), its id, and its highest seqno.
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
