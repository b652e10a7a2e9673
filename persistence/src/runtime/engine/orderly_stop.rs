//! The mark of an orderly stop: a small file in the store's directory.
//!
//! A store that was closed has everything on disk that its readers have seen. After any other end a
//! reader may have more than the disk, so every active begins a branch, which tells readers how far
//! to go back.
//!
//! # Invariants
//!
//! - R7. The file is there only while the store is closed in order. It is removed, durably, before
//!   the first reader is served, and written after everything was flushed. Both happen while the
//!   engine holds the directory's lock, so that no other store is at work there.
//! - A file that is damaged or of another version counts as none: a branch too many costs readers a
//!   check, a branch too few their consistency.
//!
//! A copy of a store's directory that was made while it was closed has the file, too. It is to be
//! removed before such a copy is brought back after the store has served readers.

use std::path::{Path, PathBuf};

use crate::disk::{Access, Disk, DiskErrorKind, DiskResult};

/// The name of the file.
const NAME: &str = "orderly-stop";
/// Its content.
const CONTENT: &[u8] = b"lowtide orderly stop 1\n";

fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// Returns whether the last stop was orderly. From now on it no longer is.
pub(in crate::runtime) fn take(disk: &dyn Disk, dir: &Path) -> DiskResult<bool> {
    let path = path(dir);
    let is_sound = match disk.open(&path, Access::ReadOnly) {
        Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
        Ok(file) => {
            let mut read = [0; CONTENT.len() + 1];
            let len = file.read_at(&mut read, 0)?;
            read.get(..len) == Some(CONTENT)
        }
    };
    disk.remove(&path)?;
    disk.sync_dir(dir)?;
    Ok(is_sound)
}

/// Records that the store was stopped in order.
pub(in crate::runtime) fn write(disk: &dyn Disk, dir: &Path) -> DiskResult<()> {
    let file = disk.create(&path(dir))?;
    file.write_at(&[CONTENT], 0)?;
    file.sync_data()?;
    disk.sync_dir(dir)
}
