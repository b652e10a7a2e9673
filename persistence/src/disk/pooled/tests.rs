//! The pool behaves like the disk below it, with few handles.

use std::path::Path;
use std::sync::Arc;

use crate::disk::{Access, Disk, DiskErrorKind, DiskFile, FaultyDisk, MemoryDisk, PowerLoss};

use super::PooledDisk;

fn pool(open_max: usize) -> (FaultyDisk, PooledDisk) {
    let disk = FaultyDisk::new(MemoryDisk::new());
    (disk.clone(), PooledDisk::new(Arc::new(disk), open_max))
}

fn read(file: &dyn DiskFile) -> Vec<u8> {
    let mut buffer = [0; 16];
    let count = file.read_at(&mut buffer, 0).expect("readable");
    buffer[..count].to_vec()
}

fn made(disk: &dyn Disk, name: &str) -> Arc<dyn DiskFile> {
    let file = disk.create(Path::new(name)).expect("new");
    file.write_at(&[name.as_bytes()], 0).expect("written");
    file
}

#[test]
fn closed_file_is_reopened_under_its_new_name() {
    let (below, disk) = pool(1);
    let (a, b) = (made(&disk, "/a"), made(&disk, "/b"));
    disk.rename(Path::new("/a"), Path::new("/c"))
        .expect("there");
    made(&disk, "/a").write_at(&[b"other"], 0).expect("written");
    assert_eq!(
        (read(&*a), read(&*b), read(&*a)),
        (b"/a".to_vec(), b"/b".to_vec(), b"/a".to_vec())
    );
    assert!(below.open_handles() <= 1 && disk.open_files() == 1);
}

/// Found by reading: it counted as a file that lost its name, and was never closed again.
#[test]
fn file_renamed_to_itself_can_be_closed() {
    let (below, disk) = pool(1);
    let renamed = made(&disk, "/a");
    disk.rename(Path::new("/a"), Path::new("/a"))
        .expect("there");
    let _other = made(&disk, "/b");
    assert_eq!((below.open_handles(), disk.open_files()), (1, 1));
    assert_eq!(read(&*renamed), b"/a");
}

#[test]
fn file_without_a_name_stays_open_until_it_is_dropped() {
    let (below, disk) = pool(1);
    let (removed, replaced, other) = (made(&disk, "/a"), made(&disk, "/b"), made(&disk, "/c"));
    disk.remove(Path::new("/a")).expect("there");
    disk.rename(Path::new("/c"), Path::new("/b"))
        .expect("there");
    for _ in 0..3 {
        let last = made(&disk, "/d");
        assert_eq!(
            (read(&*removed), read(&*replaced), read(&*other)),
            (b"/a".to_vec(), b"/b".to_vec(), b"/c".to_vec())
        );
        disk.remove(Path::new("/d")).expect("there");
        drop(last);
    }
    drop((removed, replaced));
    assert_eq!(read(&*other), b"/c");
    assert_eq!(below.open_handles(), 1);
}

#[test]
fn unsynced_files_are_closed_last_and_only_after_a_sync() {
    let (below, disk) = pool(2);
    let (dirty, clean) = (made(&disk, "/a"), made(&disk, "/b"));
    clean.sync_data().expect("power");
    // The clean one was used later, and is closed all the same.
    let syncs = below.io_count();
    let third = disk.create(Path::new("/c")).expect("new");
    assert_eq!(below.io_count(), syncs + 1, "no sync was needed");
    third.sync_data().expect("power");
    third.write_at(&[b"x"], 0).expect("written");
    below.fail_sync(1);
    let error = clean.len();
    assert!(
        error.is_ok(),
        "another one could be closed, or the bound gives way: {error:?}"
    );
    assert_eq!(
        dirty.sync_data().expect_err("its sync failed").kind,
        DiskErrorKind::Io
    );
    assert_eq!(read(&*dirty), b"/a", "it is as readable as ever");
}

#[test]
fn lack_of_handles_closes_files_and_then_is_reported() {
    let (below, disk) = pool(100);
    let files: Vec<_> = (0..10).map(|n| made(&disk, &format!("/{n}"))).collect();
    below.limit_handles(Some(4));
    for (n, file) in files.iter().enumerate() {
        assert_eq!(read(&**file), format!("/{n}").into_bytes());
        file.write_at(&[b"!"], 0).expect("written");
    }
    assert_eq!(
        disk.list(Path::new("/")).expect("a handle was found").len(),
        10
    );
    below.limit_handles(Some(0));
    assert_eq!(
        disk.open(Path::new("/0"), Access::ReadOnly)
            .expect_err("none")
            .kind,
        DiskErrorKind::TooManyFiles
    );
    assert_eq!(
        disk.list(Path::new("/")).expect_err("none").kind,
        DiskErrorKind::TooManyFiles
    );
    below.limit_handles(None);
    assert!(files.iter().all(|file| read(&**file).starts_with(b"!")));
}

/// Found by removing the sync before the close: the tests above passed without it, because the
/// file's own sync failed instead. Here nothing else syncs.
#[test]
fn closed_handles_writes_are_durable() {
    let (below, disk) = pool(1);
    let written = made(&disk, "/a");
    disk.sync_dir(Path::new("/")).expect("power");
    let other = made(&disk, "/b");
    assert_eq!(below.open_handles(), 1, "the other's");
    drop((written, other));
    below.crash(PowerLoss::DropUnsynced);
    let found = below
        .open(Path::new("/a"), Access::ReadOnly)
        .expect("there");
    assert_eq!(read(&*found), b"/a");
}

/// Writes of another process are durable only after a sync. A file that was opened to sync them may
/// have lost its handle by then.
#[test]
fn first_sync_of_a_closed_file_reaches_the_disk() {
    let (below, disk) = pool(1);
    made(&below, "/a");
    let opened = disk
        .open(Path::new("/a"), Access::ReadWrite)
        .expect("there");
    made(&disk, "/b").sync_data().expect("power");
    let before = below.io_count();
    opened.sync_data().expect("power");
    assert!(below.io_count() > before, "it was synced");
    made(&disk, "/c").sync_data().expect("power");
    let before = below.io_count();
    opened.sync_data().expect("power");
    assert_eq!(below.io_count(), before, "nothing has been written since");
}
