//! The errors of a disk: which operation failed, on which path, and how.
//!
//! Engines act on the kind alone; the rest is for the operator's message.

use std::path::PathBuf;
use std::{fmt, io};

/// The operation during which a disk failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskOperation {
    /// Open an existing file.
    Open,
    /// Create a new file.
    Create,
    /// Give a file another name.
    Rename,
    /// Remove a name.
    Remove,
    /// List a directory.
    List,
    /// Create a directory.
    CreateDir,
    /// Take a directory's lock.
    Lock,
    /// Read a file's length.
    Len,
    /// Cut or extend a file.
    SetLen,
    /// Fill a range with written zeros.
    Preallocate,
    /// Read bytes.
    Read,
    /// Write bytes.
    Write,
    /// Make a file's bytes durable.
    SyncData,
    /// Make a directory's names durable.
    SyncDir,
}

impl fmt::Display for DiskOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Create => "create",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::List => "list",
            Self::CreateDir => "create directory",
            Self::Lock => "lock",
            Self::Len => "get the length of",
            Self::SetLen => "set the length of",
            Self::Preallocate => "preallocate",
            Self::Read => "read",
            Self::Write => "write",
            Self::SyncData => "sync",
            Self::SyncDir => "sync directory",
        })
    }
}

/// The kind of a disk failure, as fine as callers act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskErrorKind {
    /// No such file or directory.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// Another process or store holds the lock.
    Locked,
    /// The device or the budget is full.
    NoSpace,
    /// The process or the system has as many files open as it may. Nothing was done. Passes once
    /// files are closed.
    TooManyFiles,
    /// Power was lost (simulated disks): nothing works until it returns.
    PowerLost,
    /// Anything else the device or the system reports.
    Io,
}

/// A failed disk operation: what, on which path, at which offset, and why.
#[derive(Debug)]
pub struct DiskError {
    /// The operation.
    pub operation: DiskOperation,
    /// The file or directory.
    pub path: PathBuf,
    /// The byte offset, for reads and writes.
    pub offset: Option<u64>,
    /// The kind of failure.
    pub kind: DiskErrorKind,
    /// The system's own error.
    pub source: io::Error,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}", self.operation, self.path.display())?;
        if let Some(offset) = self.offset {
            write!(f, " at offset {offset}")?;
        }
        write!(f, ": {}", self.source)
    }
}

impl std::error::Error for DiskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The result of disk operations.
pub type DiskResult<T> = Result<T, DiskError>;
