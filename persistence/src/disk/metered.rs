//! A disk that counts the calls made to another disk, as [`DiskStats`].
//!
//! Tests and benchmarks use the counts to bound the I/O of an operation.
//!
//! # Invariants
//!
//! Calls pass through unchanged, and counts never fall. A failed call counts like any other: the
//! device was busy with it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::numbers::to_u64;

use super::error::DiskResult;
use super::traits::{Access, Disk, DiskDirectory, DiskFile, DiskLock};

/// The calls made to a disk since it was wrapped. The difference of two values is the cost of what
/// happened between them. Lists, locks, lengths and openings of directories are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskStats {
    /// Files opened.
    pub opens: u64,
    /// Reads.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Writes, preallocations included.
    pub writes: u64,
    /// Bytes passed to writes, whether or not the write succeeded.
    pub written_bytes: u64,
    /// Changes of a file's length.
    pub length_changes: u64,
    /// Syncs of files.
    pub syncs: u64,
    /// Syncs of directories.
    pub dir_syncs: u64,
    /// Names created, moved or removed, directories included.
    pub name_operations: u64,
}

impl DiskStats {
    /// Returns what was counted after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            opens: self.opens.saturating_sub(earlier.opens),
            reads: self.reads.saturating_sub(earlier.reads),
            read_bytes: self.read_bytes.saturating_sub(earlier.read_bytes),
            writes: self.writes.saturating_sub(earlier.writes),
            written_bytes: self.written_bytes.saturating_sub(earlier.written_bytes),
            length_changes: self.length_changes.saturating_sub(earlier.length_changes),
            syncs: self.syncs.saturating_sub(earlier.syncs),
            dir_syncs: self.dir_syncs.saturating_sub(earlier.dir_syncs),
            name_operations: self.name_operations.saturating_sub(earlier.name_operations),
        }
    }
}

#[derive(Debug, Default)]
struct Counters {
    opens: AtomicU64,
    reads: AtomicU64,
    read_bytes: AtomicU64,
    writes: AtomicU64,
    written_bytes: AtomicU64,
    length_changes: AtomicU64,
    syncs: AtomicU64,
    dir_syncs: AtomicU64,
    name_operations: AtomicU64,
}

/// Any disk, counted. Clones are handles of the same disk and share its counts.
#[derive(Clone, Debug)]
pub struct MeteredDisk {
    disk: Arc<dyn Disk>,
    counters: Arc<Counters>,
}

impl MeteredDisk {
    /// Wraps a disk. The counts start at 0.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            counters: Arc::default(),
        }
    }

    /// Returns the counts so far. Calls under way on other threads may be included in part.
    #[must_use]
    pub fn stats(&self) -> DiskStats {
        let counters = &self.counters;
        DiskStats {
            opens: get(&counters.opens),
            reads: get(&counters.reads),
            read_bytes: get(&counters.read_bytes),
            writes: get(&counters.writes),
            written_bytes: get(&counters.written_bytes),
            length_changes: get(&counters.length_changes),
            syncs: get(&counters.syncs),
            dir_syncs: get(&counters.dir_syncs),
            name_operations: get(&counters.name_operations),
        }
    }

    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(MeteredFile {
            file,
            counters: Arc::clone(&self.counters),
        })
    }
}

// Relaxed: no conclusion is drawn from one count about another.
fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

impl Disk for MeteredDisk {
    fn open(&self, path: &Path, access: Access) -> DiskResult<Arc<dyn DiskFile>> {
        add(&self.counters.opens, 1);
        Ok(self.file(self.disk.open(path, access)?))
    }

    fn create(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>> {
        add(&self.counters.name_operations, 1);
        Ok(self.file(self.disk.create(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        add(&self.counters.name_operations, 1);
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> DiskResult<()> {
        add(&self.counters.name_operations, 1);
        self.disk.remove(path)
    }

    fn list(&self, dir: &Path) -> DiskResult<Vec<String>> {
        self.disk.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> DiskResult<()> {
        add(&self.counters.name_operations, 1);
        self.disk.create_dir(dir)
    }

    fn lock(&self, dir: &Path) -> DiskResult<Box<dyn DiskLock>> {
        self.disk.lock(dir)
    }

    fn sync_dir(&self, dir: &Path) -> DiskResult<()> {
        add(&self.counters.dir_syncs, 1);
        self.disk.sync_dir(dir)
    }

    fn open_dir(&self, dir: &Path) -> DiskResult<Arc<dyn DiskDirectory>> {
        Ok(Arc::new(MeteredDirectory {
            directory: self.disk.open_dir(dir)?,
            counters: Arc::clone(&self.counters),
        }))
    }
}

/// An open directory of a [`MeteredDisk`].
#[derive(Debug)]
struct MeteredDirectory {
    directory: Arc<dyn DiskDirectory>,
    counters: Arc<Counters>,
}

impl DiskDirectory for MeteredDirectory {
    fn sync(&self) -> DiskResult<()> {
        add(&self.counters.dir_syncs, 1);
        self.directory.sync()
    }
}

/// An open file of a [`MeteredDisk`].
#[derive(Debug)]
struct MeteredFile {
    file: Arc<dyn DiskFile>,
    counters: Arc<Counters>,
}

impl DiskFile for MeteredFile {
    fn len(&self) -> DiskResult<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> DiskResult<()> {
        add(&self.counters.length_changes, 1);
        self.file.set_len(len)
    }

    fn preallocate(&self, offset: u64, len: u64) -> DiskResult<()> {
        add(&self.counters.writes, 1);
        add(&self.counters.written_bytes, len);
        self.file.preallocate(offset, len)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> DiskResult<usize> {
        add(&self.counters.reads, 1);
        let count = self.file.read_at(buffer, offset)?;
        add(&self.counters.read_bytes, to_u64(count));
        Ok(count)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> DiskResult<()> {
        add(&self.counters.writes, 1);
        add(
            &self.counters.written_bytes,
            parts.iter().map(|part| to_u64(part.len())).sum(),
        );
        self.file.write_at(parts, offset)
    }

    fn sync_data(&self) -> DiskResult<()> {
        add(&self.counters.syncs, 1);
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests;
