//! Sorting rows by key in bounded memory.
//!
//! Rows are collected until they take half of the memory. They are then written to a temporary file
//! of their own, a run, while the next ones are collected. At the end all runs are merged. Memory
//! is one run and a half, or one frame of every run: 16 MiB by default, or 16 KiB for each 8 MiB of
//! rows. Rows that fit one run never touch the disk.
//!
//! E29. No call does more than a bounded amount of work. Rows are sorted a few thousand at a time
//! and merged from there. Each row that arrives advances the run being written by twice the row's
//! bytes, so that the run is written before the next is due. Rows with the same key all come out,
//! adjacent and in no particular order.

mod run;

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::file::Source;
use crate::couchstore::format::Entry;
use crate::shared::MergedRuns;

use self::run::{Run, RunWriter};

/// Memory of a row without its bytes: two handles and their allocations.
const ROW_OVERHEAD_BYTES: usize = 128;
/// Rows that are sorted at once.
const BATCH_ROWS: usize = 4096;

/// A callback that creates the file of the run with that number.
pub(super) type CreateRun<'a> = &'a mut dyn FnMut(usize) -> Result<Source, EngineError>;

/// A collector of rows.
#[derive(Debug)]
pub(super) struct Sorter {
    run_bytes: usize,
    next_run: usize,
    /// Unsorted rows.
    rows: Vec<Entry>,
    /// Sorted rows in memory.
    batches: Vec<Run>,
    /// Size of both.
    collected_bytes: usize,
    spill: Option<Spill>,
    /// Runs in files.
    runs: Vec<Run>,
    pushed: u64,
}

/// A run that is being written.
#[derive(Debug)]
struct Spill {
    rows: Sorted,
    out: RunWriter,
}

impl Sorter {
    /// Makes a sorter of about `memory_bytes`. The first run gets the number `next_run`.
    pub(super) const fn new(memory_bytes: usize, next_run: usize) -> Self {
        Self {
            run_bytes: memory_bytes / 2,
            next_run,
            rows: Vec::new(),
            batches: Vec::new(),
            collected_bytes: 0,
            spill: None,
            runs: Vec::new(),
            pushed: 0,
        }
    }

    /// Returns the number of rows added.
    pub(super) const fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Returns a number above those of its runs.
    pub(super) const fn next_run(&self) -> usize {
        self.next_run
    }

    /// Adds a row. `create` creates a run's file if one is needed.
    pub(super) fn push(
        &mut self,
        key: Bytes,
        value: Bytes,
        create: CreateRun<'_>,
    ) -> Result<(), EngineError> {
        let row = Entry { key, value };
        let row_bytes = memory_bytes(&row);
        self.pushed += 1;
        self.collected_bytes += row_bytes;
        self.rows.push(row);
        if self.rows.len() >= BATCH_ROWS {
            self.close_batch();
        }
        self.write(2 * row_bytes)?;
        if self.collected_bytes >= self.run_bytes {
            self.write(usize::MAX)?;
            self.close_batch();
            let out = RunWriter::new(create(self.next_run)?);
            self.next_run += 1;
            self.spill = Some(Spill {
                rows: Sorted::of(std::mem::take(&mut self.batches))?,
                out,
            });
            self.collected_bytes = 0;
        }
        Ok(())
    }

    /// Returns everything that was added, in order.
    pub(super) fn finish(mut self) -> Result<Sorted, EngineError> {
        self.close_batch();
        let mut runs = self.runs;
        if let Some(Spill { rows, out }) = self.spill.take() {
            // The written part of the run is in order, and so is the rest.
            runs.push(out.finish()?);
            runs.extend(rows.into_runs());
        }
        runs.extend(self.batches);
        Sorted::of(runs)
    }

    /// Writes this many bytes of the run that is being written, if there is one.
    fn write(&mut self, bytes: usize) -> Result<(), EngineError> {
        let Some(mut spill) = self.spill.take() else {
            return Ok(());
        };
        let mut left_bytes = bytes;
        while left_bytes > 0 {
            let Some((key, value)) = spill.rows.next()? else {
                self.runs.push(spill.out.finish()?);
                return Ok(());
            };
            let row = Entry { key, value };
            left_bytes = left_bytes.saturating_sub(memory_bytes(&row));
            spill.out.push(&row)?;
        }
        self.spill = Some(spill);
        Ok(())
    }

