//! Constructors of [`DiskError`]: each turns an operation and its failure into an error.
//!
//! They keep the mapping from `io::Error` to [`DiskErrorKind`] in one place.
//!
//! # Invariants
//!
//! The kind follows from the `io::Error`'s own kind, or from its number if handles ran out. Lost
//! power and a held lock have neither; each has a constructor here.

use std::io;
use std::path::Path;

use super::error::{DiskError, DiskErrorKind, DiskOperation};

/// Returns a failure that concerns no particular byte.
pub(super) fn failure(operation: DiskOperation, path: &Path, source: io::Error) -> DiskError {
    DiskError {
        operation,
        path: path.to_owned(),
        offset: None,
        kind: kind_of(&source),
        source,
    }
}

/// Returns a failure at a byte of a file.
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

/// Returns the failure of a call without power, or on a handle that was opened before the power was
/// lost.
pub(super) fn power_lost(operation: DiskOperation, path: &Path) -> DiskError {
    let source = io::Error::other("power was lost");
    DiskError {
        kind: DiskErrorKind::PowerLost,
        ..failure(operation, path, source)
    }
}

/// Returns the failure to lock a directory that another store holds.
pub(super) fn locked(path: &Path) -> DiskError {
    let source = io::Error::new(io::ErrorKind::WouldBlock, "another store holds the lock");
    DiskError {
        kind: DiskErrorKind::Locked,
        ..failure(DiskOperation::Lock, path, source)
    }
}

/// The system's numbers for "no more open files in this process" and "in the system".
/// `io::ErrorKind` names neither. They are the same on Linux, macOS and the BSDs.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

/// Returns the failure to open one more file.
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
