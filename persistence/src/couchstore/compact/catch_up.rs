//! Catching up: what was committed since the target was made, from the old file into the new one.
//!
//! A commit's rows with a seqno above the last one's are exactly what has changed between the two, because seqnos only
//! rise, and a key's newer row takes the place of its older one. Local documents are compared as a whole: they are few.
//! What was removed without a new seqno, by a purge, would be missed: so a purge ends the compaction.
//! E16. A round brings the target from one acknowledged commit to another. Nothing that was committed meanwhile is asked
//! of the filter or purged: the next compaction does.

use checkpoint::Seqno;

use crate::couchstore::tip::Tip;
use crate::{Budget, CompactionReport, EngineError};

use super::target::Target;

/// The last round, which commits have to wait for, copies at most so much of the old file; unless
/// [`ROUNDS_MAX`] rounds did not get there.
pub(super) const LAST_ROUND_BYTES_MAX: u64 = 1 << 20;
/// So often it is tried to get there without holding up commits. The vendor does as many.
pub(super) const ROUNDS_MAX: u64 = 10;
/// Rows that change the trees together: what is in memory at once.
const ROWS_TOGETHER: usize = 4096;

/// One round: from the commit the target has to `to`.
#[derive(Debug)]
pub(super) struct Round {
    to: Tip,
    next: Seqno,
}

impl Round {
    /// # Errors
    /// [`EngineError::Aborted`] if tombstones were purged between the two.
    pub(super) fn new(vb: checkpoint::Vbid, from: &Tip, to: Tip) -> Result<Self, EngineError> {
        if to.header.purge_seq != from.header.purge_seq {
            return Err(EngineError::Aborted { vb, why: "tombstones were purged while it was compacted" });
        }
        Ok(Self { next: Seqno(from.header.update_seq).next(), to: to.uncached() })
    }

    /// Seqnos done, as far as can be told.
    pub(super) const fn left(&self) -> u64 {
        (self.to.header.update_seq + 1).saturating_sub(self.next.0)
    }

    /// Copies as much as the budget allows; whether that was all.
    pub(super) fn step(
        &mut self,
        target: &mut Target,
        report: &mut CompactionReport,
        mut budget: Budget,
    ) -> Result<bool, EngineError> {
        loop {
            let mut rows = Vec::new();
            let mut is_over = true;
            for row in self.to.rows(self.next)? {
                let info = target.copy_body(&self.to, row?)?;
                self.next = info.seqno.next();
                let bytes = info.physical_bytes + (info.id.len() + info.rev_meta.len()) as u64;
                rows.push(info);
                if !budget.spend(bytes) || rows.len() >= ROWS_TOGETHER {
                    is_over = false;
                    break;
                }
            }
            report.items_copied += rows.len() as u64;
            target.replace(rows)?;
            if is_over || budget.items == 0 || budget.bytes == 0 {
                return Ok(is_over);
            }
        }
    }

    /// Ends the round: the target is at the commit this returns.
    pub(super) fn finish(self, from: &Tip, target: &mut Target) -> Result<Tip, EngineError> {
        if self.to.header.local != from.header.local {
            target.update_locals(&self.to)?;
        }
        target.header.update_seq = self.to.header.update_seq;
        Ok(self.to)
    }
}

/// What of the old file was written since the target's commit.
pub(super) const fn behind_bytes(from: &Tip, to: &Tip) -> u64 {
    to.end.saturating_sub(from.end)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use checkpoint::Vbid;

    use super::*;
    use crate::couchstore::CouchstoreConfig;
    use crate::couchstore::shared::Shared;
    use crate::couchstore::writer::Writer;
    use crate::disk::{Disk, MemoryDisk};

    #[test]
    fn a_purge_beside_a_compaction_ends_it() {
        // Its tombstones are gone without a new seqno: the new file would keep them.
        let (disk, path) = (MemoryDisk::new(), Path::new("/7.couch.1"));
        let shared = Arc::new(Shared::new(CouchstoreConfig::default()));
        let mut writer = Writer::create(disk.create(path).expect("new"), path, shared).expect("created");
        let from = writer.tip().clone();
        writer.set_purge_seq(9);
        writer.commit(1).expect("committed");
        let round = Round::new(Vbid(7), &from, writer.tip().clone());
        assert!(matches!(round, Err(EngineError::Aborted { vb: Vbid(7), .. })));
        assert!(Round::new(Vbid(7), &from, from.clone()).is_ok());
    }
}
