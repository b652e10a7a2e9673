//! How the disks word their failures: an `io::Error` and what was being done go in, a [`DiskError`] comes out.
//!
//! Always: the kind follows from the `io::Error`'s own kind, but for a lost power and a held lock, which no
//! `io::ErrorKind` names.

use std::io;
use std::path::Path;

use super::error::{DiskError, DiskErrorKind, DiskOperation};

/// A failure that concerns no particular byte.
pub(super) fn failure(operation: DiskOperation, path: &Path, source: io::Error) -> DiskError {
    DiskError {
        operation,
        path: path.to_owned(),
        offset: None,
        kind: kind_of(&source),
        source,
    }
}

/// A failure at a byte of a file.
pub(super) fn failure_at(
    operation: DiskOperation,
    path: &Path,
    offset: u64,
    source: io::Error,
) -> DiskError {
    DiskError {
        offset: Some(offset),
        ..failure(operation, path, source)
    }
}

/// The power is off, or was since the handle was opened.
pub(super) fn power_lost(operation: DiskOperation, path: &Path) -> DiskError {
    let source = io::Error::other("power was lost");
    DiskError {
        kind: DiskErrorKind::PowerLost,
        ..failure(operation, path, source)
    }
}

/// Another store has the directory.
pub(super) fn locked(path: &Path) -> DiskError {
    let source = io::Error::new(io::ErrorKind::WouldBlock, "another store holds the lock");
    DiskError {
        kind: DiskErrorKind::Locked,
        ..failure(DiskOperation::Lock, path, source)
    }
}

/// The system's numbers for "no more open files in this process" and "in the system": `io::ErrorKind` names neither. They
/// are the same on Linux, macOS and the BSDs.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

/// No more files can be open.
pub(super) fn too_many_files(operation: DiskOperation, path: &Path) -> DiskError {
    failure(operation, path, io::Error::from_raw_os_error(EMFILE))
}

fn kind_of(source: &io::Error) -> DiskErrorKind {
    if matches!(source.raw_os_error(), Some(EMFILE | ENFILE)) {
        return DiskErrorKind::TooManyFiles;
    }
    match source.kind() {
        io::ErrorKind::NotFound => DiskErrorKind::NotFound,
        io::ErrorKind::AlreadyExists => DiskErrorKind::AlreadyExists,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DiskErrorKind::NoSpace,
        _ => DiskErrorKind::Io,
    }
}
