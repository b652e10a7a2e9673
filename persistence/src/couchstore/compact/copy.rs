//! Copying: every row, in the order of seqnos, with its body; no index yet.
//!
//! The first pass copies one commit, further passes what was committed since, as long as that is much. Indexes are built
//! only then: a tree that had to take in all that was committed while a whole file was copied would leave itself behind
//! as superseded nodes. Rows go into a sorter by key, because of a key that is copied again only the newest row counts.
//!
//! E13. A source whose two indexes don't hold the same number of rows, or whose rows are out of order, is damaged: copying
//! it would make the loss final and hide it, so it is refused.

use checkpoint::Seqno;

use crate::couchstore::by_id;
use crate::couchstore::doc_info::DocInfo;
use crate::couchstore::names;
use crate::couchstore::reduce::Reduction;
use crate::couchstore::tip::Tip;
use crate::{Budget, CompactionReport, EngineError};

use super::files::Create;
use super::filter::Rules;
use super::indexing::Indexing;
use super::sort::Sorter;
use super::target::Target;

/// Another pass is worth it while more than this part of the rows came since.
const MUCH: u64 = 64;
/// So many passes at most: whoever overwrites as fast as this copies is caught up with elsewhere.
const PASSES_MAX: u32 = 6;

/// Copying rows by seqno.
#[derive(Debug)]
pub(super) struct Copying {
    next: Seqno,
    rows: u64,
    rules: Rules,
    by_id: Sorter,
    sort_bytes: usize,
    passes: u32,
    /// The high seqno of the first pass: up to there a key is there once.
    first_high: Seqno,
}

impl Copying {
    /// From `tip` on.
    pub(super) fn new(tip: &Tip, rules: Rules, sort_bytes: usize) -> Self {
        let first_high = Seqno(tip.header.update_seq);
        let by_id = Sorter::new(sort_bytes, 0);
        Self { next: Seqno(0), rows: 0, rules, by_id, sort_bytes, passes: 0, first_high }
    }

    /// Rows looked at so far.
    pub(super) const fn done(&self) -> u64 {
        self.rows
    }

    /// Copies as much as the budget allows; whether that was all of `tip`.
    pub(super) fn step(
        &mut self,
        tip: &Tip,
        target: &mut Target,
        create: Create<'_>,
        report: &mut CompactionReport,
        mut budget: Budget,
    ) -> Result<bool, EngineError> {
        for row in tip.rows(self.next)? {
            let info = row?;
            if info.seqno < self.next {
                return Err(tip.source.corrupt(tip.position, format!("seqno {} out of order", info.seqno)));
            }
            self.rows += 1;
            self.next = info.seqno.next();
            let mut bytes = (info.id.len() + info.rev_meta.len()) as u64;
            // What came since the first pass began is not asked about.
            if self.passes > 0 || self.rules.keeps(&tip.source, &info, report)? {
                bytes = bytes.saturating_add(info.physical_bytes);
                self.copy(tip, target, create, report, info)?;
            }
            if !budget.spend(bytes) {
                return Ok(false);
            }
        }
        self.end_pass(tip, target, create, report)?;
        Ok(true)
    }

    /// Whether so much was committed since `tip` that it is copied before there are indexes.
    pub(super) const fn goes_on(&self, tip: &Tip, newest: &Tip) -> bool {
        let behind = newest.header.update_seq.saturating_sub(tip.header.update_seq);
        behind > self.rows / MUCH && self.passes < PASSES_MAX
    }

    /// Everything is copied: the indexes can be built.
    pub(super) fn finish(self) -> Result<Indexing, EngineError> {
        Indexing::new(self.by_id, self.sort_bytes, self.first_high)
    }

    fn copy(
        &mut self,
        tip: &Tip,
        target: &mut Target,
        create: Create<'_>,
        report: &mut CompactionReport,
        info: DocInfo,
    ) -> Result<(), EngineError> {
        let info = target.copy_body(tip, info)?;
        report.items_copied += 1;
        self.by_id.push(info.id.clone(), by_id::encode(&info), &mut |run| {
            create(&names::run(&target.out.source().path, run))
        })
    }

    /// The target's seqnos are those of `tip` now.
    fn end_pass(
        &mut self,
        tip: &Tip,
        target: &mut Target,
        create: Create<'_>,
        report: &mut CompactionReport,
    ) -> Result<(), EngineError> {
        if self.passes == 0 {
            let indexed = match tip.header.by_id.map(|root| root.reduction) {
                Some(Reduction::Documents { live, deleted, .. }) => live.saturating_add(deleted),
                _ => 0,
            };
            if indexed != self.rows {
                let what = format!("{} rows by seqno, but {indexed} by id: nothing was changed", self.rows);
                return Err(tip.source.corrupt(tip.position, what));
            }
            for info in self.rules.take_kept() {
                self.copy(tip, target, create, report, info)?;
            }
        }
        self.passes += 1;
        target.header.update_seq = tip.header.update_seq;
        let purge_seq = tip.header.purge_seq.max(self.rules.purged);
        target.header.purge_seq = target.header.purge_seq.max(purge_seq);
        Ok(())
    }
}
