//! Catching up: what was committed since the target was made, from the old file into the new one.
//!
//! A commit's rows with a seqno above the last one's are exactly what has changed between the two, because seqnos only
//! rise, and a key's newer row takes the place of its older one. Local documents are compared as a whole: they are few.
//! What was removed without a new seqno would be missed. What purges have taken out is told by the claim, and taken out
//! here before anything is put in; a rollback ends the compaction.
//! The rows of a round are sorted and change the trees from one end to the other, a part with each step: so each leaf is
//! written anew once a round, however small the steps are.
//!
//! E16. A round brings the target from one acknowledged commit to another, a purge's among them: what was purged is gone
//! with all earlier rows of its key, of which the target may be the only one to have any. Nothing that was committed
//! meanwhile is asked of the filter, or purged by the compaction's own request: the next one does.

use lowtide_checkpoint::Seqno;

use crate::contract::{Budget, CompactionReport, EngineError};
use crate::couchstore::btree::Action;
use crate::couchstore::btree::split_policy::THRESHOLD_BYTES;
use crate::couchstore::file::CommitView;
use crate::couchstore::format::DocInfo;
use crate::couchstore::store::PurgedRow;

use super::audit;
use super::target::Target;

/// The last round, which commits have to wait for, copies at most so much of the old file; unless
/// [`ROUNDS_MAX`] rounds did not get there.
pub(super) const LAST_ROUND_BYTES_MAX: u64 = 1 << 20;
/// So often it is tried to get there without holding up commits. The vendor does as many.
pub(super) const ROUNDS_MAX: u64 = 10;
/// Changes of a tree that are made together at least, and at most. They are neighbours, so that different ones change
/// different leaves; with fewer the nodes above them would be written anew for each.
const TOGETHER_MIN: usize = 256;
const TOGETHER_MAX: usize = 4096;
/// What a row takes in memory beside its bytes, and those of the changes it will make.
const ROW_OVERHEAD_BYTES: usize = 384;
/// What a change costs, if no other is in its leaf.
const LEAF_BYTES: u64 = THRESHOLD_BYTES as u64;

/// One round: from the commit the target has to `to`.
#[derive(Debug)]
pub(super) struct Round {
    to: CommitView,
    next: Seqno,
    /// What was purged, by key, each once. It goes first: so a row that is put in later stays.
    taken_out: std::vec::IntoIter<PurgedRow>,
    /// Whose bodies are copied and which the trees have yet to take in. They do when there are no more, or no more fit
    /// into memory: each time costs new nodes from the leaves to the roots, and those before stay in the file.
    rows: Vec<DocInfo>,
    rows_bytes: usize,
    memory_bytes: usize,
    is_copied: bool,
    changes: Option<Changes>,
}

impl Round {
    /// Collects rows in so much memory. `taken_out` is what was purged with `to` and before.
    pub(super) fn new(
        from: &CommitView,
        to: CommitView,
        mut taken_out: Vec<PurgedRow>,
        memory_bytes: usize,
    ) -> Self {
        // Of a key that was purged more than once the last one, which is the one that is kept, says all.
        taken_out.sort_unstable_by(|a, b| a.id.cmp(&b.id).then(b.seqno.cmp(&a.seqno)));
        taken_out.dedup_by(|later, first| later.id == first.id);
        Self {
            taken_out: taken_out.into_iter(),
            next: Seqno(from.header.update_seq).next(),
            to: to.uncached(),
            rows: Vec::new(),
            rows_bytes: 0,
            memory_bytes,
            is_copied: false,
            changes: None,
        }
    }

    /// Seqnos done, as far as can be told.
    pub(super) const fn left(&self) -> u64 {
        (self.to.header.update_seq + 1).saturating_sub(self.next.0)
    }

    /// Does as much as the budget allows; whether that was all.
    pub(super) fn step(
        &mut self,
        target: &mut Target,
        report: &mut CompactionReport,
        mut budget: Budget,
    ) -> Result<bool, EngineError> {
        loop {
            if let Some(changes) = &mut self.changes {
                if !changes.step(target, &mut budget)? {
                    return Ok(false);
                }
                self.changes = None;
            }
            if self.is_copied {
                return Ok(true);
            }
            let change = if self.taken_out.as_slice().is_empty() {
                Change::Put
            } else {
                Change::TakeOut
            };
            let (is_spent, is_over) = match change {
                Change::TakeOut => (
                    self.look_up(target, &mut budget)?,
                    self.taken_out.as_slice().is_empty(),
                ),
                Change::Put => (self.copy(target, report, &mut budget)?, self.is_copied),
            };
            if is_over || self.rows_bytes >= self.memory_bytes {
                self.rows_bytes = 0;
                self.changes = Some(Changes::new(change, std::mem::take(&mut self.rows)));
            }
            if is_spent {
                return Ok(false);
            }
        }
    }

