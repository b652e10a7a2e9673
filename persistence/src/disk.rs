//! The only way to storage: every byte of I/O of every engine passes through [`Disk`].
//!
//! The engines run on real files, on memory, and on a disk that fails on command. A test or the
//! simulator can therefore lose power at any I/O.
//!
//! # Invariants
//!
//! For every implementation:
//! - Written bytes are read back at once, and survive a power loss only after `sync_data` of that
//!   file.
//! - A file's name that was created, moved or removed survives a power loss only after `sync_dir` of
//!   its directory. A directory survives once `create_dir` has returned.
//! - A call that failed may have been done all the same, unless it ran out of handles.
//! - After a failed `sync_data` the unsynced bytes may never reach the disk, even if a later sync
//!   succeeds.

#[cfg(test)]
mod contract;
mod error;
mod failure;
mod faulty;
mod kept_directory;
mod memory;
mod metered;
mod os;
mod pooled;
mod traits;

pub use self::error::{DiskError, DiskErrorKind, DiskOperation, DiskResult};
pub use self::faulty::{Fault, FaultyDisk};
pub use self::memory::{MemoryDisk, MemoryUsage, PowerLoss};
pub use self::metered::{DiskStats, MeteredDisk};
pub use self::os::OsDisk;
pub use self::traits::{Access, Disk, DiskDirectory, DiskFile, DiskLock};

#[cfg(test)]
pub(crate) use self::memory::for_all_choices;

pub(crate) use self::kept_directory::KeptDirectory;
pub(crate) use self::pooled::PooledDisk;
