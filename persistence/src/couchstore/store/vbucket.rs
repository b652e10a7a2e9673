//! One vBucket of a store: a file, who writes it, and the commit that readers see.
//!
//! Readers take the published commit and go; they never wait for a write or a sync. A commit is published after its
//! sync, as a whole.

mod file_swap;
mod purge;
mod purge_log;
mod rollback;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lowtide_checkpoint::{Datatype, Seqno, Vbid};
use parking_lot::{Mutex, RwLock};

use crate::contract::{Batch, Committed, EngineError};
use crate::couchstore::format::fields::U48_MAX;
use crate::couchstore::format::{StoreFigures, document, vbucket_state};
use crate::couchstore::store_context::StoreContext;
use crate::couchstore::write::Writer;

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
    /// Raised, under the lock of `active` and before anything of it is published, by whatever makes the file go another
    /// way than by commits and purges that are remembered: rollback, drop, close. What was begun in another epoch, and
    /// copies the file, must not take its place.
    epoch: AtomicU64,
    /// Those beside a compaction, remembered under the lock of `active` and before they are published. Locked on its own: a
    /// compaction does not wait for commits.
    purges: Mutex<PurgeLog>,
    /// A compaction found the file damaged: upkeep leaves it alone until it is opened again.
    refused: AtomicBool,
}

#[derive(Debug)]
struct Active {
    writer: Writer,
    figures: StoreFigures,
    /// Its file has no name any more: what would be written is lost.
    dropped: bool,
    /// A compaction has it.
    compacting: bool,
}

impl VBucket {
    /// # Errors
    /// [`EngineError::Corrupt`] if the state committed last can't be read; [`EngineError::Disk`].
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
            dropped: false,
            compacting: false,
        };
        let published = RwLock::new(Arc::new(PublishedCommit { view, state }));
        Ok(Self {
            vb,
            shared,
            active: Mutex::new(active),
            published,
            epoch: AtomicU64::new(0),
            purges: Mutex::default(),
            refused: AtomicBool::new(false),
        })
    }

    /// The newest acknowledged commit.
    pub(crate) fn published(&self) -> Arc<PublishedCommit> {
        Arc::clone(&self.published.read())
    }

    /// Commits a batch; all refusals come before the first write.
    pub(crate) fn commit(&self, batch: &Batch<'_>) -> Result<Committed, EngineError> {
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
        self.shared.documents.add(items as u64);
        let view = active.writer.view().clone();
        let high = Seqno(view.header.update_seq);
        *self.published.write() = Arc::new(PublishedCommit::new(view, Some(batch.state.clone())));
        Ok(Committed { high, items })
    }

    fn check_writable(&self, active: &Active) -> Result<(), EngineError> {
        if active.dropped {
            return Err(EngineError::UnknownVBucket { vb: self.vb });
        }
        self.shared.poison.check()
    }

    /// Removes its file by `remove`; after that commits find no vBucket.
    pub(crate) fn drop_with(
        &self,
        remove: impl FnOnce() -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        // Commits that wait for the lock must not find the file gone.
        let mut active = self.active.lock();
        remove()?;
        active.dropped = true;
        self.end_epoch();
        Ok(())
    }

    fn end_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.active.lock().dropped
    }

    /// Makes everything written durable; the vBucket takes no commits afterwards.
    pub(crate) fn close(&self) -> Result<(), EngineError> {
        let mut active = self.active.lock();
        active.dropped = true;
        self.end_epoch();
        self.shared.poison.check()?;
        active.writer.finish()
    }
}
