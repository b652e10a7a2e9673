//! Making log files: what is to be there goes in; a file is made of slices of zeros, each durable before the next, and comes out
//! under its name.
//!
//! What always holds:
//!
//! - A file has its name only when all of it is durable (L30), so that a store that is opened finds whole files. A slice is synced
//!   by itself, so that no commit's sync waits behind all of a file.
//! - What was asked to be there beforehand is made by upkeep alone, file by file, within the budget (L43): a store that is
//!   opened, and a commit that finds free segments, make nothing.
//! - Where a file can't be made, upkeep counts on no more until as much was written as it would have held (L44): meanwhile
//!   there is as much room as there is, and rewriting makes the best of it. A commit that finds no free segment tries all
//!   the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::contract::EngineError;
use crate::disk::{DiskErrorKind, DiskFile, DiskResult};
use crate::logstor::shared::Shared;

use super::Segments;

/// How many segments there are to be, at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct Room {
    pub(in crate::logstor) free: u32,
    pub(in crate::logstor) total: u32,
}

impl Segments {
    /// Makes files until so many segments are free, or nothing more can be made.
    pub(super) fn ensure_free(&self, free: u32) -> Result<(), EngineError> {
        while !self.prepare(Room { free, total: 0 }, u64::MAX)? {}
        Ok(())
    }

    /// What upkeep is to make: so many free segments, or the next file of what was to be there beforehand.
    pub(in crate::logstor) fn due(&self, free: u32) -> Option<Room> {
        let census = self.census();
        // A job a file: whoever wants something else of the whole store has its turn between them.
        let next = census.total.saturating_add(self.geometry.segments_per_file);
        let room = Room {
            free,
            total: self.prepared_segments().min(next),
        };
        let is_due = census.free < room.free || census.total < room.total;
        (is_due && census.possible > 0).then_some(room)
    }

    /// What was to be there beforehand, and is not.
    pub(in crate::logstor) fn unprepared_bytes(&self) -> u64 {
        let missing = self.prepared_segments().saturating_sub(self.census().total);
        u64::from(missing) * u64::from(self.geometry.segment_bytes)
    }

    fn prepared_segments(&self) -> u32 {
        let segments = self
            .shared
            .config
            .prepared_bytes
            .div_ceil(self.geometry.segment_bytes.into());
        u32::try_from(segments)
            .unwrap_or(u32::MAX)
            .min(self.segments_max)
    }

    /// Makes a part of a file, of so many bytes, unless there is as much as is to be or nothing more can be made: whether that
    /// is so. Whoever comes next goes on with the file.
    pub(in crate::logstor) fn prepare(&self, room: Room, bytes: u64) -> Result<bool, EngineError> {
        let mut growing = self.growth.lock();
        let (free, files, total) = {
            let inner = self.inner.lock();
            (
                inner.free.len() as u32,
                inner.files.len() as u32,
                inner.total,
            )
        };
        // A file with fewer segments than the others is the last there can be.
        let is_last = total != files.saturating_mul(self.geometry.segments_per_file);
        if (free >= room.free && total >= room.total) || total >= self.segments_max || is_last {
            return Ok(true);
        }
        let count = self
            .geometry
            .segments_per_file
            .min(self.segments_max - total);
        let path = self.shared.dir.join(Self::file_name(files));
        let begun = growing
            .take()
            .map_or_else(|| Growing::begin(&self.shared, &path), Ok);
        let grown = begun.and_then(|mut file| {
            let len = u64::from(count) * u64::from(self.geometry.segment_bytes);
            Ok((file.go_on(&self.shared, &path, len, bytes)?, file))
        });
        match grown {
            Ok((false, file)) => *growing = Some(file),
            Ok((true, file)) => self.add(file, path, count),
            Err(error) => {
                let file_bytes = u64::from(count) * u64::from(self.geometry.segment_bytes);
                let written_bytes = self.shared.counters.written_bytes.get();
                self.inner.lock().refused_upto_bytes = written_bytes.saturating_add(file_bytes);
                // What is left is without a use, and removed the next time.
                for path in [path.with_extension("new"), path] {
                    let _ = self.shared.disk.remove(&path);
                }
                return Err(error.into());
            }
        }
        Ok(false)
    }

    fn add(&self, file: Growing, path: PathBuf, count: u32) {
        let mut inner = self.inner.lock();
        inner
            .files
            .push(Arc::new(self.shared.log_file(file.file, path)));
        let (first, total) = (inner.total, inner.total + count);
        inner.total = total;
        inner.free.extend(first..total);
        inner.refused_upto_bytes = 0;
        self.table.write().resize(total as usize, None);
    }

    /// Removes a file that is not finished; if that fails it is removed when the store is opened.
    pub(in crate::logstor) fn give_up_growth(&self) {
        if self.growth.lock().take().is_some() {
            let files = self.inner.lock().files.len() as u32;
            let path = self
                .shared
                .dir
                .join(Self::file_name(files))
                .with_extension("new");
            let _ = self.shared.disk.remove(&path);
        }
    }
}

#[derive(Debug)]
pub(super) struct Growing {
    file: Arc<dyn DiskFile>,
    /// Bytes that are there, durably.
    done: u64,
}

impl Growing {
    fn begin(shared: &Shared, path: &Path) -> DiskResult<Self> {
        let new_path = path.with_extension("new");
        // What could not be removed when it failed.
        match shared.disk.remove(&new_path) {
            Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self {
            file: shared.disk.create(&new_path)?,
            done: 0,
        })
    }

    /// Writes so many bytes more of `len`; whether the file is there then.
    fn go_on(&mut self, shared: &Shared, path: &Path, len: u64, bytes: u64) -> DiskResult<bool> {
        let new_path = path.with_extension("new");
        let slice = bytes.min(len.saturating_sub(self.done));
        self.file.preallocate(self.done, slice)?;
        shared.counters.prepared_bytes.add(slice);
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
