//! Making of log files ahead of need: a file is made of slices of zeros, each durable before the
//! next.
//!
//! Commits then overwrite existing blocks, which is faster than extending a file, and they wait for
//! no file.
//!
//! # Invariants
//!
//! - A file has its name only when all of it is durable, so opening a store finds whole files
//!   (L30). Each slice is synced by itself, so no commit's sync waits for a whole file.
//! - Space that was asked for beforehand is made by upkeep alone, file by file, within the budget
//!   (L43). Opening makes none, and neither does a commit that finds free segments.
//! - Where a file can't be made, upkeep expects no more until as much was written as it would have
//!   held (L44). Meanwhile rewriting makes the best of the segments there are. A commit that finds
//!   no free segment tries all the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::store_context::StoreContext;
use super::SegmentTable;
use crate::contract::EngineError;
use crate::disk::{DiskFile, DiskResult};
use crate::logstor::format::{to_u32, to_usize};

/// Numbers of segments to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct SpaceTarget {
    pub(in crate::logstor) free: u32,
    pub(in crate::logstor) total: u32,
}

impl SegmentTable {
    /// Makes files until `free` segments are free, or nothing more can be made.
    pub(super) fn ensure_free(&self, free: u32) -> Result<(), EngineError> {
        while !self.preallocate_step(SpaceTarget { free, total: 0 }, u64::MAX)? {}
        Ok(())
    }

    /// Returns the space that upkeep is to make: `free` free segments, or the next file of the
    /// configured preallocation.
    pub(in crate::logstor) fn due_space(&self, free: u32) -> Option<SpaceTarget> {
        let census = self.census();
        // One file a job: other jobs of the whole store run in between.
        let next = census.total.saturating_add(self.geometry.segments_per_file);
        let target = SpaceTarget {
            free,
            total: self.prepared_segments().min(next),
        };
        let is_due = census.free < target.free || census.total < target.total;
        (is_due && census.possible > 0).then_some(target)
    }

    /// Returns the bytes of the configured preallocation that are not made.
    pub(in crate::logstor) fn unprepared_bytes(&self) -> u64 {
        let missing = self.prepared_segments().saturating_sub(self.census().total);
        u64::from(missing) * u64::from(self.geometry.segment_bytes)
    }

    fn prepared_segments(&self) -> u32 {
        let segments = self
            .context
            .config
            .prepared_bytes
            .div_ceil(self.geometry.segment_bytes.into());
        u32::try_from(segments)
            .unwrap_or(u32::MAX)
            .min(self.segments_max)
    }

    /// Makes `bytes` bytes of a file, unless the target is reached or nothing more can be made.
    /// Returns whether that is so. The next call continues the file.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: the file is abandoned, and no further one is expected for a while (L44).
    pub(in crate::logstor) fn preallocate_step(
        &self,
        target: SpaceTarget,
        bytes: u64,
    ) -> Result<bool, EngineError> {
        let mut growing = self.growth.lock();
        let (free, files, total) = {
            let inner = self.inner.lock();
            (
                to_u32(inner.free.len()),
                to_u32(inner.files.len()),
                inner.total,
            )
        };
        // Only the last possible file has fewer segments than the others.
        let is_last = total != files.saturating_mul(self.geometry.segments_per_file);
        if (free >= target.free && total >= target.total) || total >= self.segments_max || is_last {
            return Ok(true);
        }
        let count = self
            .geometry
            .segments_per_file
            .min(self.segments_max - total);
        let path = self.context.dir.join(Self::file_name(files));
        let begun = growing
            .take()
            .map_or_else(|| GrowingFile::begin(&self.context, &path), Ok);
        let grown = begun.and_then(|mut file| {
            let len = u64::from(count) * u64::from(self.geometry.segment_bytes);
            Ok((file.go_on(&self.context, &path, len, bytes)?, file))
        });
        match grown {
            Ok((false, file)) => *growing = Some(file),
            Ok((true, file)) => self.add(file, path, count),
            Err(error) => {
                let file_bytes = u64::from(count) * u64::from(self.geometry.segment_bytes);
                let written_bytes = self.context.counters.written_bytes.get();
                self.inner.lock().refused_upto_bytes = written_bytes.saturating_add(file_bytes);
                // What can't be removed now is removed by the next attempt.
                for path in [path.with_extension("new"), path] {
                    let _ = self.context.disk.remove(&path);
                }
                return Err(error.into());
            }
        }
        Ok(false)
    }

    fn add(&self, file: GrowingFile, path: PathBuf, count: u32) {
        let mut inner = self.inner.lock();
        inner
            .files
            .push(Arc::new(self.context.log_file(file.file, path)));
        let first = inner.total;
        let total = first + count;
        inner.total = total;
        inner.free.extend(first..total);
        inner.refused_upto_bytes = 0;
        self.uses.write().resize(to_usize(total), None);
    }

    /// Removes an unfinished file. If that fails, it is removed when the store is opened.
    pub(in crate::logstor) fn abandon_growth(&self) {
        if self.growth.lock().take().is_some() {
            let files = to_u32(self.inner.lock().files.len());
            let path = self
                .context
                .dir
                .join(Self::file_name(files))
                .with_extension("new");
            let _ = self.context.disk.remove(&path);
        }
    }
}

#[derive(Debug)]
pub(super) struct GrowingFile {
    file: Arc<dyn DiskFile>,
    /// Durable bytes.
    done: u64,
}

impl GrowingFile {
    fn begin(context: &StoreContext, path: &Path) -> DiskResult<Self> {
        let new_path = path.with_extension("new");
        // A failed attempt may have left it.
        context.remove_if_there(&new_path)?;
        Ok(Self {
            file: context.disk.create(&new_path)?,
            done: 0,
        })
    }

    /// Writes `bytes` more bytes of `len`. Returns whether the file is complete.
    fn go_on(
        &mut self,
        context: &StoreContext,
        path: &Path,
        len: u64,
        bytes: u64,
    ) -> DiskResult<bool> {
        let new_path = path.with_extension("new");
        let slice = bytes.min(len.saturating_sub(self.done));
        self.file.preallocate(self.done, slice)?;
        context.counters.prepared_bytes.add(slice);
        context.sync(&*self.file, &new_path)?;
        self.done += slice;
        if self.done < len {
            return Ok(false);
        }
        context.disk.rename(&new_path, path)?;
        context.sync_dir()?;
        Ok(true)
    }
}
