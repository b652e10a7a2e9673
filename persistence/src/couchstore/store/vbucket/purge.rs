//! Purging: the removal of tombstones at or below a seqno.
//!
//! # Invariants
//!
//! E8. The vBucket's highest seqno stays, even if it is a tombstone, so that a reader of everything
//! reaches it. The header's purge seqno is the highest tombstone that was ever removed from this
//! history. Rows, purge seqno and the vBucket's state are one commit. A concurrent compaction
//! learns of the removed rows (`purge_log`) and continues.

use std::sync::Arc;

use lowtide_checkpoint::Seqno;

use crate::contract::EngineError;
use crate::couchstore::read::tombstones;
use crate::couchstore::store::published_commit::PublishedCommit;

use super::VBucket;

impl VBucket {
    /// Removes tombstones. Returns the highest one ever purged.
    pub(crate) fn purge(&self, upto: Seqno) -> Result<Seqno, EngineError> {
        let mut active = self.active.lock();
        self.check_writable(&active)?;
        let view = active.writer.view().clone();
        let rows = tombstones::to_purge(&view, upto)?;
        let Some(highest) = rows.iter().map(|row| row.seqno.0).max() else {
            return Ok(Seqno(view.header.purge_seq));
        };
        let purged = highest.max(view.header.purge_seq);
        active.writer.remove(&rows)?;
        active.writer.set_purge_seq(purged);
        // An engine has no clock: the time stays that of the last batch.
        active.writer.commit(view.header.timestamp)?;

        let view = active.writer.view().clone();
        if active.compacting && !self.purges.lock().remember(view.position, rows) {
            self.end_epoch();
        }
        let state = self.published().state.clone();
        *self.published.write() = Arc::new(PublishedCommit::new(view, state));
        Ok(Seqno(purged))
    }
}
