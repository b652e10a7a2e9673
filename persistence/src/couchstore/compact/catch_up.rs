//! Catching up: what was committed since the target was made, from the old file into the new one.
//!
//! A commit's rows with a seqno above the last one's are exactly what has changed between the two, because seqnos only
//! rise, and a key's newer row takes the place of its older one. Local documents are compared as a whole: they are few.
//! What was removed without a new seqno, by a purge or a rollback, would be missed: so both end the compaction (`Claim`).
//! E16. A round brings the target from one acknowledged commit to another. Nothing that was committed meanwhile is asked
//! of the filter or purged: the next compaction does.

use checkpoint::Seqno;

use crate::couchstore::doc_info::DocInfo;
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
    /// Whose bodies are copied and which the trees have yet to take in. They take them in together, however small the
    /// steps are: each time costs new nodes from the leaves to the roots, and those of many small times would make the new
    /// file larger than the old one.
    rows: Vec<DocInfo>,
}

impl Round {
    pub(super) fn new(from: &Tip, to: Tip) -> Self {
        Self { next: Seqno(from.header.update_seq).next(), to: to.uncached(), rows: Vec::new() }
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
            let mut is_over = true;
            for row in self.to.rows(self.next)? {
                let info = target.copy_body(&self.to, row?)?;
                self.next = info.seqno.next();
                report.items_copied += 1;
                let bytes = info.physical_bytes + (info.id.len() + info.rev_meta.len()) as u64;
                self.rows.push(info);
                if !budget.spend(bytes) || self.rows.len() >= ROWS_TOGETHER {
                    is_over = false;
                    break;
                }
            }
            if is_over || self.rows.len() >= ROWS_TOGETHER {
                target.replace(std::mem::take(&mut self.rows))?;
            }
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
        target.header.purge_seq = target.header.purge_seq.max(self.to.header.purge_seq);
        Ok(self.to)
    }
}

/// What of the old file was written since the target's commit.
pub(super) const fn behind_bytes(from: &Tip, to: &Tip) -> u64 {
    to.end.saturating_sub(from.end)
}
