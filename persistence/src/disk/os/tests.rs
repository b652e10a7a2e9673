//! The behaviour of the real disk that simulated disks do not have.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::*;

#[test]
fn foreign_names_are_listed() {
    let dir = tempfile::tempdir().expect("a place for temporary files");
    File::create(dir.path().join(OsStr::from_bytes(b"a\xff"))).expect("new");
    fs::create_dir(dir.path().join("dir")).expect("new");
    std::os::unix::fs::symlink("dir", dir.path().join("link-to-dir")).expect("new");
    std::os::unix::fs::symlink("nowhere", dir.path().join("link-to-nowhere")).expect("new");
    assert_eq!(
        OsDisk.list(dir.path()).expect("there"),
        ["a\u{fffd}", "link-to-nowhere"]
    );
}

#[test]
fn dropped_lock_leaves_its_file_and_is_free() {
    let dir = tempfile::tempdir().expect("a place for temporary files");
    drop(OsDisk.lock(dir.path()).expect("free"));
    assert!(dir.path().join(LOCK_FILE).exists());
    drop(OsDisk.lock(dir.path()).expect("the file alone is no lock"));
}

#[test]
fn full_device_is_reported_as_no_space() {
    let Ok(file) = OsDisk.open(Path::new("/dev/full"), crate::disk::Access::ReadWrite) else {
        return; // Not Linux.
    };
    let error = file.write_at(&[b"x"], 7).expect_err("always full");
    assert_eq!(
        (error.kind, error.offset),
        (crate::disk::DiskErrorKind::NoSpace, Some(7))
    );
}

#[test]
fn written_file_is_read_by_the_system() {
    let dir = tempfile::tempdir().expect("a place for temporary files");
    let path = dir.path().join("a");
    let file = OsDisk.create(&path).expect("new");
    file.write_at(&[b"by", b"tes"], 0).expect("space");
    assert_eq!(fs::read(&path).expect("there"), b"bytes");
}

#[test]
fn lock_with_a_shared_file_is_freed_when_dropped() {
    let dir = tempfile::tempdir().expect("a place for temporary files");
    let path = dir.path().join(LOCK_FILE);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .expect("new");
    // A process that is being started holds such a handle for a moment.
    let shared = file
        .try_clone()
        .expect("a second descriptor of the same open file");
    file.try_lock().expect("free");
    let lock = OsLock { file };
    assert!(OsDisk.lock(dir.path()).is_err());
    drop(lock);
    OsDisk.lock(dir.path()).expect("given back");
    drop(shared);
}

#[test]
fn empty_path_is_the_working_directory() {
    OsDisk.create_dir(Path::new("")).expect("there");
    OsDisk.sync_dir(Path::new("")).expect("there");
    assert!(
        OsDisk
            .list(Path::new(""))
            .expect("there")
            .contains(&"Cargo.toml".to_owned())
    );
}
