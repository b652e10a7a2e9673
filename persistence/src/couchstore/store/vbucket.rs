//! One vBucket of a store: its file, its writer, and the commit that readers see.
//!
//! Readers take the published commit and never wait for a write or a sync. A commit is published
//! after its sync, as a whole.

mod file_swap;
mod purge;
mod purge_log;
mod rollback;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lowtide_checkpoint::internal::checked_invariant;
use lowtide_checkpoint::{Datatype, Seqno, Vbid};

use crate::contract::{CommitBatch, Committed, EngineError};
use crate::couchstore::format::fields::U48_MAX;
use crate::couchstore::format::{StoreFigures, document, vbucket_state};
use crate::couchstore::store_context::StoreContext;
use crate::couchstore::write::Writer;
use crate::numbers::to_u64;
use crate::sync::{Mutex, RwLock, ranks};

use super::published_commit::PublishedCommit;

pub(crate) use self::file_swap::CompactionClaim;
pub(crate) use self::purge_log::PurgedRow;

use self::purge_log::PurgeLog;

/// A vBucket that is open for writing.
#[derive(Debug)]
pub(crate) struct VBucket {
    vb: Vbid,
    shared: Arc<StoreContext>,
    active: Mutex<Active>,
    published: RwLock<Arc<PublishedCommit>>,
    /// Number of breaks in the file's history: rollback, drop, close. It rises under the lock of
    /// `active`, before anything of the new epoch is published. Commits, and purges that are
    /// logged, are no breaks. A copy of the file that was begun in another epoch must not replace
    /// it.
    epoch: AtomicU64,
    /// Purges during a compaction, logged under the lock of `active` before they are published. It
    /// has its own lock, so that a compaction does not wait for commits.
    purges: Mutex<PurgeLog>,
    /// Whether a compaction found the file damaged. Maintenance then leaves it alone until it is
    /// opened again.
    refused: AtomicBool,
}

#[derive(Debug)]
struct Active {
    writer: Writer,
    figures: StoreFigures,
    life: Life,
    /// Whether a compaction has claimed it.
    compacting: bool,
}

/// Whether a vBucket's file may be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Life {
    Open,
    /// Its file has no name any more, so that writes would be lost.
    Dropped,
    /// The store in this directory was closed.
    Closed(PathBuf),
}

impl VBucket {
    /// Opens a vBucket at the writer's last commit.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] if the last committed state cannot be read; [`EngineError::Disk`].
    pub(crate) fn new(
        vb: Vbid,
        writer: Writer,
        shared: Arc<StoreContext>,
    ) -> Result<Self, EngineError> {
        let view = writer.view().clone();
        let (state, figures) = view.state()?.unzip();
        let active = Active {
            writer,
            figures: figures.unwrap_or_default(),
            life: Life::Open,
            compacting: false,
        };
        let published = Arc::new(PublishedCommit { view, state });
        Ok(Self {
            vb,
            shared,
            active: Mutex::new(ranks::COUCH_WRITER, active),
            published: RwLock::new(ranks::COUCH_PUBLISHED, published),
            epoch: AtomicU64::new(0),
            purges: Mutex::new(ranks::COUCH_PURGES, PurgeLog::default()),
            refused: AtomicBool::new(false),
        })
    }

    /// Returns the newest acknowledged commit.
    pub(crate) fn published(&self) -> Arc<PublishedCommit> {
        Arc::clone(&self.published.read())
    }

    /// Commits a batch. All refusals come before the first write.
    pub(crate) fn commit(&self, batch: &CommitBatch<'_>) -> Result<Committed, EngineError> {
        let mut active = self.active.lock();
        self.check_writable(&active)?;
        let high = Seqno(active.writer.view().header.update_seq);
        if batch.state.purge_seqno.0 > U48_MAX {
            let what = format!("vBucket {}: its purge seqno is beyond 48 bits", self.vb);
            return Err(EngineError::InvalidArgument(what));
        }
        let documents = document::from_items(self.vb, batch.items, high)?;
        let items = documents.len();
        let mut figures = active.figures;
        figures.xattrs |= batch
            .items
            .iter()
            .any(|item| item.datatype.contains(Datatype::XATTR));
        if !documents.is_empty() {
            let saved = active.writer.save(documents)?;
            saved.count_prepares(&mut figures);
        }
        let state = vbucket_state::encode(batch.state, &figures);
        let state = state.inspect_err(|_| active.writer.abandon());
        let state = state.map_err(|error| {
            EngineError::InvalidArgument(format!("vBucket {}: {error}", self.vb))
        })?;
        active
            .writer
            .set_local(vbucket_state::NAME, Some(state.into()))?;
        active.writer.raise_purge_seq(batch.state.purge_seqno.0);
        active.writer.commit(batch.timestamp)?;

        active.figures = figures;
        self.shared.documents.add(to_u64(items));
        let view = active.writer.view().clone();
        let high = Seqno(view.header.update_seq);
        checked_invariant!(
            batch
                .items
                .iter()
                .filter(|item| item.operation.namespace().is_some())
                .all(|item| item.seqno <= high),
            "E1",
            "the high seqno is that of the batch's last item"
        );
        *self.published.write() = Arc::new(PublishedCommit::new(view, Some(batch.state.clone())));
        Ok(Committed { high, items })
    }

    fn check_writable(&self, active: &Active) -> Result<(), EngineError> {
        self.check_open(active)?;
        self.shared.poison.check()
    }

    /// Checks that neither a drop nor a close came between a caller and its lock.
    fn check_open(&self, active: &Active) -> Result<(), EngineError> {
        match &active.life {
            Life::Open => Ok(()),
            Life::Dropped => Err(EngineError::UnknownVBucket { vb: self.vb }),
            Life::Closed(path) => Err(EngineError::Closed { path: path.clone() }),
        }
    }

    /// Changes the next commit.
    #[cfg(test)]
    pub(crate) fn with_writer(&self, change: impl FnOnce(&mut Writer)) {
        change(&mut self.active.lock().writer);
    }

    /// Removes its file with `remove`. Later commits find no vBucket.
    pub(crate) fn drop_with(
        &self,
        remove: impl FnOnce() -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        // Commits that wait for the lock must not find the file gone.
        let mut active = self.active.lock();
        remove()?;
        active.life = Life::Dropped;
        self.end_epoch();
        Ok(())
    }

    fn end_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.active.lock().life == Life::Dropped
    }

    /// Makes everything written durable. The vBucket takes no commits afterwards: the store in
    /// `dir` is closed.
    pub(crate) fn close(&self, dir: &Path) -> Result<(), EngineError> {
        let mut active = self.active.lock();
        active.life = Life::Closed(dir.to_path_buf());
        self.end_epoch();
        self.shared.poison.check()?;
        active.writer.finish()
    }
}
