//! The first pass: every row of one commit, in the order of seqnos, with its body; then the by-id index from the same
//! rows, sorted.
//!
//! The by-seqno tree is built on the way. Rows of the by-id tree are sorted through temporary files, because their
//! order is another and they may be more than memory holds.
//! E13. A source whose two indexes don't hold the same number of rows, or hold a key twice, is damaged: copying it would
//! make the loss final and hide it, so it is refused.

use checkpoint::Seqno;

use crate::couchstore::doc_info::DocInfo;
use crate::couchstore::names;
use crate::couchstore::reduce::{Reduction, Tree};
use crate::couchstore::tip::Tip;
use crate::couchstore::{by_id, by_seqno};
use crate::{Budget, CompactionReport, EngineError};

use super::build::Builder;
use super::files::Create;
use super::filter::Rules;
use super::sort::{Sorted, Sorter};
use super::target::Target;

/// Copying rows by seqno.
#[derive(Debug)]
pub(super) struct Copying {
    next: Seqno,
    rows: u64,
    rules: Rules,
    by_seqno: Builder,
    by_id: Sorter,
}

/// Building the by-id tree.
#[derive(Debug)]
pub(super) struct Indexing {
    sorted: Sorted,
    by_id: Builder,
    pub(super) done: u64,
    pub(super) of: u64,
}

impl Copying {
    pub(super) fn new(rules: Rules, sort_bytes: usize) -> Self {
        let (by_seqno, by_id) = (Builder::new(Tree::BySeqno), Sorter::new(sort_bytes));
        Self { next: Seqno(0), rows: 0, rules, by_seqno, by_id }
    }

    /// Rows looked at so far.
    pub(super) const fn done(&self) -> u64 {
        self.rows
    }

    /// Copies as much as the budget allows; whether that was all.
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
            self.rows += 1;
            self.next = info.seqno.next();
            let mut bytes = (info.id.len() + info.rev_meta.len()) as u64;
            if self.rules.keeps(&tip.source, &info, report)? {
                let info = target.copy_body(tip, info)?;
                bytes = bytes.saturating_add(info.physical_bytes);
                self.add(tip, target, create, info)?;
                report.items_copied += 1;
            }
            if !budget.spend(bytes) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn add(
        &mut self,
        tip: &Tip,
        target: &mut Target,
        create: Create<'_>,
        info: DocInfo,
    ) -> Result<(), EngineError> {
        target.count(&info);
        let (key, row) = (by_seqno::key(info.seqno), by_seqno::encode(&info));
        if !self.by_seqno.push(&mut target.out, key, row)? {
            return Err(tip.source.corrupt(tip.position, format!("seqno {} out of order", info.seqno)));
        }
        self.by_id.push(info.id.clone(), by_id::encode(&info), &mut |run| {
            create(&names::run(&target.out.source().path, run))
        })
    }

    /// Ends the pass: the by-seqno tree is whole, and so is the new purge seqno.
    pub(super) fn finish(self, tip: &Tip, target: &mut Target) -> Result<Indexing, EngineError> {
        let indexed = match tip.header.by_id.map(|root| root.reduction) {
            Some(Reduction::Documents { live, deleted, .. }) => live.saturating_add(deleted),
            _ => 0,
        };
        if indexed != self.rows {
            let what = format!("{} rows by seqno, but {indexed} by id: nothing was changed", self.rows);
            return Err(tip.source.corrupt(tip.position, what));
        }
        target.header.purge_seq = target.header.purge_seq.max(self.rules.purged);
        target.header.by_seqno = self.by_seqno.finish(&mut target.out)?;
        let of = match target.header.by_seqno.map(|root| root.reduction) {
            Some(Reduction::Rows(rows)) => rows,
            _ => 0,
        };
        Ok(Indexing { sorted: self.by_id.finish()?, by_id: Builder::new(Tree::ById), done: 0, of })
    }
}

impl Indexing {
    /// Indexes as many rows as the budget allows; whether those were all.
    pub(super) fn step(
        &mut self,
        tip: &Tip,
        target: &mut Target,
        mut budget: Budget,
    ) -> Result<bool, EngineError> {
        while let Some((key, row)) = self.sorted.next()? {
            let bytes = (key.len() + row.len()) as u64;
            self.done += 1;
            if !self.by_id.push(&mut target.out, key.clone(), row)? {
                let what = format!("key {} is there twice", key.escape_ascii());
                return Err(tip.source.corrupt(tip.position, what));
            }
            if !budget.spend(bytes) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends the pass: both indexes and the local documents are those of `tip`.
    pub(super) fn finish(self, tip: &Tip, target: &mut Target) -> Result<(), EngineError> {
        target.header.by_id = self.by_id.finish(&mut target.out)?;
        target.build_locals(tip)
    }
}