    /// Looks for rows of the target that were purged, until there are no more, they take too much memory, or the budget is
    /// spent, which it tells.
    fn look_up(&mut self, target: &mut Target, budget: &mut Budget) -> Result<bool, EngineError> {
        let made = target.as_it_is()?;
        for PurgedRow { id, seqno } in self.taken_out.by_ref() {
            // What has a later seqno was committed after the purge.
            if let Some(row) = made.doc_info(&id)?.filter(|row| row.seqno <= seqno) {
                self.rows_bytes += row_bytes(&row);
                self.rows.push(row);
            }
            if !budget.spend(LEAF_BYTES) {
                return Ok(true);
            }
            if self.rows_bytes >= self.memory_bytes {
                break;
            }
        }
        Ok(false)
    }

    /// Copies bodies until there are no more, the rows take too much memory, or the budget is spent, which it tells.
    fn copy(
        &mut self,
        target: &mut Target,
        report: &mut CompactionReport,
        budget: &mut Budget,
    ) -> Result<bool, EngineError> {
        for row in self.to.rows(self.next)? {
            let info = row?;
            audit::check_row(&self.to, self.to.position, &info)?;
            let info = target.copy_body(&self.to, info)?;
            self.next = info.seqno.next();
            report.items_copied += 1;
            let bytes = info.physical_bytes + (info.id.len() + info.rev_meta.len()) as u64;
            self.rows_bytes += row_bytes(&info);
            self.rows.push(info);
            if !budget.spend(bytes) {
                return Ok(true);
            }
            if self.rows_bytes >= self.memory_bytes {
                return Ok(false);
            }
        }
        self.is_copied = true;
        Ok(false)
    }

    /// Ends the round: the target is at the commit this returns.
    pub(super) fn finish(self, target: &mut Target) -> Result<CommitView, EngineError> {
        // Though theirs may be the same: the figures in the state are the target's own.
        target.update_locals(&self.to)?;
        target.header.update_seq = self.to.header.update_seq;
        target.header.purge_seq = target.header.purge_seq.max(self.to.header.purge_seq);
        Ok(self.to)
    }
}

/// What a row takes in memory until both indexes have changed.
fn row_bytes(info: &DocInfo) -> usize {
    2 * (info.id.len() + info.rev_meta.len()) + ROW_OVERHEAD_BYTES
}

/// What becomes of rows.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// They take the places of those with their keys.
    Put,
    /// They are in the indexes, and go.
    TakeOut,
}

/// Rows of different keys on their way into the indexes, or out of them: by id, in the order of keys, and then by seqno.
#[derive(Debug)]
enum Changes {
    ById {
        change: Change,
        rows: std::vec::IntoIter<DocInfo>,
        /// What they do to the other index.
        by_seqno: Vec<Action>,
    },
    BySeqno(std::vec::IntoIter<Action>),
}

impl Changes {
    fn new(change: Change, mut rows: Vec<DocInfo>) -> Self {
        rows.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Self::ById {
            change,
            by_seqno: Vec::with_capacity(2 * rows.len()),
            rows: rows.into_iter(),
        }
    }

    /// Makes as many changes as the budget allows; whether those were all.
    fn step(&mut self, target: &mut Target, budget: &mut Budget) -> Result<bool, EngineError> {
        loop {
            let together = budget.items.clamp(TOGETHER_MIN, TOGETHER_MAX);
            let changed = match self {
                Self::ById {
                    change,
                    rows,
                    by_seqno,
                } => {
                    let rows: Vec<DocInfo> = rows.by_ref().take(together).collect();
                    if rows.is_empty() {
                        by_seqno.sort_unstable_by(|a, b| a.key.cmp(&b.key));
                        *self = Self::BySeqno(std::mem::take(by_seqno).into_iter());
                        continue;
                    }
                    match change {
                        Change::Put => target.change_by_id(&rows, by_seqno)?,
                        Change::TakeOut => target.take_out_by_id(&rows, by_seqno)?,
                    }
                    rows.len()
                }
                Self::BySeqno(actions) => {
                    let actions: Vec<Action> = actions.by_ref().take(together).collect();
                    if actions.is_empty() {
                        return Ok(true);
                    }
                    target.change_by_seqno(&actions)?;
                    actions.len()
                }
            };
            for _ in 0..changed {
                if !budget.spend(LEAF_BYTES) {
                    return Ok(false);
                }
            }
        }
    }
}

/// What of the old file was written since the target's commit.
pub(super) const fn behind_bytes(from: &CommitView, to: &CommitView) -> u64 {
    to.end.saturating_sub(from.end)
}
