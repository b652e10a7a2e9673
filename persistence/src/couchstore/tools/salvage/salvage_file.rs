//! The salvage of one file into another.
//!
//! The newest sound header counts. Rows are read by seqno. These are looked up by key: rows below
//! unreadable nodes, rows that the by-seqno index lacks, and rows that it has wrongly
//! (`disputed_rows`). High seqno, purge seqno and time are the source's, so no seqno is used again,
//! although lost rows leave gaps.

use std::path::Path;
use std::sync::Arc;

use crate::contract::{EngineError, Severity};
use crate::couchstore::config::{CommitMode, CompactionConfig, CouchstoreConfig};
use crate::couchstore::file::{CommitView, Keyring, header_search};
use crate::couchstore::format::FormatVersion;
use crate::couchstore::store_context::StoreContext;
use crate::couchstore::tools::check::{Finding, FindingKind, check_commit};
use crate::couchstore::write::Writer;
use crate::disk::{Access, Disk};

use super::local_copy;
use super::loss::{CountingObserver, Loss, SalvageObserver, Salvaged};
use super::row_copy::RowCopy;

/// Copies everything readable of `source` into a new file `target`, of version 14 and on the same
/// disk. An encrypted source needs its key; the new file is not encrypted.
///
/// # Errors
/// [`EngineError::Corrupt`] if no header is sound; [`EngineError::KeyMissing`] or
/// [`EngineError::KeyWrong`]; [`EngineError::Unsupported`] if the source is of another version than
/// 11 to 14; [`EngineError::Disk`], of kind `AlreadyExists` if `target` exists. After an error
/// there is no target.
pub fn salvage(
    disk: &dyn Disk,
    source: &Path,
    target: &Path,
    keys: &Keyring,
    observer: &mut dyn SalvageObserver,
) -> Result<Salvaged, EngineError> {
    let (view, damage) =
        header_search::newest_whole(disk.open(source, Access::ReadOnly)?, source, keys)?;
    let Some(view) = view else {
        let none = || EngineError::Corrupt {
            path: source.into(),
            offset: 0,
            what: "no header is sound".into(),
        };
        return Err(damage.into_iter().next_back().unwrap_or_else(none));
    };
    let mut counted = CountingObserver {
        observer,
        losses: 0,
    };
    for error in damage {
        let found = Finding::of_error(FindingKind::Header, error)?;
        let what = format!(
            "{}; the commit there, if there was one, is lost",
            found.what
        );
        counted.lost(Loss {
            offset: found.offset,
            seqnos: None,
            key: None,
            rows: None,
            what,
        });
    }
    let file = disk.create(target)?;
    let made = Writer::create(file, target, Arc::new(StoreContext::new(CONFIG)))
        .and_then(|writer| fill(&view, writer, &mut counted))
        .and_then(|salvaged| {
            sync_name(disk, target)?;
            Ok(salvaged)
        });
    let salvaged = made.inspect_err(|_| {
        // The target is not whole, and the first error is more important.
        let _ = disk.remove(target);
    })?;
    Ok(Salvaged {
        losses: counted.losses,
        ..salvaged
    })
}

/// The new file's settings. It must be durable when its totals are returned.
const CONFIG: CouchstoreConfig = CouchstoreConfig {
    // Nothing is read twice.
    cache_bytes: 0,
    open_files_max: CouchstoreConfig::DEFAULT.open_files_max,
    commit: CommitMode::TwoPhase,
    version: FormatVersion::V14,
    compaction: CompactionConfig::DEFAULT,
};

fn fill(
    view: &CommitView,
    writer: Writer,
    observer: &mut CountingObserver<'_>,
) -> Result<Salvaged, EngineError> {
    let mut copy = RowCopy::new(view, writer, observer);
    copy.rows()?;
    let (mut writer, rows) = copy.finish()?;
    let locals = local_copy::copy(view, &mut writer, rows.figures, observer)?;
    writer.set_seqnos(view.header.update_seq, view.header.purge_seq);
    writer.commit(view.header.timestamp)?;
    writer.finish()?;
    verify(writer.view())?;
    let info = writer.view().info();
    Ok(Salvaged {
        header: view.position,
        high: info.high,
        rows: info.items.saturating_add(info.deleted),
        found_by_key: rows.found_by_key,
        locals,
        losses: 0,
    })
}

/// Checks the new file. Indexes of the source that contradict each other could make a file that
/// does as well.
fn verify(view: &CommitView) -> Result<(), EngineError> {
    let mut found: Vec<Finding> = Vec::new();
    check_commit(view, &mut found)?;
    // A readable state is copied as it is.
    let is_damage = |finding: &Finding| {
        finding.severity() == Severity::Damage && finding.kind != FindingKind::State
    };
    match found.into_iter().find(is_damage) {
        None => Ok(()),
        Some(finding) => Err(view.source.corrupt(
            finding.offset,
            format!("the salvaged file is inconsistent: {finding}"),
        )),
    }
}

fn sync_name(disk: &dyn Disk, path: &Path) -> Result<(), EngineError> {
    Ok(disk.sync_dir(path.parent().unwrap_or(Path::new("")))?)
}
