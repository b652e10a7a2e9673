//! Sorting rows by key in bounded memory: rows go in in any order, and come out in the order of their keys.
//!
//! Rows are collected until they take as much memory as they may; then they are sorted and written to a temporary file
//! of their own, a run. At the end all runs are merged. What is in memory is one run, or one frame of every run: 16 MiB
//! by default, or 16 KiB for each 16 MiB of rows. What fits one run never touches the disk.
//!
//! A run is a sequence of frames: u32 length, u32 CRC-32C, rows (12 and 28 bits of lengths, key, value). Runs are not
//! synced: after a crash they are removed, not read. A frame that is not what was written is an error.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;

use bytes::Bytes;

use crate::EngineError;
use crate::couchstore::checksum::Checksum;
use crate::couchstore::fields::{Fields, put};
use crate::couchstore::node::{Entry, take_lengths};
use crate::couchstore::source::Source;

/// A frame is closed at this length.
const FRAME_BYTES: usize = 16 << 10;
const FRAME_HEAD_BYTES: u64 = 8;
/// Collected frames that are worth a write of their own.
const WRITE_BYTES: usize = 1 << 20;
/// What a row takes beside its bytes: two handles and their allocations.
const ROW_OVERHEAD_BYTES: usize = 128;

/// Collects rows.
#[derive(Debug)]
pub(super) struct Sorter {
    run_bytes: usize,
    rows: Vec<Entry>,
    rows_bytes: usize,
    runs: Vec<Run>,
}

impl Sorter {
    /// Rows take at most about `run_bytes` of memory.
    pub(super) const fn new(run_bytes: usize) -> Self {
        Self { run_bytes, rows: Vec::new(), rows_bytes: 0, runs: Vec::new() }
    }

    /// Adds a row. `create` makes the file of the run with that number, should one be needed.
    pub(super) fn push(
        &mut self,
        key: Bytes,
        value: Bytes,
        create: &mut dyn FnMut(usize) -> Result<Source, EngineError>,
    ) -> Result<(), EngineError> {
        let row = Entry { key, value };
        self.rows_bytes += row.encoded_bytes() + ROW_OVERHEAD_BYTES;
        self.rows.push(row);
        if self.rows_bytes < self.run_bytes {
            return Ok(());
        }
        let source = create(self.runs.len())?;
        self.sort();
        let rows = std::mem::take(&mut self.rows);
        self.rows_bytes = 0;
        self.runs.push(Run::write(source, rows)?);
        Ok(())
    }

    /// Everything that was added, in order.
    pub(super) fn finish(mut self) -> Result<Sorted, EngineError> {
        self.sort();
        let mut sorted = Sorted { runs: self.runs, heads: BinaryHeap::new() };
        let last = sorted.runs.len();
        sorted.runs.push(Run::in_memory(self.rows));
        for run in 0..=last {
            sorted.advance(run)?;
        }
        Ok(sorted)
    }

    fn sort(&mut self) {
        self.rows.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    }
}

/// Rows in order.
pub(super) struct Sorted {
    runs: Vec<Run>,
    /// The first row of each run that has one left.
    heads: BinaryHeap<Reverse<(Bytes, usize, Bytes)>>,
}

impl fmt::Debug for Sorted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sorted").field("runs", &self.runs.len()).finish_non_exhaustive()
    }
}

impl Sorted {
    /// The next row.
    pub(super) fn next(&mut self) -> Result<Option<(Bytes, Bytes)>, EngineError> {
        let Some(Reverse((key, run, value))) = self.heads.pop() else { return Ok(None) };
        self.advance(run)?;
        Ok(Some((key, value)))
    }

    fn advance(&mut self, number: usize) -> Result<(), EngineError> {
        let Some(run) = self.runs.get_mut(number) else { return Ok(()) };
        if let Some(Entry { key, value }) = run.next()? {
            self.heads.push(Reverse((key, number, value)));
        }
        Ok(())
    }
}

/// Rows in order, in a file or in memory.
#[derive(Debug)]
struct Run {
    /// Where the rows come from that are not in memory.
    file: Option<Source>,
    position: u64,
    end: u64,
    rows: std::vec::IntoIter<Entry>,
}

impl Run {
    fn in_memory(rows: Vec<Entry>) -> Self {
        Self { file: None, position: 0, end: 0, rows: rows.into_iter() }
    }

    /// Writes sorted rows.
    fn write(source: Source, rows: Vec<Entry>) -> Result<Self, EngineError> {
        let (mut out, mut frame, mut end) = (Vec::new(), Vec::new(), 0);
        let mut flush = |out: &mut Vec<u8>| {
            source.file.write_at(&[out], end)?;
            end += out.len() as u64;
            out.clear();
            Ok::<_, EngineError>(())
        };
        for row in rows {
            row.encode(&mut frame);
            if frame.len() >= FRAME_BYTES {
                close_frame(&mut out, &mut frame);
            }
            if out.len() >= WRITE_BYTES {
                flush(&mut out)?;
            }
        }
        close_frame(&mut out, &mut frame);
        flush(&mut out)?;
        Ok(Self { file: Some(source), position: 0, end, rows: Vec::new().into_iter() })
    }

