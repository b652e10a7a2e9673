//! A log file while it is made: slices of zeros go in, each durable before the next, and the file comes out under its name.
//!
//! Always (L30): it has its name only when all of it is durable, so that a store that is opened finds whole files. A slice is synced
//! by itself, so that no commit's sync waits behind all of a file.

use std::path::Path;
use std::sync::Arc;

use crate::disk::{DiskErrorKind, DiskFile, DiskResult};
use crate::logstor::shared::Shared;

#[derive(Debug)]
pub(super) struct Growing {
    pub(super) file: Arc<dyn DiskFile>,
    /// Bytes that are there, durably.
    done: u64,
}

impl Growing {
    pub(super) fn begin(shared: &Shared, path: &Path) -> DiskResult<Self> {
        let new_path = path.with_extension("new");
        // What could not be removed when it failed.
        match shared.disk.remove(&new_path) {
            Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self { file: shared.disk.create(&new_path)?, done: 0 })
    }

    /// Writes so many bytes more of `len`; whether the file is there then.
    pub(super) fn go_on(&mut self, shared: &Shared, path: &Path, len: u64, bytes: u64) -> DiskResult<bool> {
        let new_path = path.with_extension("new");
        let slice = bytes.min(len.saturating_sub(self.done));
        self.file.preallocate(self.done, slice)?;
        shared.sync(&*self.file, &new_path)?;
        self.done += slice;
        if self.done < len {
            return Ok(false);
        }
        shared.disk.rename(&new_path, path)?;
        shared.sync_dir()?;
        Ok(true)
    }
}
