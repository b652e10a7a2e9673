//! How the disks word their failures: an `io::Error` and what was being done go in, a [`DiskError`] comes out.
//!
//! Always: the kind follows from the `io::Error`'s own kind, but for a lost power and a held lock, which no
//! `io::ErrorKind` names.

use std::io;
use std::path::Path;

use super::{DiskError, DiskErrorKind, DiskOperation};

/// A failure that concerns no particular byte.
pub(super) fn failure(operation: DiskOperation, path: &Path, source: io::Error) -> DiskError {
    DiskError { operation, path: path.to_owned(), offset: None, kind: kind_of(&source), source }
}

/// A failure at a byte of a file.
pub(super) fn failure_at(operation: DiskOperation, path: &Path, offset: u64, source: io::Error) -> DiskError {
    DiskError { offset: Some(offset), ..failure(operation, path, source) }
}

/// The power is off, or was since the handle was opened.
pub(super) fn power_lost(operation: DiskOperation, path: &Path) -> DiskError {
    let source = io::Error::other("power was lost");
    DiskError { kind: DiskErrorKind::PowerLost, ..failure(operation, path, source) }
}

/// Another store has the directory.
pub(super) fn locked(path: &Path) -> DiskError {
    let source = io::Error::new(io::ErrorKind::WouldBlock, "another store holds the lock");
    DiskError { kind: DiskErrorKind::Locked, ..failure(DiskOperation::Lock, path, source) }
}

fn kind_of(source: &io::Error) -> DiskErrorKind {
    match source.kind() {
        io::ErrorKind::NotFound => DiskErrorKind::NotFound,
        io::ErrorKind::AlreadyExists => DiskErrorKind::AlreadyExists,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DiskErrorKind::NoSpace,
        _ => DiskErrorKind::Io,
    }
}
