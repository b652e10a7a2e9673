//! The comparison of a manager with its naive model, after each step and at the end.

use lowtide_checkpoint::{CheckpointError, CursorBatch, Seqno};
use proptest::prelude::*;

use crate::answers::Read;
use crate::world::World;

pub type Step = Result<(), TestCaseError>;

impl World {
    pub fn compare(&self) -> Step {
        same(self.manager.check(), Vec::<String>::new())?;
        same(self.manager.to_string(), self.naive.diagram())?;
        let stats = self.manager.stats();
        let (items, open_items) = self.naive.items();
        same(
            (
                stats.high_seqno,
                stats.checkpoints,
                stats.open_checkpoint_id,
                stats.items,
                stats.open_items,
            ),
            (
                self.naive.high,
                self.naive.checkpoints.len(),
                self.naive.open().id,
                items,
                open_items,
            ),
        )?;
        same(
            (
                stats.cursors,
                stats.deduplicated,
                stats.expelled,
                stats.removed,
            ),
            (
                self.naive.cursors.len(),
                self.naive.deduplicated,
                self.naive.expelled,
                self.naive.removed,
            ),
        )?;
        same(
            (
                stats.enqueued,
                stats.cleared,
                stats.expelled_bytes,
                stats.removed_bytes,
            ),
            (
                self.naive.enqueued,
                self.naive.cleared,
                self.naive.expelled_bytes as u64,
                self.naive.removed_bytes as u64,
            ),
        )?;
        let created = self.naive.checkpoints_created;
        same(
            (stats.checkpoints_created, stats.checkpoints_removed),
            (created, created - self.naive.checkpoints.len() as u64),
        )?;
        same(self.manager.high_seqno(), self.naive.high)?;
        same(
            self.manager.open_range(),
            self.naive.range(self.naive.open()),
        )?;
        let cursors = self.manager.cursors();
        let cursors = cursors
            .iter()
            .map(|info| (info.name.to_string(), info.seqno, info.droppable));
        let expected = self.naive.cursors.iter();
        same(
            cursors.collect::<Vec<_>>(),
            expected
                .map(|(name, progress)| (name.clone(), progress.seqno, progress.droppable))
                .collect(),
        )?;
        for name in self.naive.cursors.keys() {
            let cursor = self.manager.cursor(name);
            let remaining = cursor.map(|cursor| kind(self.manager.remaining(cursor)));
            same(remaining, Some(Ok(self.naive.remaining(name))))?;
        }
        let held = self.batches.iter().map(|(batch, items)| (batch, items));
        for (batch, items) in held.chain(
            self.flushes
                .iter()
                .map(|(flush, items, _)| (flush.batch(), items)),
        ) {
            same(batch.items().cloned().collect::<Vec<_>>(), items.clone())?;
        }
        if self.batches.is_empty() && self.flushes.is_empty() {
            same(stats.reader_bytes, 0)?;
        }
        Ok(())
    }

    /// Drops everything that is still held. No byte may stay charged then.
    pub fn finish(mut self) -> Step {
        self.batches.clear();
        self.flushes.clear();
        self.manager.clear(Seqno::ZERO);
        same(self.manager.stats().memory_bytes(), 0)
    }
}

pub fn kind<T>(result: Result<T, CheckpointError>) -> Result<T, &'static str> {
    result.map_err(|error| error.kind())
}

pub fn answer(batch: &CursorBatch) -> Read {
    Read {
        items: batch.items().cloned().collect(),
        ranges: batch.ranges().to_vec(),
        more: batch.more(),
    }
}

pub fn same<T: PartialEq + std::fmt::Debug>(got: T, expected: T) -> Step {
    // Values are long and add nothing to the report.
    let short = |value: &T| {
        format!("{value:#?}")
            .replace(r"\x07", "")
            .chars()
            .take(4000)
            .collect::<String>()
    };
    prop_assert!(
        got == expected,
        "the manager gave\n{}\ninstead of\n{}",
        short(&got),
        short(&expected)
    );
    Ok(())
}
