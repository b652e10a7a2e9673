//! A disk that reads from another disk and keeps writes in memory, so that a store that must not
//! change can be opened.
//!
//! # Invariants
//!
//! The disk below sees opens for reading, reads and lists, and nothing else. Memory is what was
//! written.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{
    Access, Disk, DiskDirectory, DiskError, DiskErrorKind, DiskFile, DiskLock, DiskOperation,
    DiskResult,
};
use crate::logstor::format::to_u64;
use crate::sync::{Mutex, ranks};

/// Names that differ from the disk below: another file, or none.
type Names = BTreeMap<PathBuf, Option<Arc<OverlayFile>>>;

/// A disk over another one.
#[derive(Debug)]
pub(super) struct OverlayDisk {
    below: Arc<dyn Disk>,
    names: Mutex<Names>,
}

#[derive(Debug)]
struct OverlayFile {
    below: Option<Arc<dyn DiskFile>>,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    /// Bytes of the file below that count.
    below_bytes: u64,
    /// Offset and bytes of each write, in order.
    patches: Vec<(u64, Vec<u8>)>,
}

#[derive(Debug)]
struct NoLock;

impl DiskLock for NoLock {}

impl OverlayDisk {
    pub(super) fn new(below: Arc<dyn Disk>) -> Self {
        Self {
            below,
            names: Mutex::new(ranks::OVERLAY_NAMES, Names::new()),
        }
    }

    fn find(&self, path: &Path, operation: DiskOperation) -> DiskResult<Arc<OverlayFile>> {
        let mut names = self.names.lock();
        match names.get(path) {
            Some(Some(file)) => Ok(Arc::clone(file)),
            Some(None) => Err(failed(operation, path, DiskErrorKind::NotFound)),
            None => {
                let below = self.below.open(path, Access::ReadOnly)?;
                let len = below.len()?;
                let written = Written {
                    len,
                    below_bytes: len,
                    patches: Vec::new(),
                };
                let file = Arc::new(OverlayFile {
                    below: Some(below),
                    written: Mutex::new(ranks::OVERLAY_FILE, written),
                });
                names.insert(path.to_path_buf(), Some(Arc::clone(&file)));
                Ok(file)
            }
        }
    }
}

fn failed(operation: DiskOperation, path: &Path, kind: DiskErrorKind) -> DiskError {
    let source = match kind {
        DiskErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists.into(),
        _ => io::ErrorKind::NotFound.into(),
    };
    DiskError {
        operation,
        path: path.to_path_buf(),
        offset: None,
        kind,
        source,
    }
}

impl Disk for OverlayDisk {
    fn open(&self, path: &Path, _access: Access) -> DiskResult<Arc<dyn DiskFile>> {
        let file: Arc<dyn DiskFile> = self.find(path, DiskOperation::Open)?;
        Ok(file)
    }