    fn close_batch(&mut self) {
        if self.rows.is_empty() {
            return;
        }
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        self.batches.push(Run::in_memory(rows));
    }
}

fn memory_bytes(row: &Entry) -> usize {
    row.encoded_bytes() + ROW_OVERHEAD_BYTES
}

/// Rows in order.
#[derive(Debug)]
pub(super) struct Sorted(MergedRuns<Run>);

impl Sorted {
    fn of(runs: Vec<Run>) -> Result<Self, EngineError> {
        MergedRuns::of(runs).map(Self)
    }

    /// Returns the next row.
    pub(super) fn next(&mut self) -> Result<Option<(Bytes, Bytes)>, EngineError> {
        let row = self.0.next()?;
        Ok(row.map(|Entry { key, value }| (key, value)))
    }

    /// Returns the rest, as separate runs.
    fn into_runs(self) -> impl Iterator<Item = Run> {
        let rests = self.0.into_rests();
        rests.flat_map(|(row, rest)| [Run::in_memory(vec![row]), rest])
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::couchstore::format::Checksum;
    use crate::disk::{Disk, MemoryDisk};

    use super::*;

    /// Sorts `rows`. Returns them with the disk that holds the runs.
    fn sort(rows: &[(u32, usize)], memory_bytes: usize) -> (Vec<(Bytes, Bytes)>, MemoryDisk) {
        let disk = MemoryDisk::new();
        let mut create = |number: usize| {
            let name = format!("/run-{number}");
            let path = Path::new(&name);
            Ok(Source::new(disk.create(path)?, path, Checksum::Crc32c))
        };
        let mut sorter = Sorter::new(memory_bytes, 0);
        for &(key, len) in rows {
            let key = Bytes::from(key.to_string());
            sorter
                .push(key, vec![7; len].into(), &mut create)
                .expect("written");
            let in_memory = sorter.collected_bytes;
            assert!(
                in_memory <= memory_bytes / 2,
                "{in_memory} of {memory_bytes} bytes"
            );
        }
        let mut sorted = sorter.finish().expect("readable");
        let rows = std::iter::from_fn(|| sorted.next().expect("readable")).collect();
        (rows, disk)
    }

    #[test]
    fn sorted_rows_are_in_order_for_any_number_of_runs() {
        // Every key once, in no order, with values from nothing to more than a frame.
        let rows: Vec<(u32, usize)> = (0..5000_u32)
            .map(|n| {
                (
                    n * 701 % 5003,
                    (n as usize * 37) % 60 + n as usize % 97 / 96 * 20_000,
                )
            })
            .collect();
        let mut expected: Vec<(Bytes, Bytes)> = rows
            .iter()
            .map(|&(key, len)| (Bytes::from(key.to_string()), vec![7; len].into()))
            .collect();
        expected.sort();
        for (memory_bytes, files) in [(1, 5000), (400, 2600), (200_000, 17), (1 << 30, 0)] {
            let (sorted, disk) = sort(&rows, memory_bytes);
            assert_eq!(sorted.len(), expected.len());
            assert!(sorted == expected, "{memory_bytes}");
            let found = disk.usage().files;
            assert!(
                found >= files.min(1) && found <= files,
                "{memory_bytes}: {found} runs"
            );
        }
    }

    #[test]
    fn one_row_writes_a_bounded_number_of_bytes() {
        let disk = MemoryDisk::new();
        let path = Path::new("/run");
        let mut create = |_| Ok(Source::new(disk.create(path)?, path, Checksum::Crc32c));
        let mut sorter = Sorter::new(4 << 20, 0);
        let (mut before, mut most) = (0, 0);
        // One run and most of the next.
        for n in 0..14_000_u32 {
            let key = Bytes::from((n * 701 % 5003).to_string());
            sorter
                .push(key, vec![7; 100].into(), &mut create)
                .expect("written");
            let written = disk.usage().bytes;
            most = most.max(written - before);
            before = written;
        }
        assert_eq!(
            sorter.runs.len(),
            1,
            "one is written, and the next is not due"
        );
        assert!(most <= 300 << 10, "{most} bytes for one row");
    }
}
