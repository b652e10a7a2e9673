//! The compaction of a store into another one, with the same contents and little that is dead.
//!
//! # Invariants (L42)
//!
//! - The old store is only read. It is opened over a disk that keeps in memory what opening would
//!   write.
//! - Each vBucket moves as an export: with its state, its tombstones, its purge seqno and spared
//!   tombstones.
//! - A copy that fails, or whose source was written to meanwhile, leaves an empty directory.
//!   Renaming the directory of a complete copy is left to the caller.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::{Seqno, Vbid};

use super::export::Export;
use crate::contract::{Budget, CompactionReport, Engine, EngineError, JobProgress};
use crate::disk::{Access, Disk, DiskError, DiskErrorKind, DiskOperation};
use crate::logstor::engine::Logstor;
use crate::logstor::tools::LogDirectory;
use crate::sync::{Mutex, ranks};

/// Progress is reported once for this much.
const STEP: Budget = Budget {
    items: 64,
    bytes: 1 << 20,
};

/// Copies the contents of a store into a new one in `target`, on the same disk. The directory must
/// be empty or not exist. Tombstones up to `purge_upto` are left out, except those that every purge
/// spares. `progress` is called with the number of items that were copied, and of all. O(bytes);
/// memory for the old store's index and a piece.
///
/// # Errors
/// [`EngineError::Corrupt`] if the old store is damaged; [`EngineError::InUse`] if it was written
/// to meanwhile; [`EngineError::Disk`], of kind `AlreadyExists` if `target` is not empty. After any
/// other error it is.
pub fn compact_store(
    source: &LogDirectory,
    target: &Path,
    purge_upto: Option<Seqno>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<CompactionReport, EngineError> {
    let disk = source.disk();
    match disk.list(target) {
        Ok(names) if names.is_empty() => {}
        Err(error) if error.kind == DiskErrorKind::NotFound => {}
        Ok(_) => return Err(already_exists(target)),
        Err(error) => return Err(error.into()),
    }
    let copied = copy(source, target, purge_upto, progress);
    // A store that is being written may look damaged.
    let result = match (source.is_unchanged(), copied) {
        (Ok(false), _) => Err(EngineError::InUse {
            path: source.dir().to_path_buf(),
        }),
        (Err(error), Ok(_)) => Err(error),
        (_, copied) => copied,
    };
    if result.is_err() {
        empty(&**disk, target);
    }
    result
}

fn copy(
    source: &LogDirectory,
    target: &Path,
    purge_upto: Option<Seqno>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<CompactionReport, EngineError> {
    let (old, _) = source.open_over()?;
    let (new, _) = Logstor::open(Arc::clone(source.disk()), target, source.config())?;
    let layout = source.layout();
    let image_bytes = layout.images.iter().map(|image| image.bytes).sum::<u64>();
    let mut report = CompactionReport {
        bytes_before: layout.file_bytes + image_bytes,
        ..CompactionReport::default()
    };
    let of = layout
        .vbuckets
        .iter()
        .map(|vb| vb.info.items + vb.info.deleted)
        .sum();
    for vb in old.vbuckets() {
        if let Some(upto) = purge_upto {
            report.tombstones_purged += old.store.purge(vb, upto.0)?.1;
        }
        let before = report.items_copied;
        report.items_copied +=
            move_vbucket(&old, &new, vb, &mut |done| progress(before + done, of))?;
    }
    new.close()?;
    report.bytes_after = bytes_of(&**source.disk(), target)?;
    old.close()?;
    Ok(report)
}

/// Moves a vBucket. Returns the number of its items.
fn move_vbucket(
    old: &Logstor,
    new: &Logstor,
    vb: Vbid,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, EngineError> {
    let failure = Arc::new(Mutex::new(ranks::COPY_FAILURE, None));
    let pieces = Pieces {
        export: old.export(vb)?,
        piece: Vec::new(),
        read: 0,
        failure: Arc::clone(&failure),
    };
    let mut job = new.import(vb, Box::new(pieces))?;
    loop {
        match job.step(STEP) {
            Ok(JobProgress::Done(report)) => return Ok(report.items_copied),
            Ok(JobProgress::Working { done, .. }) => progress(done),
            Ok(_) => {}
            // An error of reading is the cause.
            Err(error) => return Err(failure.lock().take().unwrap_or(error)),
        }
    }
}

/// A reader of an export's bytes.
struct Pieces {
    export: Export,
    piece: Vec<u8>,
    /// Bytes of the piece that were read.
    read: usize,
    failure: Arc<Mutex<Option<EngineError>>>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.piece.len() {
            let next = self.export.next_piece().map_err(|error| {
                let reported = io::Error::other(error.to_string());
                *self.failure.lock() = Some(error);
                reported
            })?;
            // Behind the last piece a read gives nothing: the end.
            self.piece = next.unwrap_or_default();
            self.read = 0;
        }
        let mut rest = self.piece.get(self.read..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.read += count;
        Ok(count)
    }
}

fn bytes_of(disk: &dyn Disk, dir: &Path) -> Result<u64, EngineError> {
    let files = disk
        .list(dir)?
        .into_iter()
        .filter(|name| name.starts_with("log-") || name.starts_with("index-"));
    let mut bytes = 0;
    for name in files {
        bytes += disk.open(&dir.join(name), Access::ReadOnly)?.len()?;
    }
    Ok(bytes)
}

/// Removes all files, as far as possible.
fn empty(disk: &dyn Disk, dir: &Path) {
    for name in disk.list(dir).unwrap_or_default() {
        let _ = disk.remove(&dir.join(name));
    }
}

fn already_exists(path: &Path) -> EngineError {
    EngineError::Disk(DiskError {
        operation: DiskOperation::Create,
        path: path.to_path_buf(),
        offset: None,
        kind: DiskErrorKind::AlreadyExists,
        source: io::ErrorKind::AlreadyExists.into(),
    })
}
