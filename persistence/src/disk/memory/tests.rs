//! The memory disk's space, locks and sessions: the behaviour that only a disk in memory has.

mod byte_model;
mod name_model;
mod restart;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::disk::error::{DiskErrorKind, DiskResult};
use crate::disk::traits::{Access, Disk};

use super::image::PAGE_BYTES;
use super::{MemoryDisk, MemoryUsage, PowerLoss};

fn path(name: &str) -> PathBuf {
    Path::new("/data").join(name)
}

fn disk() -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.create_dir(Path::new("/data"))
        .expect("no power was lost");
    disk
}

fn read(disk: &MemoryDisk, name: &str) -> Vec<u8> {
    let file = disk.open(&path(name), Access::ReadOnly).expect("it exists");
    let mut bytes = vec![0xee; file.len().expect("open") as usize + 1];
    let count = file.read_at(&mut bytes, 0).expect("open");
    bytes.truncate(count);
    bytes
}

fn kind<T>(result: DiskResult<T>) -> Option<DiskErrorKind> {
    result.err().map(|error| error.kind)
}

#[test]
fn power_loss_ends_handles_and_locks() {
    let disk = disk();
    let file = disk.create(&path("a")).expect("new");
    let unlinked = disk.create(&path("b")).expect("new");
    disk.remove(&path("b")).expect("there");
    disk.sync_dir(Path::new("/data")).expect("there");
    let lock = disk.lock(Path::new("/data")).expect("free");
    disk.crash(PowerLoss::KeepUnsynced);

    for file in [file, unlinked] {
        let lost = Some(DiskErrorKind::PowerLost);
        assert_eq!(kind(file.len()), lost);
        assert_eq!(kind(file.set_len(1)), lost);
        assert_eq!(kind(file.preallocate(0, 1)), lost);
        assert_eq!(kind(file.read_at(&mut [0], 0)), lost);
        assert_eq!(kind(file.write_at(&[b"x"], 0)), lost);
        assert_eq!(kind(file.sync_data()), lost);
    }
    let later = disk
        .lock(Path::new("/data"))
        .expect("the lock went with the power");
    drop(lock);
    assert_eq!(
        kind(disk.lock(Path::new("/data"))),
        Some(DiskErrorKind::Locked),
        "an old guard frees no new lock"
    );
    drop(later);
    assert!(disk.lock(Path::new("/data")).is_ok());
    assert!(
        disk.open(&path("a"), Access::ReadWrite)
            .expect("kept")
            .write_at(&[b"x"], 0)
            .is_ok()
    );
}

#[test]
fn file_survives_only_with_both_syncs() {
    for (sync_name, sync_bytes) in [(false, false), (false, true), (true, false), (true, true)] {
        let disk = disk();
        let file = disk.create(&path("a")).expect("new");
        file.write_at(&[b"by", b"tes"], 0).expect("space");
        if sync_bytes {
            file.sync_data().expect("power");
        }
        if sync_name {
            disk.sync_dir(Path::new("/data")).expect("power");
        }
        disk.crash(PowerLoss::DropUnsynced);
        let names = disk
            .list(Path::new("/data"))
            .expect("directories are durable");
        assert_eq!(names, if sync_name { vec!["a"] } else { vec![] });
        if sync_name {
            assert_eq!(
                read(&disk, "a"),
                if sync_bytes { &b"bytes"[..] } else { b"" }
            );
        }
    }
}

