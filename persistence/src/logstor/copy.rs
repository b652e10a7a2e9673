//! Compacting a store into another: what was found in one goes in, a new store comes out that shows the same and has little
//! that is dead.
//!
//! Always (L42): the old store is only read, opened over what opening it would write, which stays in memory. Each vBucket moves
//! as its export has it: with its state, its tombstones, its purge seqno and what purges spared. A copy that fails, or whose
//! source was written to meanwhile, leaves nothing in the new directory; whether that is there under its name only
//! when it is whole is the caller's to see to, since it alone can rename a directory.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::{Seqno, Vbid};

use crate::contract::{Budget, CompactionReport, Engine, EngineError, Progress};
use crate::disk::{Access, Disk, DiskError, DiskErrorKind, DiskOperation};
use crate::sync::Mutex;

use super::export::Export;
use super::{LogDirectory, Logstor};

/// Progress is told once for so much.
const STEP: Budget = Budget {
    items: 64,
    bytes: 1 << 20,
};

/// Copies what a store shows into a new one in `target`, on the same disk: a directory that has nothing in it, or is not
/// there. Tombstones up to `purge_upto` are left out, but for those that every purge spares. `progress` is told how
/// many items of how many were copied. O(bytes); memory for the old store's index and a piece.
///
/// # Errors
/// [`EngineError::Corrupt`] if the old store is damaged; [`EngineError::InUse`] if it was written to meanwhile;
/// [`EngineError::Disk`], of kind `AlreadyExists` if there is something in `target`. Then the directory is empty.
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
    // A store that is written to may look damaged.
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

/// How many items it has.
fn move_vbucket(
    old: &Logstor,
    new: &Logstor,
    vb: Vbid,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, EngineError> {
    let failure = Arc::new(Mutex::new(None));
    let pieces = Pieces {
        export: old.export(vb)?,
        piece: Vec::new(),
        read: 0,
        failure: Arc::clone(&failure),
    };
    let mut job = new.import(vb, Box::new(pieces))?;
    loop {
        match job.step(STEP) {
            Ok(Progress::Done(report)) => return Ok(report.items_copied),
            Ok(Progress::Working { done, .. }) => progress(done),
            Ok(_) => {}
            // What failed to be read says why.
            Err(error) => return Err(failure.lock().take().unwrap_or(error)),
        }
    }
}

/// An export as it is read.
struct Pieces {
    export: Export,
    piece: Vec<u8>,
    /// So much of the piece.
    read: usize,
    failure: Arc<Mutex<Option<EngineError>>>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.piece.len() {
            let next = self.export.next_piece().map_err(|error| {
                let told = io::Error::other(error.to_string());
                *self.failure.lock() = Some(error);
                told
            })?;
            (self.piece, self.read) = (next.unwrap_or_default(), 0);
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

/// Removes what was made, as far as that can be done.
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
