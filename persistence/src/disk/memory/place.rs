//! A path taken apart: a name in a directory.

use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::disk::error::{DiskError, DiskOperation, DiskResult};
use crate::disk::failure::failure;

/// A name in a directory, with the operation on it for errors.
pub(super) struct Place<'a> {
    operation: DiskOperation,
    path: &'a Path,
    pub(super) directory: PathBuf,
    pub(super) name: OsString,
}

impl<'a> Place<'a> {
    /// Takes a path apart.
    pub(super) fn of(operation: DiskOperation, path: &'a Path) -> DiskResult<Self> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(Self {
                operation,
                path,
                directory: clean(parent),
                name: name.to_owned(),
            }),
            _ => Err(failure(operation, path, io::ErrorKind::InvalidInput.into())),
        }
    }

    /// Makes the error of the operation at this place.
    pub(super) fn failure(&self, kind: io::ErrorKind) -> DiskError {
        failure(self.operation, self.path, kind.into())
    }
}

/// Returns a path without its `.` parts.
pub(super) fn clean(path: &Path) -> PathBuf {
    path.components()
        .filter(|component| *component != Component::CurDir)
        .collect()
}