#[test]
fn capacity_is_counted_in_pages_and_freed_by_cuts() {
    let disk = MemoryDisk::with_capacity_bytes(3 * PAGE_BYTES + 100);
    let file = disk.create(Path::new("a")).expect("names are free");
    file.write_at(&[b"x"], 0).expect("one page");
    file.preallocate(10, PAGE_BYTES).expect("another");
    file.set_len(1 << 40).expect("holes are free");
    assert_eq!(
        kind(file.write_at(&[&[1; 4097]], 1 << 30)),
        Some(DiskErrorKind::NoSpace)
    );
    let usage = MemoryUsage {
        files: 1,
        bytes: 1 << 40,
        allocated_bytes: 2 * PAGE_BYTES,
    };
    assert_eq!(disk.usage(), usage, "a refused write takes nothing");
    file.write_at(&[&[1; 4096]], 1 << 30).expect("the third");
    file.write_at(&[&[2; 4096]], 1 << 30).expect("in place");
    assert_eq!(
        kind(file.preallocate(PAGE_BYTES * 5, 1)),
        Some(DiskErrorKind::NoSpace)
    );

    file.set_len(5000).expect("power");
    assert_eq!(disk.usage().allocated_bytes, 2 * PAGE_BYTES);
    file.sync_data().expect("power");
    disk.sync_dir(Path::new("")).expect("power");
    file.set_len(0).expect("power");
    assert_eq!(disk.usage().allocated_bytes, 0);
    disk.crash(PowerLoss::DropUnsynced);
    assert_eq!(
        disk.usage(),
        MemoryUsage {
            files: 1,
            bytes: 5000,
            allocated_bytes: 2 * PAGE_BYTES
        }
    );

    let file = disk.open(Path::new("a"), Access::ReadWrite).expect("kept");
    disk.remove(Path::new("a")).expect("there");
    disk.sync_dir(Path::new("")).expect("power");
    assert_eq!(
        disk.usage(),
        MemoryUsage {
            files: 0,
            bytes: 0,
            allocated_bytes: 2 * PAGE_BYTES
        }
    );
    drop(file);
    assert_eq!(disk.usage(), MemoryUsage::default());
}

#[test]
fn offsets_beyond_any_file_are_refused() {
    let disk = disk();
    let file = disk.create(&path("a")).expect("new");
    for offset in [u64::MAX, u64::MAX - 1, i64::MAX as u64] {
        assert_eq!(
            kind(file.write_at(&[b"xy"], offset)),
            Some(DiskErrorKind::Io)
        );
        assert_eq!(kind(file.preallocate(offset, 2)), Some(DiskErrorKind::Io));
        assert_eq!(file.read_at(&mut [0; 2], offset).expect("nothing there"), 0);
    }
    assert_eq!(kind(file.set_len(u64::MAX)), Some(DiskErrorKind::Io));
    assert_eq!(
        kind(file.preallocate(0, 1 << 62)),
        Some(DiskErrorKind::NoSpace)
    );
    assert_eq!(
        disk.usage(),
        MemoryUsage {
            files: 1,
            ..MemoryUsage::default()
        }
    );
}

#[test]
fn equal_seeds_keep_the_same_and_different_seeds_differ() {
    let after = |seed| {
        let disk = disk();
        for name in ["a", "b", "c"] {
            let file = disk.create(&path(name)).expect("new");
            file.write_at(&[&[b'x'; 5000]], 0).expect("space");
        }
        disk.sync_dir(Path::new("/data")).expect("there");
        disk.crash(PowerLoss::Random { seed });
        let names = disk.list(Path::new("/data")).expect("there");
        names
            .into_iter()
            .map(|name| (read(&disk, &name), name))
            .collect::<Vec<_>>()
    };
    let outcomes: Vec<_> = (0..40).map(after).collect();
    assert_eq!(outcomes, (0..40).map(after).collect::<Vec<_>>());
    assert!(outcomes.iter().collect::<BTreeSet<_>>().len() > 12);
}

#[test]
fn crash_choices_beyond_the_options_count_as_the_last() {
    let disk = disk();
    disk.create(&path("a"))
        .expect("new")
        .write_at(&[&[b'x'; 5000]], 0)
        .expect("space");
    disk.crash_with(&mut |_| usize::MAX);
    assert_eq!(read(&disk, "a"), vec![b'x'; 5000]);
}
