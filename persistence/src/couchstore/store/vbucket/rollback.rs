//! Rollback: the return to the newest commit at or below a seqno.
//!
//! # Invariants
//!
//! E7. The restored trees, figures and vBucket state are those of one commit, in a new header at
//! the end of the file that names that commit as the one before it. Nothing is overwritten, so
//! pinned snapshots and a recovery after a crash find all they need.
//!
//! E8. Tombstones that were purged since that commit are purged from it again. Its purge seqno is
//! then the highest of them.
//!
//! The new header does not derive from the newest one, so recovery would not recognize it before it
//! is activated: it takes two syncs (`writer`).

use std::sync::Arc;

use lowtide_checkpoint::Seqno;

use crate::contract::{EngineError, RolledBack};
use crate::couchstore::file::{Earlier, header_chain};
use crate::couchstore::read::tombstones;
use crate::couchstore::store::published_commit::PublishedCommit;

use super::VBucket;

impl VBucket {
    /// Returns to the newest commit at or below `to`.
    pub(crate) fn rollback(&self, to: Seqno) -> Result<RolledBack, EngineError> {
        let mut active = self.active.lock();
        self.check_writable(&active)?;
        let view = active.writer.view().clone();
        let target = match header_chain::at_or_below(&view, to)? {
            Earlier::Found(target) => target,
            Earlier::OnlyAbove(lowest) => return Ok(RolledBack::NeedsReset { lowest }),
        };
        let high = Seqno(target.header.update_seq);
        if target.position == view.position {
            return Ok(RolledBack::Done { high });
        }
        let (state, figures) = target.state()?.unzip();
        let purged_since = if view.header.purge_seq > target.header.purge_seq {
            tombstones::to_purge(&target, Seqno(view.header.purge_seq))?
        } else {
            Vec::new()
        };
        active.writer.rewind(&target);
        if let Some(highest) = purged_since.iter().map(|row| row.seqno.0).max() {
            active.writer.remove(&purged_since)?;
            active
                .writer
                .set_purge_seq(highest.max(target.header.purge_seq));
        }
        // Times in a file never fall, and an engine has no clock.
        active.writer.commit(view.header.timestamp)?;

        active.figures = figures.unwrap_or_default();
        self.end_epoch();
        let view = active.writer.view().clone();
        *self.published.write() = Arc::new(PublishedCommit::new(view, state));
        Ok(RolledBack::Done { high })
    }
}
