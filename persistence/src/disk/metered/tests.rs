//! Every call is counted once, in its own count.

use super::*;
use crate::disk::{Fault, FaultyDisk, MemoryDisk};

#[test]
fn each_call_raises_its_own_count() {
    let disk = MeteredDisk::new(Arc::new(MemoryDisk::new()));
    disk.create_dir(Path::new("/d")).expect("space");
    let file = disk.create(Path::new("/d/a")).expect("new");
    file.write_at(&[b"one", b"two"], 0).expect("space");
    file.preallocate(6, 10).expect("space");
    file.set_len(12).expect("power");
    let before = disk.stats();
    let expected = DiskStats {
        name_operations: 2,
        writes: 2,
        written_bytes: 16,
        length_changes: 1,
        ..DiskStats::default()
    };
    assert_eq!(before, expected);

    file.sync_data().expect("power");
    disk.sync_dir(Path::new("/d")).expect("there");
    disk.rename(Path::new("/d/a"), Path::new("/d/b"))
        .expect("there");
    let file = disk
        .clone()
        .open(Path::new("/d/b"), Access::ReadOnly)
        .expect("there");
    assert_eq!(file.read_at(&mut [0; 100], 0).expect("open"), 12);
    disk.remove(Path::new("/d/b")).expect("there");
    let _ = (
        file.len(),
        disk.list(Path::new("/d")),
        disk.lock(Path::new("/d")),
    );
    let expected = DiskStats {
        opens: 1,
        reads: 1,
        read_bytes: 12,
        syncs: 1,
        dir_syncs: 1,
        name_operations: 2,
        ..DiskStats::default()
    };
    assert_eq!(disk.stats().since(&before), expected);
}

#[test]
fn failed_calls_count_too() {
    let faulty = FaultyDisk::new(MemoryDisk::new());
    let disk = MeteredDisk::new(Arc::new(faulty.clone()));
    let file = disk.create(Path::new("a")).expect("new");
    faulty.fail_write(1, Fault::Eio);
    faulty.fail_sync(1);
    assert!(file.write_at(&[b"bytes"], 0).is_err());
    assert!(file.sync_data().is_err());
    let expected = DiskStats {
        name_operations: 1,
        writes: 1,
        written_bytes: 5,
        syncs: 1,
        ..DiskStats::default()
    };
    assert_eq!(disk.stats(), expected);
}
