//! The end of a process while the power stays on.

use std::path::Path;

use crate::disk::error::DiskErrorKind;
use crate::disk::memory::PowerLoss;
use crate::disk::traits::{Access, Disk};

use super::{disk, kind, path, read};

/// Guards that a power loss after a restart loses the same changes as without the restart.
#[test]
fn restart_loses_nothing_and_makes_nothing_durable() {
    let disk = disk();
    let dir = Path::new("/data");
    for name in ["kept", "removed", "renamed"] {
        let file = disk.create(&path(name)).expect("new");
        file.write_at(&[b"old"], 0).expect("there is room");
        file.sync_data().expect("no failure");
    }
    disk.sync_dir(dir).expect("there");
    let file = disk.open(&path("kept"), Access::ReadWrite).expect("there");
    file.write_at(&[b"new"], 0).expect("there is room");
    disk.create(&path("made"))
        .expect("new")
        .write_at(&[b"more"], 0)
        .expect("there is room");
    disk.remove(&path("removed")).expect("there");
    disk.rename(&path("renamed"), &path("other"))
        .expect("there");
    let lock = disk.lock(dir).expect("free");
    let usage = disk.usage();

    disk.restart();
    assert_eq!(
        kind(file.sync_data()),
        Some(DiskErrorKind::PowerLost),
        "its process is gone"
    );
    assert!(disk.lock(dir).is_ok(), "so is its lock");
    drop(lock);
    assert_eq!(disk.list(dir).expect("there"), ["kept", "made", "other"]);
    assert_eq!(
        [
            read(&disk, "kept"),
            read(&disk, "made"),
            read(&disk, "other")
        ],
        [&b"new"[..], b"more", b"old"]
    );
    drop(file);
    assert_eq!(
        (disk.usage().files, disk.usage().bytes),
        (usage.files, usage.bytes)
    );

    disk.crash(PowerLoss::DropUnsynced);
    assert_eq!(
        disk.list(dir).expect("there"),
        ["kept", "removed", "renamed"]
    );
    assert_eq!(
        [read(&disk, "kept"), read(&disk, "removed")],
        [b"old", b"old"]
    );
}

#[test]
fn sync_after_a_restart_makes_earlier_writes_durable() {
    let disk = disk();
    let file = disk.create(&path("a")).expect("new");
    file.write_at(&[b"1"], 0).expect("there is room");
    disk.restart();
    disk.open(&path("a"), Access::ReadWrite)
        .expect("there")
        .sync_data()
        .expect("no failure");
    disk.sync_dir(Path::new("/data")).expect("there");
    disk.crash(PowerLoss::DropUnsynced);
    assert_eq!(read(&disk, "a"), b"1");
}
