//! Purging tombstones: a seqno goes in, the tombstones at or below it are gone from the next commit on.
//!
//! Always (E8): the vBucket's highest seqno stays, though it be a tombstone, so that a reader of everything reaches it;
//! the header's purge seqno is the highest tombstone that was ever taken out of this history. Rows, purge seqno and the
//! vBucket's state are one commit. A compaction beside it is told what was taken out (`taken_out`), and goes on.

use std::sync::Arc;

use lowtide_checkpoint::Seqno;

use crate::contract::EngineError;
use crate::couchstore::read::tombstones;
use crate::couchstore::store::published_commit::PublishedCommit;

use super::VBucket;

impl VBucket {
    /// Removes tombstones; returns the highest one ever purged.
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
