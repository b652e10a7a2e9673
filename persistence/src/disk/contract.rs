//! The behaviour all disks share without a power loss: one test suite, run on the real disk and on
//! the simulated ones.

use std::path::Path;
use std::sync::Arc;

use super::error::{DiskErrorKind, DiskOperation, DiskResult};
use super::faulty::FaultyDisk;
use super::kept_directory::KeptDirectory;
use super::memory::MemoryDisk;
use super::metered::MeteredDisk;
use super::os::OsDisk;
use super::pooled::PooledDisk;
use super::traits::{Access, Disk, DiskFile};

fn kind<T>(result: DiskResult<T>) -> Option<DiskErrorKind> {
    result.err().map(|error| error.kind)
}

fn read(file: &dyn DiskFile, offset: u64, len: usize) -> Vec<u8> {
    let mut buffer = vec![0xee; len];
    let count = file.read_at(&mut buffer, offset).expect("readable");
    assert!(
        buffer[count..].iter().all(|&byte| byte == 0xee),
        "what was not read is not touched"
    );
    buffer.truncate(count);
    buffer
}

fn bytes_are_written_and_read(disk: &dyn Disk, dir: &Path) {
    let file = disk.create(&dir.join("a")).expect("new");
    assert!(file.is_empty().expect("open"));
    assert_eq!(read(&*file, 0, 10), b"");
    file.write_at(&[b"one", b"", b"two"], 4).expect("space");
    assert_eq!(file.len().expect("open"), 10);
    assert_eq!(read(&*file, 0, 100), b"\0\0\0\0onetwo");
    assert_eq!(read(&*file, 5, 3), b"net");
    assert_eq!(read(&*file, 10, 1), b"");
    assert_eq!(read(&*file, u64::MAX >> 2, 1), b"");
    file.write_at(&[], 1000).expect("nothing to do");
    file.write_at(&[b"", b""], 1000).expect("nothing to do");
    file.preallocate(1000, 0).expect("nothing to do");
    assert_eq!(
        file.len().expect("open"),
        10,
        "writing nothing extends nothing"
    );

    file.set_len(6).expect("power");
    file.set_len(9).expect("power");
    assert_eq!(read(&*file, 0, 100), b"\0\0\0\0on\0\0\0");
    file.preallocate(5, 3_000_000).expect("space");
    assert_eq!(file.len().expect("open"), 3_000_005);
    assert_eq!(read(&*file, 0, 8), b"\0\0\0\0o\0\0\0");
    assert!(read(&*file, 5, 4_000_000).iter().all(|&byte| byte == 0));
    file.sync_data().expect("power");
    disk.remove(&dir.join("a")).expect("there");
}

fn names_are_made_moved_and_removed(disk: &dyn Disk, dir: &Path) {
    let (a, b) = (dir.join("a"), dir.join("b"));
    assert_eq!(
        kind(disk.open(&a, Access::ReadOnly)),
        Some(DiskErrorKind::NotFound)
    );
    assert_eq!(kind(disk.remove(&a)), Some(DiskErrorKind::NotFound));
    assert_eq!(kind(disk.rename(&a, &b)), Some(DiskErrorKind::NotFound));

    let first = disk.create(&a).expect("new");
    first.write_at(&[b"first"], 0).expect("space");
    assert_eq!(kind(disk.create(&a)), Some(DiskErrorKind::AlreadyExists));
    let second = disk.create(&b).expect("new");
    second.write_at(&[b"second"], 0).expect("space");
    disk.rename(&b, &a).expect("there");
    assert_eq!(disk.list(dir).expect("there"), ["a"]);
    assert_eq!(
        read(&*disk.open(&a, Access::ReadOnly).expect("there"), 0, 9),
        b"second"
    );
    assert_eq!(
        read(&*first, 0, 9),
        b"first",
        "an open handle still reads the replaced file"
    );
    disk.rename(&a, &a).expect("there");

    disk.remove(&a).expect("there");
    assert_eq!(disk.list(dir).expect("there"), [""; 0]);
    second.write_at(&[b"!"], 6).expect("still open");
    assert_eq!(read(&*second, 0, 9), b"second!");

    for name in ["b", "B", "\u{e4}", "a2", "a10"] {
        disk.create(&dir.join(name)).expect("new");
    }
    assert_eq!(
        disk.list(dir).expect("there"),
        ["B", "a10", "a2", "b", "\u{e4}"]
    );
    disk.sync_dir(dir).expect("there");
    for name in disk.list(dir).expect("there") {
        disk.remove(&dir.join(name)).expect("there");
    }
}

