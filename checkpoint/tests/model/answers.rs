//! Answers of the naive manager: batches, registrations, ranges, counters, the diagram.
//!
//! Everything is counted from the log. Only cursors move.

use std::fmt::Write as _;

use lowtide_checkpoint::{
    Item, Operation, PERSISTENCE, ReadLimit, Seqno, SnapshotRange, SnapshotType,
};

use crate::checkpoint::Checkpoint;
use crate::naive::{Naive, Progress, Record, is_state};

/// The expected result of a read.
#[derive(Debug, PartialEq)]
pub struct Read {
    pub items: Vec<Item>,
    pub ranges: Vec<SnapshotRange>,
    pub more: bool,
}

impl Naive {
    /// Registers a cursor. Returns `next`, and whether backfill is needed.
    pub fn register(
        &mut self,
        name: &str,
        after: Seqno,
        droppable: bool,
    ) -> Result<(Seqno, bool), &'static str> {
        if after > self.high || name == PERSISTENCE {
            return Err("invalid-argument");
        }
        let backfill = after < self.highest_evicted;
        let (passed, seqno) = if backfill {
            (self.base(), self.checkpoints[0].dummy)
        } else {
            let ahead = |record: &Record| !record.evicted && record.item.seqno > after;
            (
                self.log.iter().position(ahead).unwrap_or(self.log.len()),
                after,
            )
        };
        self.cursors.insert(
            name.to_owned(),
            Progress {
                passed,
                seqno,
                droppable,
            },
        );
        self.remove();
        let next = self.live_from(passed).next();
        Ok((
            next.map_or(Seqno(self.high.0 + 1), |(_, record)| record.item.seqno),
            backfill,
        ))
    }

    pub fn unregister(&mut self, name: &str) {
        self.cursors.remove(name);
        self.remove();
    }

    pub fn read(&mut self, name: &str, limit: ReadLimit) -> Result<Read, &'static str> {
        self.read_to(name, limit, false)
    }

    fn read_to(
        &mut self,
        name: &str,
        limit: ReadLimit,
        to_boundary: bool,
    ) -> Result<Read, &'static str> {
        if limit.items == 0 || limit.bytes == 0 {
            return Err("invalid-argument");
        }
        let mut progress = self.cursors[name];
        let (mut taken, mut ranges) = self.collect(progress.passed, limit, name == PERSISTENCE);
        if to_boundary {
            self.stop_at_boundary(&mut taken, &mut ranges);
        }
        if let Some(&last) = taken.last() {
            progress = Progress {
                passed: last + 1,
                seqno: self.log[last].processed_seqno(),
                ..progress
            };
        }
        let items = taken.iter().map(|&at| self.log[at].item.clone()).collect();
        let more = self.live_from(progress.passed).next().is_some();
        self.cursors.insert(name.to_owned(), progress);
        self.remove();
        Ok(Read {
            items,
            ranges,
            more,
        })
    }

    fn collect(
        &self,
        from: usize,
        limit: ReadLimit,
        hard_in_disk: bool,
    ) -> (Vec<usize>, Vec<SnapshotRange>) {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        let mut ranges = Vec::new();
        let mut before: Option<&Checkpoint> = None;
        for checkpoint in &self.checkpoints {
            let ahead: Vec<_> = self
                .live_from(from)
                .filter(|(_, record)| record.checkpoint == checkpoint.id)
                .collect();
            if ahead.is_empty() {
                continue;
            }
            if let Some(before) = before {
                let history = |checkpoint: &Checkpoint| {
                    checkpoint.marker.is_some_and(|marker| marker.history)
                };
                let full = taken.len() >= limit.items || bytes >= limit.bytes;
                if full
                    || before.is_disk()
                    || checkpoint.is_disk()
                    || history(before) != history(checkpoint)
                {
                    break;
                }
            }
            before = Some(checkpoint);
            ranges.push(self.range(checkpoint));
            for (at, record) in ahead {
                let full = taken.len() >= limit.items || bytes >= limit.bytes;
                if hard_in_disk && checkpoint.came_from_disk() && full {
                    return (taken, ranges);
                }
                taken.push(at);
                bytes += self.cost(&record.item);
            }
        }
        (taken, ranges)
    }

    /// Removes everything after the last whole snapshot, if there is one.
    fn stop_at_boundary(&self, taken: &mut Vec<usize>, ranges: &mut Vec<SnapshotRange>) {
        let checkpoints: Vec<_> = self
            .checkpoints
            .iter()
            .filter(|checkpoint| {
                taken
                    .iter()
                    .any(|&at| self.log[at].checkpoint == checkpoint.id)
            })
            .collect();
        let is_whole = |checkpoint: &&Checkpoint| {
            let end = self.range(checkpoint).end;
            // A snapshot counts only if all of it was collected: a limit may split one from disk.
            let unread = |(at, record): (usize, &Record)| {
                record.checkpoint == checkpoint.id && taken.last().is_none_or(|&last| at > last)
            };
            self.last(checkpoint) == Some(end) && !self.live_from(0).any(unread)
        };
        if let Some(last) = checkpoints.iter().rposition(is_whole) {
            taken.retain(|&at| self.log[at].checkpoint <= checkpoints[last].id);
            ranges.truncate(last + 1);
        }
    }

    pub fn remaining(&self, name: &str) -> usize {
        self.live_from(self.cursors[name].passed).count()
    }

    pub fn begin_flush(
        &mut self,
        limit: ReadLimit,
        to_boundary: bool,
    ) -> Result<Read, &'static str> {
        let &start = self.cursors.get(PERSISTENCE).ok_or("unknown-cursor")?;
        if self.flush.is_some() {
            return Err("flush-in-progress");
        }
        if limit.items == 0 || limit.bytes == 0 {
            return Err("invalid-argument");
        }
        self.flush = Some(start);
        self.read_to(PERSISTENCE, limit, to_boundary)
    }

    pub fn end_flush(&mut self, success: bool) {
        if let (Some(start), false) = (self.flush.take(), success) {
            self.cursors.insert(PERSISTENCE.to_owned(), start);
        }
        self.remove();
    }

    pub fn range(&self, checkpoint: &Checkpoint) -> SnapshotRange {
        let operations = || self.log.iter().filter(|record| !is_state(&record.item));
        let last = self.last(checkpoint);
        let (completed, prepared) = self.durable(checkpoint);
        if let Some(marker) = checkpoint.marker {
            let is_disk = checkpoint.is_disk();
            return SnapshotRange {
                snapshot_id: checkpoint.snapshot_id,
                start: marker.start,
                end: marker.end,
                visible: marker.visible.unwrap_or(marker.end),
                snapshot_type: marker.snapshot_type,
                history: marker.history,
                may_repeat_keys: marker.may_repeat_keys,
                high_completed_seqno: if is_disk {
                    marker.high_completed_seqno
                } else {
                    marker.high_completed_seqno.max(completed)
                },
                high_prepared_seqno: marker.high_prepared_seqno.max(prepared),
                purge_seqno: marker.purge_seqno,
                last,
                extended_from: checkpoint.extended_from,
            };
        }
        let visible = operations()
            .filter(|record| {
                !matches!(record.item.operation, Operation::Prepare | Operation::Abort)
            })
            .rfind(|record| record.checkpoint <= checkpoint.id);
        SnapshotRange {
            snapshot_id: checkpoint.snapshot_id,
            start: if last.is_some() {
                Seqno(checkpoint.before.0 + 1)
            } else {
                checkpoint.before
            },
            end: last.unwrap_or(checkpoint.before),
            visible: visible.map_or(self.floor, |record| record.item.seqno),
            snapshot_type: SnapshotType::Memory,
            history: false,
            may_repeat_keys: false,
            high_completed_seqno: completed,
            high_prepared_seqno: prepared,
            purge_seqno: None,
            last,
            extended_from: None,
        }
    }

    /// Returns the last operation of a checkpoint.
    pub fn last(&self, checkpoint: &Checkpoint) -> Option<Seqno> {
        let operations = self.log.iter().filter(|record| !is_state(&record.item));
        operations
            .filter(|record| record.checkpoint == checkpoint.id)
            .map(|record| record.item.seqno)
            .next_back()
    }

    /// Returns the highest completed prepare and the highest prepare, as of the end of a
    /// checkpoint.
    ///
    /// They come from the queued items, and from the markers of snapshots that were complete
    /// before.
    pub fn durable(&self, checkpoint: &Checkpoint) -> (Option<Seqno>, Option<Seqno>) {
        let (mut completed, mut prepared) = (None, None);
        let all = || self.removed_checkpoints.iter().chain(&self.checkpoints);
        let is_disk =
            |id| all().any(|checkpoint| checkpoint.id == id && checkpoint.came_from_disk());
        for record in self
            .log
            .iter()
            .filter(|record| record.checkpoint <= checkpoint.id)
        {
            match record.item.operation {
                Operation::Prepare => prepared = prepared.max(Some(record.item.seqno)),
                Operation::Commit | Operation::Abort
                    if record.item.prepare_seqno > Seqno::ZERO && !is_disk(record.checkpoint) =>
                {
                    completed = completed.max(Some(record.item.prepare_seqno));
                }
                _ => {}
            }
        }
        for earlier in all().filter(|earlier| earlier.id < checkpoint.id) {
            let Some(marker) = earlier.marker else {
                continue;
            };
            if self.last(earlier) == Some(marker.end) && !earlier.is_truncated {
                prepared = prepared.max(marker.high_prepared_seqno);
                completed = completed.max(marker.high_completed_seqno);
            }
        }
        (completed, prepared)
    }

    /// Returns the number of resident items, and of those in the open checkpoint.
    pub fn items(&self) -> (usize, usize) {
        let live = || self.live_from(0);
        (
            live().count(),
            live()
                .filter(|(_, record)| record.checkpoint == self.open().id)
                .count(),
        )
    }

    /// Returns the diagram.
    pub fn diagram(&self) -> String {
        let mut text = String::new();
        for checkpoint in &self.checkpoints {
            let range = self.range(checkpoint);
            let state = if checkpoint.id == self.open().id {
                "open  "
            } else {
                "closed"
            };
            let kind = match range.snapshot_type {
                SnapshotType::Memory => "memory",
                SnapshotType::Disk => "disk",
                SnapshotType::InitialDisk => "initial-disk",
            };
            let _ = write!(
                text,
                "{} {state} {kind} {}-{} | ({})",
                checkpoint.id, range.start, range.end, checkpoint.dummy
            );
            for (_, record) in self
                .live_from(0)
                .filter(|(_, record)| record.checkpoint == checkpoint.id)
            {
                let Item {
                    operation,
                    key,
                    seqno,
                    ..
                } = &record.item;
                let _ = match operation {
                    Operation::SetVBucketState(state) => {
                        write!(text, " | vbucket-state {state} @{seqno}")
                    }
                    _ => write!(text, " | {} {key} @{seqno}", operation.name()),
                };
            }
            text.push('\n');
        }
        let width = self.cursors.keys().map(String::len).max().unwrap_or(0);
        for (name, progress) in &self.cursors {
            let _ = writeln!(text, "{name:<width$} -> {}", progress.seqno);
        }
        text
    }

    fn live_from(&self, from: usize) -> impl Iterator<Item = (usize, &Record)> {
        self.log
            .iter()
            .enumerate()
            .skip(from)
            .filter(|(_, record)| record.is_live())
    }
}
