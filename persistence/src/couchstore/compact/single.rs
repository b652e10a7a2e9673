//! Compacting one file into another, without a store.
//!
//! What always holds (T6): the source is only read, and an existing target is refused. A failed
//! compaction leaves no file behind, and a completed one leaves a target that is whole and durable.
//! A last commit that is whole but not activated is included: it may have been acknowledged, and
//! opening the source as a store would bring it back.
//!
//! The target keeps the source's format version, so that the same tools can read both. Only version
//! 11, which nothing writes any more, becomes 12.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lowtide_checkpoint::Seqno;

use crate::contract::{Budget, CompactionReport, CompactionRequest, EngineError};
use crate::couchstore::config::{CommitMode, CompactionConfig, CouchstoreConfig};
use crate::couchstore::file::{CommitView, Source, header_search};
use crate::couchstore::format::{Checksum, FormatVersion};
use crate::couchstore::store_context::StoreContext;
use crate::couchstore::write::tail_recovery;
use crate::disk::{Access, Disk};

use super::copy::Copying;
use super::filter::Rules;
use super::target::Target;

const CONFIG: CouchstoreConfig = CouchstoreConfig {
    // Nothing is read twice.
    cache_bytes: 0,
    open_files_max: CouchstoreConfig::DEFAULT.open_files_max,
    commit: CommitMode::TwoPhase,
    version: FormatVersion::V12,
    compaction: CompactionConfig::DEFAULT,
};

/// Items between two reports of progress.
const STEP: Budget = Budget {
    items: 1_024,
    bytes: u64::MAX,
};

/// Compacts the file `source` into a new file `target` on the same disk. `progress` gets the number
/// of items done and their total: first all are copied, then they are indexed twice, counted from 0
/// again. O(file), with the memory of any compaction.
///
/// # Errors
/// [`EngineError::Corrupt`] if the source is damaged; [`EngineError::Unsupported`] if it is
/// encrypted, or of another version than 11 to 14; [`EngineError::Disk`], of kind `AlreadyExists`
/// if `target` exists, or a file of its name followed by `.btree-tmp_` and a number.
pub fn compact_file(
    disk: &dyn Disk,
    source: &Path,
    target: &Path,
    request: CompactionRequest,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<CompactionReport, EngineError> {
    compact_with(disk, source, target, request, CONFIG, progress)
}

pub(crate) fn compact_with(
    disk: &dyn Disk,
    source: &Path,
    target: &Path,
    request: CompactionRequest,
    config: CouchstoreConfig,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<CompactionReport, EngineError> {
    let view = newest(disk, source)?;
    let completed = view
        .state()?
        .map_or(Seqno::ZERO, |(state, _)| state.high_completed_seqno);
    let rules = Rules::new(request, Seqno(view.header.update_seq), completed);
    let mut report = CompactionReport {
        bytes_before: view.source.file.len()?,
        ..CompactionReport::default()
    };

    let mut files = CreatedFiles {
        disk,
        paths: Vec::new(),
    };
    let mut out = Target::new(
        files.create(target)?,
        Arc::new(StoreContext::new(config)),
        &view,
    );
    let mut create = |name: &str| files.create(&target.with_file_name(name));
    let mut copying = Copying::new(&view, rules, config.compaction.sort_bytes);
    while !copying.step(&view, &mut out, &mut create, &mut report, STEP)? {
        progress(copying.done(), view.row_count());
    }
    let mut indexing = copying.finish()?;
    while !indexing.step(&view, &mut out, &mut create, STEP)? {
        progress(indexing.done, indexing.of);
    }
    report.bytes_after = out.commit(&view)?.end;
    disk.sync_dir(target.parent().unwrap_or(Path::new("")))?;
    files.keep_first();
    Ok(report)
}

/// Returns the commit that opening the file for writing would recover, without writing.
fn newest(disk: &dyn Disk, path: &Path) -> Result<CommitView, EngineError> {
    let mut view = header_search::newest(disk.open(path, Access::ReadOnly)?, path)?;
    while let Some(next) = tail_recovery::successor(&view)? {
        view = next;
    }
    Ok(view)
}

/// The files created so far. They are removed when this is dropped.
struct CreatedFiles<'a> {
    disk: &'a dyn Disk,
    paths: Vec<PathBuf>,
}

impl CreatedFiles<'_> {
    fn create(&mut self, path: &Path) -> Result<Source, EngineError> {
        let file = self.disk.create(path)?;
        self.paths.push(path.to_path_buf());
        Ok(Source::new(file, path, Checksum::Crc32c))
    }

    fn keep_first(&mut self) {
        self.paths.drain(..self.paths.len().min(1));
    }
}

impl Drop for CreatedFiles<'_> {
    fn drop(&mut self) {
        for path in &self.paths {
            // Without its header it is not a couchstore file, and the first error is more
            // important.
            let _ = self.disk.remove(path);
        }
    }
}