    fn next(&mut self) -> Result<Option<Entry>, EngineError> {
        if let Some(row) = self.rows.next() {
            return Ok(Some(row));
        }
        match &self.file {
            Some(source) if self.position < self.end => {
                let (rows, frame_bytes) = read_frame(source, self.position)?;
                self.position += frame_bytes;
                self.rows = rows.into_iter();
                Ok(self.rows.next())
            }
            _ => Ok(None),
        }
    }
}

fn close_frame(out: &mut Vec<u8>, frame: &mut Vec<u8>) {
    if frame.is_empty() {
        return;
    }
    put(out, frame.len() as u64, 4);
    put(out, u64::from(Checksum::Crc32c.of(frame)), 4);
    out.append(frame);
}

/// The rows of the frame at `position`, and how long it is.
fn read_frame(source: &Source, position: u64) -> Result<(Vec<Entry>, u64), EngineError> {
    let damaged = || source.corrupt(position, "a run of rows being sorted is not what was written");
    let head = source.read_raw(position, FRAME_HEAD_BYTES)?;
    let mut fields = Fields::new(&head);
    let (Some(length), Some(checksum)) = (fields.uint(4), fields.uint(4)) else { return Err(damaged()) };
    let body = Bytes::from(source.read_raw(position + FRAME_HEAD_BYTES, length)?);
    if body.len() as u64 != length || u64::from(Checksum::Crc32c.of(&body)) != checksum {
        return Err(damaged());
    }
    let mut fields = Fields::new(&body);
    let mut rows = Vec::new();
    while !fields.rest().is_empty() {
        let (key, value) = take_lengths(&mut fields).ok_or_else(damaged)?;
        let (Some(key), Some(value)) = (fields.bytes(key), fields.bytes(value)) else {
            return Err(damaged());
        };
        rows.push(Entry { key: body.slice_ref(key), value: body.slice_ref(value) });
    }
    Ok((rows, FRAME_HEAD_BYTES + length))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::disk::{Disk, MemoryDisk};

    fn sort(rows: &[(u32, usize)], run_bytes: usize) -> (Vec<(Bytes, Bytes)>, MemoryDisk) {
        let disk = MemoryDisk::new();
        let mut create = |number: usize| {
            let name = format!("/run-{number}");
            let path = Path::new(&name);
            Ok(Source::new(disk.create(path)?, path, Checksum::Crc32c))
        };
        let mut sorter = Sorter::new(run_bytes);
        for &(key, len) in rows {
            let key = Bytes::from(key.to_string());
            sorter.push(key, vec![7; len].into(), &mut create).expect("written");
        }
        let mut sorted = sorter.finish().expect("readable");
        let rows = std::iter::from_fn(|| sorted.next().expect("readable")).collect();
        (rows, disk)
    }

    #[test]
    fn rows_come_out_in_order_however_many_runs_there_are() {
        // Every key once, in no order; values from nothing to more than a frame.
        let rows: Vec<(u32, usize)> = (0..5000_u32)
            .map(|n| (n * 701 % 5003, (n as usize * 37) % 60 + n as usize % 97 / 96 * 20_000))
            .collect();
        let mut expected: Vec<(Bytes, Bytes)> =
            rows.iter().map(|&(key, len)| (Bytes::from(key.to_string()), vec![7; len].into())).collect();
        expected.sort();
        for (run_bytes, files) in [(1, 5000), (200, 2600), (100_000, 17), (1 << 30, 0)] {
            let (sorted, disk) = sort(&rows, run_bytes);
            assert_eq!(sorted.len(), expected.len());
            assert!(sorted == expected, "{run_bytes}");
            let found = disk.usage().files;
            assert!(found >= files.min(1) && found <= files, "{run_bytes}: {found} runs");
        }
    }

    #[test]
    fn a_damaged_run_is_an_error() {
        let disk = MemoryDisk::new();
        let path = Path::new("/run-0");
        let source = Source::new(disk.create(path).expect("new"), path, Checksum::Crc32c);
        let rows: Vec<Entry> =
            (0..100_u8).map(|n| Entry { key: vec![n].into(), value: vec![n; 9].into() }).collect();
        let run = Run::write(source.clone(), rows).expect("written");
        for at in 0..run.end {
            let byte = source.read_raw(at, 1).expect("readable");
            source.file.write_at(&[&[byte[0] ^ 0x40]], at).expect("written");
            let mut damaged =
                Run { position: 0, rows: Vec::new().into_iter(), file: Some(source.clone()), end: run.end };
            assert!(matches!(damaged.next(), Err(EngineError::Corrupt { .. })), "{at}");
            source.file.write_at(&[&byte], at).expect("written");
        }
    }
}
