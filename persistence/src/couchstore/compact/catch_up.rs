//! Catching up: rounds that bring the commits since the copy from the old file into the new one.
//!
//! The changes between two commits are exactly the rows of the later one with seqnos above the
//! earlier one's. Seqnos only rise, and a key's newer row replaces its older one. Local documents
//! are few and compared as a whole. A removal without a new seqno would be missed: the claim hands
//! on what purges removed, which is removed here before anything is inserted, and a rollback ends
//! the compaction.
//!
//! The rows of a round are sorted and change the trees from one end to the other, a part with each
//! step. So each leaf is written once a round, however small the steps are.
//!
//! E16. A round brings the target from one acknowledged commit to another, which may be a purge's.
//! A purged key loses all its rows up to the purge, of which the target may have the only ones. The
//! filter does not judge rows that were committed meanwhile, and the compaction's request does not
//! purge them: the next compaction does.

use lowtide_checkpoint::Seqno;

use crate::contract::{Budget, CompactionReport, EngineError};
use crate::couchstore::btree::Action;
use crate::couchstore::btree::split_policy::THRESHOLD_BYTES;
use crate::couchstore::file::CommitView;
use crate::couchstore::format::DocInfo;
use crate::couchstore::store::PurgedRow;
use crate::numbers::to_u64;

use super::audit;
use super::target::Target;

/// Most bytes of the old file in the last round, for which commits wait. After [`ROUNDS_MAX`]
/// rounds there is no limit.
pub(super) const LAST_ROUND_BYTES_MAX: u64 = 1 << 20;
/// Rounds that try to reach that without blocking commits. The vendor has the same number.
pub(super) const ROUNDS_MAX: u64 = 10;
/// Fewest and most changes of a tree that are made together. They are neighbours, so separate
/// groups change separate leaves. Smaller groups would write the nodes above the leaves too often.
const TOGETHER_MIN: usize = 256;
const TOGETHER_MAX: usize = 4096;
/// Memory of a row and its changes, without the bytes of its key and metadata.
const ROW_OVERHEAD_BYTES: usize = 384;
/// Cost of a change that is the only one in its leaf.
const LEAF_BYTES: u64 = THRESHOLD_BYTES as u64;

/// One round: from the target's commit to `to`.
#[derive(Debug)]
pub(super) struct Round {
    to: CommitView,
    next: Seqno,
    /// Purged keys, each once. They are removed first, so a row that is inserted later stays.
    purged: std::vec::IntoIter<PurgedRow>,
    /// Rows whose bodies are copied and which the trees do not have yet. They are inserted when
    /// there are no more, or no more fit into memory: each insertion writes nodes from the leaves
    /// to the roots and leaves the old ones in the file.
    rows: Vec<DocInfo>,
    rows_bytes: usize,
    memory_bytes: usize,
    is_copied: bool,
    changes: Option<Changes>,
}

impl Round {
    /// Begins a round that collects rows in this much memory. `purged` are the rows that were
    /// purged with `to` and before.
    pub(super) fn new(
        from: &CommitView,
        to: CommitView,
        mut purged: Vec<PurgedRow>,
        memory_bytes: usize,
    ) -> Self {
        // The last purge of a key, which is kept, covers the earlier ones.
        purged.sort_unstable_by(|a, b| a.id.cmp(&b.id).then(b.seqno.cmp(&a.seqno)));
        purged.dedup_by(|later, first| later.id == first.id);
        Self {
            purged: purged.into_iter(),
            next: Seqno(from.header.update_seq).next(),
            to: to.uncached(),
            rows: Vec::new(),
            rows_bytes: 0,
            memory_bytes,
            is_copied: false,
            changes: None,
        }
    }

    /// Returns an estimate of the seqnos left.
    pub(super) const fn left(&self) -> u64 {
        (self.to.header.update_seq + 1).saturating_sub(self.next.0)
    }

    /// Works as long as the budget allows. Returns whether the round is complete.
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
            let change = if self.purged.as_slice().is_empty() {
                Change::Put
            } else {
                Change::Remove
            };
            let (is_spent, is_over) = match change {
                Change::Remove => (
                    self.look_up(target, &mut budget)?,
                    self.purged.as_slice().is_empty(),
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

    /// Looks up rows of the target that were purged, until there are no more or they take too much
    /// memory. Returns whether the budget ran out.
    fn look_up(&mut self, target: &mut Target, budget: &mut Budget) -> Result<bool, EngineError> {
        let made = target.unfinished_view()?;
        for PurgedRow { id, seqno } in self.purged.by_ref() {
            // A later seqno was committed after the purge.
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

    /// Copies bodies until there are no more or the rows take too much memory. Returns whether the
    /// budget ran out.
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
            let bytes = info.physical_bytes + to_u64(info.id.len() + info.rev_meta.len());
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

    /// Ends the round. Returns the commit that the target is at.
    pub(super) fn finish(self, target: &mut Target) -> Result<CommitView, EngineError> {
        // Even if the documents are the same, the figures in the state are the target's own.
        target.update_locals(&self.to)?;
        target.header.update_seq = self.to.header.update_seq;
        target.header.purge_seq = target.header.purge_seq.max(self.to.header.purge_seq);
        Ok(self.to)
    }
}

/// Returns the memory of a row until both indexes have changed.
fn row_bytes(info: &DocInfo) -> usize {
    2 * (info.id.len() + info.rev_meta.len()) + ROW_OVERHEAD_BYTES
}

/// The change to make with rows.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// Insert them, in place of those with their keys.
    Put,
    /// Remove them: they are in the indexes.
    Remove,
}

/// Changes of both indexes for rows of different keys: by id in the order of keys, then by seqno.
#[derive(Debug)]
enum Changes {
    ById {
        change: Change,
        rows: std::vec::IntoIter<DocInfo>,
        /// The changes of the other index.
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

    /// Makes as many changes as the budget allows. Returns whether all are made.
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
                        Change::Remove => target.remove_by_id(&rows, by_seqno)?,
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

/// Returns the seqnos of the old file that the target does not have: an estimate of its items.
pub(super) const fn behind_seqnos(from: &CommitView, to: &CommitView) -> u64 {
    to.header.update_seq.saturating_sub(from.header.update_seq)
}

/// Returns the bytes of the old file that were written since the target's commit.
pub(super) const fn behind_bytes(from: &CommitView, to: &CommitView) -> u64 {
    to.end.saturating_sub(from.end)
}