    fn create(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>> {
        match self.find(path, DiskOperation::Create) {
            Ok(_) => {
                return Err(failed(
                    DiskOperation::Create,
                    path,
                    DiskErrorKind::AlreadyExists,
                ));
            }
            Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        let written = Written {
            len: 0,
            below_bytes: 0,
            patches: Vec::new(),
        };
        let file = Arc::new(OverlayFile {
            below: None,
            written: Mutex::new(ranks::OVERLAY_FILE, written),
        });
        self.names
            .lock()
            .insert(path.to_path_buf(), Some(Arc::clone(&file)));
        Ok(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        let file = self.find(from, DiskOperation::Rename)?;
        let mut names = self.names.lock();
        names.insert(from.to_path_buf(), None);
        names.insert(to.to_path_buf(), Some(file));
        Ok(())
    }

    fn remove(&self, path: &Path) -> DiskResult<()> {
        self.find(path, DiskOperation::Remove)?;
        self.names.lock().insert(path.to_path_buf(), None);
        Ok(())
    }

    fn list(&self, dir: &Path) -> DiskResult<Vec<String>> {
        let names = self.names.lock();
        let mut list = self.below.list(dir)?;
        list.retain(|name| !matches!(names.get(&dir.join(name)), Some(None)));
        let here = names
            .iter()
            .filter(|(path, file)| file.is_some() && path.parent() == Some(dir));
        list.extend(here.filter_map(|(path, _)| Some(path.file_name()?.to_str()?.to_owned())));
        list.sort_unstable();
        list.dedup();
        Ok(list)
    }

    fn create_dir(&self, dir: &Path) -> DiskResult<()> {
        self.below.list(dir).map(drop)
    }

    fn lock(&self, _dir: &Path) -> DiskResult<Box<dyn DiskLock>> {
        Ok(Box::new(NoLock))
    }

    fn sync_dir(&self, _dir: &Path) -> DiskResult<()> {
        Ok(())
    }

    fn open_dir(&self, _dir: &Path) -> DiskResult<Arc<dyn DiskDirectory>> {
        Ok(Arc::new(OverlayDirectory))
    }
}

/// A directory that needs no sync.
#[derive(Debug)]
struct OverlayDirectory;

impl DiskDirectory for OverlayDirectory {
    fn sync(&self) -> DiskResult<()> {
        Ok(())
    }
}

/// Converts a length in a file. Memory holds no more than its greatest length.
fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl DiskFile for OverlayFile {
    fn len(&self) -> DiskResult<u64> {
        Ok(self.written.lock().len)
    }

    fn set_len(&self, len: u64) -> DiskResult<()> {
        let mut written = self.written.lock();
        written.below_bytes = written.below_bytes.min(len);
        for (at, bytes) in &mut written.patches {
            bytes.truncate(in_memory(len.saturating_sub(*at)));
        }
        written.len = len;
        Ok(())
    }

    fn preallocate(&self, offset: u64, len: u64) -> DiskResult<()> {
        self.write_at(&[&vec![0; in_memory(len)]], offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> DiskResult<usize> {
        let written = self.written.lock();
        let left = in_memory(written.len.saturating_sub(offset));
        let count = buffer.len().min(left);
        let buffer = buffer.get_mut(..count).unwrap_or_default();
        buffer.fill(0);
        let below = in_memory(written.below_bytes.saturating_sub(offset)).min(count);
        if let (Some(file), Some(part)) = (&self.below, buffer.get_mut(..below)) {
            file.read_at(part, offset)?;
        }
        for (at, bytes) in &written.patches {
            let start = (*at).max(offset);
            let end = (at + to_u64(bytes.len())).min(offset + to_u64(count));
            if start >= end {
                continue;
            }
            let from = bytes.get(in_memory(start - at)..in_memory(end - at));
            let to = buffer.get_mut(in_memory(start - offset)..in_memory(end - offset));
            if let (Some(from), Some(to)) = (from, to) {
                to.copy_from_slice(from);
            }
        }
        Ok(count)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> DiskResult<()> {
        let bytes = parts.concat();
        let mut written = self.written.lock();
        written.len = written.len.max(offset + to_u64(bytes.len()));
        written.patches.push((offset, bytes));
        Ok(())
    }

    fn sync_data(&self) -> DiskResult<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    fn read(disk: &dyn Disk, path: &str) -> Vec<u8> {
        let file = disk.open(Path::new(path), Access::ReadOnly).expect("there");
        let mut bytes = vec![9; 100];
        let count = file.read_at(&mut bytes, 0).expect("read");
        bytes.truncate(count);
        bytes
    }

    #[test]
    fn overlay_reads_what_was_written_and_leaves_the_disk_below_unchanged() {
        let below = MemoryDisk::new();
        let old = Path::new("/d/old");
        let new = Path::new("/d/new");
        below.create_dir(Path::new("/d")).expect("made");
        below
            .create(old)
            .expect("made")
            .write_at(&[b"0123456789"], 0)
            .expect("written");
        let disk = OverlayDisk::new(Arc::new(below.clone()));
        let file = disk.open(old, Access::ReadWrite).expect("there");
        file.write_at(&[b"ab", b"c"], 8).expect("written");
        file.write_at(&[b"X"], 1).expect("written");
        assert_eq!(read(&disk, "/d/old"), b"0X234567abc");
        file.set_len(9).expect("cut");
        file.set_len(12).expect("extended");
        assert_eq!(read(&disk, "/d/old"), b"0X234567a\0\0\0");
        file.set_len(4).expect("cut");
        file.preallocate(3, 3).expect("zeros");
        assert_eq!(read(&disk, "/d/old"), b"0X2\0\0\0");
        assert_eq!(
            disk.create(old).expect_err("there").kind,
            DiskErrorKind::AlreadyExists
        );
        disk.create(new)
            .expect("made")
            .write_at(&[b"new"], 0)
            .expect("written");
        assert_eq!(disk.list(Path::new("/d")).expect("list"), ["new", "old"]);
        disk.rename(new, old).expect("renamed");
        assert_eq!(read(&disk, "/d/old"), b"new");
        assert_eq!(disk.list(Path::new("/d")).expect("list"), ["old"]);
        disk.remove(old).expect("removed");
        assert_eq!(
            disk.open(old, Access::ReadOnly).expect_err("gone").kind,
            DiskErrorKind::NotFound
        );
        assert_eq!(read(&below, "/d/old"), b"0123456789");
        assert_eq!(below.list(Path::new("/d")).expect("list"), ["old"]);
    }
}
