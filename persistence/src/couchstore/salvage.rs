//! Making a sound file of a damaged one: everything that can be read goes into a new file, and what can't is told.
//!
//! The newest header that is whole counts. Rows are taken by seqno; those below nodes that can't be read, those that the
//! by-seqno index lacks, and those it tells wrongly, are looked for by key (`claims`). Always (T5): the source is only read; the new file passes
//! the check before it is handed over, else it is removed; a row is in it, or told as lost. High seqno, purge seqno and
//! time are the source's: no seqno is used twice, though what is lost leaves gaps.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

use crate::contract::EngineError;
use crate::couchstore::file::{CommitView, Keyring, header_search};
use crate::couchstore::format::{FormatVersion, Tree, document};
use crate::couchstore::write::Writer;
use crate::disk::{Access, Disk};

use super::check::{self, Finding, FindingKind, Severity};
use super::config::{CommitMode, CompactionConfig, CouchstoreConfig};
use super::store_context::StoreContext;

mod claims;
mod copy;
mod gaps;
mod local;
#[cfg(test)]
mod tests;

use self::copy::Copy;

/// Something of the source that is not in the new file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Where in the source.
    pub offset: u64,
    /// Which revisions, first and last, if that can be told.
    pub seqnos: Option<(Seqno, Seqno)>,
    /// Which document, with its prefixes as stored, or which local document.
    pub key: Option<Bytes>,
    /// How many documents and tombstones; `None` if that can't be told; 0 where the two indexes tell different things of
    /// one and nothing shows which is right: what the by-id index tells is in the new file.
    pub rows: Option<u64>,
    /// Why.
    pub what: String,
}

impl Loss {
    /// A stored key as its user knows it.
    #[must_use]
    pub fn key_shown(&self) -> Option<String> {
        let key = self.key.as_ref()?;
        let user = document::split_key(key).map(|(_, user)| user.to_string());
        Some(
            user.filter(|_| self.seqnos.is_some())
                .unwrap_or_else(|| key.escape_ascii().to_string()),
        )
    }
}

/// Who is told what is lost.
pub trait SalvageObserver {
    /// Something can't be read.
    fn lost(&mut self, loss: Loss);

    /// So many rows of so many have been looked at.
    fn progress(&mut self, done: u64, total: u64) {
        let _ = (done, total);
    }
}

impl SalvageObserver for Vec<Loss> {
    fn lost(&mut self, loss: Loss) {
        self.push(loss);
    }
}

/// What was saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// Where in the source the header is that counted.
    pub header: u64,
    /// The high seqno it tells.
    pub high: Seqno,
    /// Documents and tombstones in the new file.
    pub rows: u64,
    /// Those of them that were found by key only.
    pub found_by_key: u64,
    /// Local documents in the new file.
    pub locals: u64,
    /// How often something was told as lost.
    pub losses: u64,
}

/// Reads what can be read of `source` into a new file `target`, of version 14 and on the same disk. An encrypted source
/// needs its key; the new file is not encrypted.
///
/// # Errors
/// [`EngineError::Corrupt`] if no header is whole; [`EngineError::KeyMissing`] or
/// [`EngineError::KeyWrong`]; [`EngineError::Unsupported`] if it is of another version than 11 to 14;
/// [`EngineError::Disk`], of kind `AlreadyExists` if there is a `target`. No target is left then.
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
            what: "no header is whole".into(),
        };
        return Err(damage.into_iter().next_back().unwrap_or_else(none));
    };
    let mut counted = Counted {
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
        // What is there is not whole; that it can't be removed either is the lesser news.
        let _ = disk.remove(target);
    })?;
    Ok(Salvaged {
        losses: counted.losses,
        ..salvaged
    })
}

/// What the new file is must be durable when it is told.
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
    observer: &mut Counted<'_>,
) -> Result<Salvaged, EngineError> {
    let mut copy = Copy::new(view, writer, observer);
    copy.rows()?;
    let (mut writer, rows) = copy.finish()?;
    let locals = local::copy(view, &mut writer, rows.figures, observer)?;
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

/// Two indexes of the source that contradict each other could make a file that does, too.
fn verify(view: &CommitView) -> Result<(), EngineError> {
    let mut found: Vec<Finding> = Vec::new();
    check::check_tip(view, &mut found)?;
    // A state that can be read is taken over as it is.
    let is_damage = |finding: &Finding| {
        finding.severity() == Severity::Damage && finding.kind != FindingKind::State
    };
    match found.into_iter().find(is_damage) {
        None => Ok(()),
        Some(finding) => Err(view.source.corrupt(
            finding.offset,
            format!("what was saved contradicts itself: {finding}"),
        )),
    }
}

fn sync_name(disk: &dyn Disk, path: &Path) -> Result<(), EngineError> {
    Ok(disk.sync_dir(path.parent().unwrap_or(Path::new("")))?)
}

struct Counted<'a> {
    observer: &'a mut dyn SalvageObserver,
    losses: u64,
}

impl SalvageObserver for Counted<'_> {
    fn lost(&mut self, loss: Loss) {
        self.losses += 1;
        self.observer.lost(loss);
    }

    fn progress(&mut self, done: u64, total: u64) {
        self.observer.progress(done, total);
    }
}

/// The name of a tree's rows in messages.
const fn rows_of(tree: Tree) -> &'static str {
    match tree {
        Tree::Local => "local documents",
        Tree::BySeqno | Tree::ById => "rows",
    }
}