fn directories_are_not_files(disk: &dyn Disk, dir: &Path) {
    let deep = dir.join("x/y/z");
    disk.create_dir(&deep).expect("space");
    disk.create_dir(&deep).expect("one that exists is fine");
    disk.create_dir(dir).expect("one that exists is fine");
    assert_eq!(disk.list(dir).expect("there"), [""; 0]);
    assert_eq!(disk.list(&dir.join("x/./y/")).expect("there"), [""; 0]);
    disk.create(&deep.join("file")).expect("new");
    assert_eq!(disk.list(&dir.join("x/y/z/")).expect("there"), ["file"]);

    assert_eq!(kind(disk.create(&deep)), Some(DiskErrorKind::AlreadyExists));
    assert_eq!(
        kind(disk.open(&deep, Access::ReadOnly)),
        Some(DiskErrorKind::Io)
    );
    assert_eq!(
        kind(disk.open(&deep, Access::ReadWrite)),
        Some(DiskErrorKind::Io)
    );
    assert!(disk.remove(&deep).is_err());
    assert!(disk.rename(&deep, &dir.join("x/y/w")).is_err());
    assert!(
        disk.rename(&deep.join("file"), &dir.join("file")).is_err(),
        "not in the same directory"
    );
    assert!(disk.create_dir(&deep.join("file")).is_err());
    assert!(disk.create_dir(&deep.join("file/below")).is_err());
    disk.create(&dir.join("x/file")).expect("new");
    assert!(
        disk.rename(&dir.join("x/file"), &dir.join("x/y")).is_err(),
        "a directory is not replaced"
    );

    let nowhere = dir.join("nowhere");
    assert_eq!(kind(disk.list(&nowhere)), Some(DiskErrorKind::NotFound));
    assert_eq!(kind(disk.sync_dir(&nowhere)), Some(DiskErrorKind::NotFound));
    assert_eq!(kind(disk.open_dir(&nowhere)), Some(DiskErrorKind::NotFound));
    disk.open_dir(dir).expect("there").sync().expect("power");
    assert_eq!(kind(disk.lock(&nowhere)), Some(DiskErrorKind::NotFound));
    assert_eq!(
        kind(disk.create(&nowhere.join("a"))),
        Some(DiskErrorKind::NotFound)
    );
    assert_eq!(
        kind(disk.rename(&nowhere.join("a"), &nowhere.join("b"))),
        Some(DiskErrorKind::NotFound)
    );
}

fn read_only_handles_only_read(disk: &dyn Disk, dir: &Path) {
    let path = dir.join("r");
    disk.create(&path)
        .expect("new")
        .write_at(&[b"bytes"], 0)
        .expect("space");
    let file = disk.open(&path, Access::ReadOnly).expect("there");
    assert_eq!(kind(file.write_at(&[b"x"], 0)), Some(DiskErrorKind::Io));
    assert_eq!(kind(file.preallocate(0, 9)), Some(DiskErrorKind::Io));
    assert_eq!(kind(file.set_len(0)), Some(DiskErrorKind::Io));
    file.sync_data().expect("that writes nothing");
    assert_eq!(read(&*file, 0, 9), b"bytes");
    let writer = disk.open(&path, Access::ReadWrite).expect("there");
    writer.write_at(&[b"B"], 0).expect("space");
    assert_eq!(
        read(&*file, 0, 9),
        b"Bytes",
        "handles see one another's writes"
    );
    disk.remove(&path).expect("there");
}

fn directory_has_one_lock(disk: &dyn Disk, dir: &Path) {
    let held = disk.lock(dir).expect("free");
    let error = disk.lock(dir).expect_err("held");
    assert_eq!(
        (error.kind, error.operation, error.path.as_path()),
        (DiskErrorKind::Locked, DiskOperation::Lock, dir)
    );
    assert_eq!(
        disk.list(dir).expect("there"),
        [""; 0],
        "a lock is not a file of the store's"
    );
    drop(held);
    drop(disk.lock(dir).expect("free again"));
}

fn errors_say_what_and_where(disk: &dyn Disk, dir: &Path) {
    let path = dir.join("gone");
    let error = disk.open(&path, Access::ReadOnly).expect_err("not there");
    assert_eq!(
        (error.operation, &error.path, error.offset),
        (DiskOperation::Open, &path, None)
    );
    disk.create(&path).expect("new");
    let file = disk.open(&path, Access::ReadWrite).expect("there");
    let error = file
        .write_at(&[b"xy"], i64::MAX as u64)
        .expect_err("too far");
    assert_eq!(
        (error.operation, &error.path, error.offset),
        (DiskOperation::Write, &path, Some(i64::MAX as u64))
    );
    disk.remove(&path).expect("there");
}

fn all(disk: &dyn Disk, dir: &Path) {
    bytes_are_written_and_read(disk, dir);
    names_are_made_moved_and_removed(disk, dir);
    read_only_handles_only_read(disk, dir);
    directory_has_one_lock(disk, dir);
    errors_say_what_and_where(disk, dir);
    directories_are_not_files(disk, dir);
}

#[test]
fn real_disk_keeps_the_contract() {
    let dir = tempfile::tempdir().expect("a place for temporary files");
    all(&OsDisk::new(), dir.path());
}

#[test]
fn memory_disk_keeps_the_contract() {
    let disk = MemoryDisk::new();
    disk.create_dir(Path::new("some/where")).expect("space");
    all(&disk, Path::new("some/where"));
}

#[test]
fn faulty_disk_without_faults_keeps_the_contract() {
    let disk = FaultyDisk::new(MemoryDisk::new());
    all(&disk, Path::new("/"));
}

#[test]
fn pooled_disk_keeps_the_contract() {
    let disk = MemoryDisk::new();
    for open_max in [1, 100] {
        let dir = Path::new("here").join(open_max.to_string());
        disk.create_dir(&dir).expect("space");
        let kept = KeptDirectory::open(Arc::new(disk.clone()), &dir).expect("there");
        all(&PooledDisk::new(Arc::new(kept), open_max), &dir);
    }
}

#[test]
fn metered_disk_keeps_the_contract() {
    all(
        &MeteredDisk::new(Arc::new(MemoryDisk::new())),
        Path::new(""),
    );
}
