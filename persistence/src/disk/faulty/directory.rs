//! Open directories and locks of a faulty disk: they count as handles, and a directory's sync can
//! fail.

use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::error::{DiskOperation, DiskResult};
use crate::disk::traits::{DiskDirectory, DiskLock};

use super::gate::Gate;
use super::handles::Handle;
use super::plan::Kind;

/// A directory's lock of a [`FaultyDisk`](crate::disk::FaultyDisk).
#[derive(Debug)]
pub(super) struct FaultyLock {
    pub(super) _lock: Box<dyn DiskLock>,
    pub(super) _handle: Handle,
}

impl DiskLock for FaultyLock {}

/// An open directory of a [`FaultyDisk`](crate::disk::FaultyDisk).
#[derive(Debug)]
pub(super) struct FaultyDirectory {
    pub(super) gate: Gate,
    pub(super) path: PathBuf,
    pub(super) directory: Arc<dyn DiskDirectory>,
    pub(super) _handle: Handle,
}

impl DiskDirectory for FaultyDirectory {
    fn sync(&self) -> DiskResult<()> {
        self.gate
            .change(Kind::Sync, DiskOperation::SyncDir, &self.path, || {
                self.directory.sync()
            })
    }
}
