//! The errors of a disk: which operation on which path failed, and how.

use std::path::PathBuf;
use std::{fmt, io};

/// What was being done when a disk failed.
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
    /// Ask a file's length.
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

/// How a disk failed, as far as callers act on it.
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
    /// The process, or the system, has as many files open as it may. Nothing was done; it passes when some are closed.
    TooManyFiles,
    /// Power was lost (simulated disks): nothing works until it is back.
    PowerLost,
    /// Anything else the device or the system reports.
    Io,
}

/// A failed disk operation: what, on which path, where in it, and why.
#[derive(Debug)]
pub struct DiskError {
    /// What was being done.
    pub operation: DiskOperation,
    /// On which file or directory.
    pub path: PathBuf,
    /// At which byte offset, for reads and writes.
    pub offset: Option<u64>,
    /// How it failed.
    pub kind: DiskErrorKind,
    /// The system's own word for it.
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

/// What disk operations return.
pub type DiskResult<T> = Result<T, DiskError>;
