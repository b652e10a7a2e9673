//! Copying: every row with its body, in the order of seqnos, without an index.
//!
//! The first pass copies one commit. Further passes copy what was committed since, as long as that
//! is much. Indexes are built only then, because a tree that took in all concurrent commits would
//! leave many superseded nodes in the file. Rows go into a sorter by key: if a key is copied twice,
//! only its newest row counts.
//!
//! E13. The first pass verifies what it copies (`audit`). A source that contradicts itself is
//! refused, because copying it would hide the damage and make the loss final.

use std::sync::Arc;

use lowtide_checkpoint::Seqno;

use crate::contract::{Budget, CompactionReport, EngineError};
use crate::couchstore::file::CommitView;
use crate::couchstore::format::{DocInfo, by_id};
use crate::couchstore::store::file_names;
use crate::numbers::to_u64;

use super::audit::{self, Audit};
use super::files::Create;
use super::filter::Rules;
use super::indexing::Indexing;
use super::sort::Sorter;
use super::target::Target;

/// Share of the rows that makes another pass worthwhile if more than that arrived since.
const PASS_SHARE: u64 = 64;
/// Most passes. If commits are as fast as copying, catching up handles the rest.
const PASSES_MAX: u32 = 6;

/// The copy of rows by seqno.
#[derive(Debug)]
pub(super) struct Copying {
    next: Seqno,
    rows: u64,
    rules: Rules,
    by_id: Sorter,
    sort_bytes: usize,
    passes: u32,
    /// High seqno of the first pass. Up to it a key occurs once.
    first_high: Seqno,
    /// The audit of the first pass.
    audit: Option<Box<Audit>>,
}

impl Copying {
    /// Begins with the first pass.
    pub(super) fn new(view: &CommitView, rules: Rules, sort_bytes: usize) -> Self {
        let first_high = Seqno(view.header.update_seq);
        let by_id = Sorter::new(sort_bytes, 0);
        Self {
            next: Seqno(0),
            rows: 0,
            rules,
            by_id,
            sort_bytes,
            passes: 0,
            first_high,
            audit: None,
        }
    }

    /// Returns the number of rows read so far.
    pub(super) const fn done(&self) -> u64 {
        self.rows
    }

    /// Copies as much as the budget allows. Returns whether all of `view` is copied.
    pub(super) fn step(
        &mut self,
        view: &CommitView,
        target: &mut Target,
        create: Create<'_>,
        report: &mut CompactionReport,
        mut budget: Budget,
    ) -> Result<bool, EngineError> {
        if self.passes == 0 {
            if !self.first_pass(view, target, create, report, &mut budget)? {
                return Ok(false);
            }
        } else {
            for row in view.rows(self.next)? {
                let info = row?;
                audit::check_row(view, view.position, &info)?;
                self.rows += 1;
                self.next = info.seqno.next();
                let bytes = size(&info);
                self.copy(view, target, create, report, info)?;
                if !budget.spend(bytes) {
                    return Ok(false);
                }
            }
        }
        self.end_pass(view, target);
        Ok(true)
    }

    /// Copies and verifies as much of the first commit as the budget allows. Returns whether all of
    /// it is.
    fn first_pass(
        &mut self,
        view: &CommitView,
        target: &mut Target,
        create: Create<'_>,
        report: &mut CompactionReport,
        budget: &mut Budget,
    ) -> Result<bool, EngineError> {
        let path = Arc::clone(&target.out.source().path);
        let first = || Box::new(Audit::new(view, &path, self.sort_bytes));
        let mut audit = self.audit.take().unwrap_or_else(first);
        let is_over = self.first_rows(view, target, create, report, &mut audit, budget)?
            && audit.step(view, create, budget)?;
        self.audit = Some(audit).filter(|_| !is_over);
        Ok(is_over)
    }

    /// Copies the rows of the first commit that the rules keep, and notes the places of their bodies.
    /// Returns whether all are copied.
    fn first_rows(
        &mut self,
        view: &CommitView,
        target: &mut Target,
        create: Create<'_>,
        report: &mut CompactionReport,
        audit: &mut Audit,
        budget: &mut Budget,
    ) -> Result<bool, EngineError> {
        while let Some(info) = audit.next_row(view, create)? {
            self.rows += 1;
            self.next = info.seqno.next();
            let mut bytes = to_u64(info.id.len() + info.rev_meta.len());
            if self.rules.keeps(&view.source, &info, report)? {
                bytes = size(&info);
                let position = info.body_position;
                let disk_bytes = self.copy(view, target, create, report, info)?;
                if position != 0 {
                    audit.body(view, position, disk_bytes, create)?;
                }
            }
            if !budget.spend(bytes) {
                return Ok(false);
            }
        }
        self.check_count(view)?;
        for info in self.rules.take_kept() {
            let position = info.body_position;
            let disk_bytes = self.copy(view, target, create, report, info)?;
            if position != 0 {
                audit.body(view, position, disk_bytes, create)?;
            }
        }
        Ok(true)
    }

    /// Returns whether enough was committed since `view` to copy it before the indexes are built.
    pub(super) const fn needs_another_pass(&self, view: &CommitView, newest: &CommitView) -> bool {
        let behind = newest
            .header
            .update_seq
            .saturating_sub(view.header.update_seq);
        behind > self.rows / PASS_SHARE && self.passes < PASSES_MAX
    }

    /// Ends the copy and begins to build the indexes.
    pub(super) fn finish(self) -> Result<Indexing, EngineError> {
        Indexing::new(self.by_id, self.sort_bytes, self.first_high)
    }

    /// Copies a row and its body. Returns the size of the body on disk.
    fn copy(
        &mut self,
        view: &CommitView,
        target: &mut Target,
        create: Create<'_>,
        report: &mut CompactionReport,
        info: DocInfo,
    ) -> Result<u64, EngineError> {
        let info = target.copy_body(view, info)?;
        report.items_copied += 1;
        let disk_bytes = info.physical_bytes;
        self.by_id
            .push(info.id.clone(), by_id::encode(&info), &mut |run| {
                create(&file_names::run(&target.out.source().path, run))
            })?;
        Ok(disk_bytes)
    }

    fn check_count(&self, view: &CommitView) -> Result<(), EngineError> {
        let indexed = view.header.by_id.map_or(0, |root| root.reduction.rows());
        if indexed == self.rows {
            return Ok(());
        }
        let what = format!(
            "{} rows by seqno, but {indexed} by id: nothing was changed",
            self.rows
        );
        Err(view.source.corrupt(view.position, what))
    }

    /// Sets the target's seqnos to those of `view`.
    fn end_pass(&mut self, view: &CommitView, target: &mut Target) {
        self.passes += 1;
        target.header.update_seq = view.header.update_seq;
        let purge_seq = view.header.purge_seq.max(self.rules.purged);
        target.header.purge_seq = target.header.purge_seq.max(purge_seq);
    }
}

/// Returns the cost of copying a row.
fn size(info: &DocInfo) -> u64 {
    (to_u64(info.id.len()) + to_u64(info.rev_meta.len())).saturating_add(info.physical_bytes)
}
