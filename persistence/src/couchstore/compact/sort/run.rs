//! A run: rows in order, in memory or in a file.
//!
//! A run in a file is a sequence of frames: u32 length, u32 CRC-32C, rows (12 and 28 bits of
//! lengths, key, value). Runs are not synced: after a crash they are removed, not read. A frame
//! that differs from what was written is an error.

use std::cmp::Ordering;

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::file::Source;
use crate::couchstore::format::fields::put;
use crate::couchstore::format::node::take_lengths;
use crate::couchstore::format::{Checksum, Entry, Fields};
use crate::numbers::to_u64;
use crate::shared::SortedRun;

/// Length at which a frame is closed.
const FRAME_BYTES: usize = 16 << 10;
const FRAME_HEAD_BYTES: u64 = 8;
/// Collected frames that are worth a write of their own.
const WRITE_BYTES: usize = 256 << 10;

/// A writer of rows in order.
#[derive(Debug)]
pub(super) struct RunWriter {
    source: Source,
    /// Closed frames.
    out: Vec<u8>,
    frame: Vec<u8>,
    end: u64,
}

impl RunWriter {
    /// Begins a run in an empty file.
    pub(super) const fn new(source: Source) -> Self {
        Self {
            source,
            out: Vec::new(),
            frame: Vec::new(),
            end: 0,
        }
    }

    pub(super) fn push(&mut self, row: &Entry) -> Result<(), EngineError> {
        row.encode(&mut self.frame);
        if self.frame.len() >= FRAME_BYTES {
            self.close_frame();
        }
        if self.out.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Ends the run and returns it for reading.
    pub(super) fn finish(mut self) -> Result<Run, EngineError> {
        self.close_frame();
        self.flush()?;
        Ok(Run {
            file: Some(self.source),
            position: 0,
            end: self.end,
            rows: Vec::new().into_iter(),
        })
    }

    fn close_frame(&mut self) {
        if self.frame.is_empty() {
            return;
        }
        put(&mut self.out, to_u64(self.frame.len()), 4);
        put(
            &mut self.out,
            u64::from(Checksum::Crc32c.of(&self.frame)),
            4,
        );
        self.out.append(&mut self.frame);
    }

    fn flush(&mut self) -> Result<(), EngineError> {
        self.source.file.write_at(&[&self.out], self.end)?;
        self.end += to_u64(self.out.len());
        self.out.clear();
        Ok(())
    }
}

/// Rows in order, in a file or in memory.
#[derive(Debug)]
pub(super) struct Run {
    file: Option<Source>,
    position: u64,
    end: u64,
    /// The rows that are in memory.
    rows: std::vec::IntoIter<Entry>,
}

impl Run {
    /// Makes a run of sorted rows.
    pub(super) fn in_memory(rows: Vec<Entry>) -> Self {
        Self {
            file: None,
            position: 0,
            end: 0,
            rows: rows.into_iter(),
        }
    }
}

impl SortedRun for Run {
    type Row = Entry;

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

    fn compare(one: &Entry, other: &Entry) -> Ordering {
        one.key.cmp(&other.key)
    }
}

/// Reads the frame at `position`. Returns its rows and its length.
fn read_frame(source: &Source, position: u64) -> Result<(Vec<Entry>, u64), EngineError> {
    let damaged = || source.corrupt(position, "temporary sort file is damaged");
    let head = source.read_raw(position, FRAME_HEAD_BYTES)?;
    let mut fields = Fields::new(&head);
    let (Some(length), Some(checksum)) = (fields.uint(4), fields.uint(4)) else {
        return Err(damaged());
    };
    let body = Bytes::from(source.read_raw(position + FRAME_HEAD_BYTES, length)?);
    if to_u64(body.len()) != length || u64::from(Checksum::Crc32c.of(&body)) != checksum {
        return Err(damaged());
    }
    let mut fields = Fields::new(&body);
    let mut rows = Vec::new();
    while !fields.rest().is_empty() {
        let (key, value) = take_lengths(&mut fields).ok_or_else(damaged)?;
        let (Some(key), Some(value)) = (fields.bytes(key), fields.bytes(value)) else {
            return Err(damaged());
        };
        rows.push(Entry {
            key: body.slice_ref(key),
            value: body.slice_ref(value),
        });
    }
    Ok((rows, FRAME_HEAD_BYTES + length))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::disk::{Disk, MemoryDisk};

    use super::*;

    #[test]
    fn damaged_run_is_an_error() {
        let disk = MemoryDisk::new();
        let path = Path::new("/run-0");
        let source = Source::new(disk.create(path).expect("new"), path, Checksum::Crc32c);
        let mut writer = RunWriter::new(source.clone());
        for n in 0..100_u8 {
            writer
                .push(&Entry {
                    key: vec![n].into(),
                    value: vec![n; 9].into(),
                })
                .expect("written");
        }
        let run = writer.finish().expect("written");
        for at in 0..run.end {
            let byte = source.read_raw(at, 1).expect("readable");
            source
                .file
                .write_at(&[&[byte[0] ^ 0x40]], at)
                .expect("written");
            let mut damaged = Run {
                position: 0,
                rows: Vec::new().into_iter(),
                file: Some(source.clone()),
                end: run.end,
            };
            assert!(
                matches!(damaged.next(), Err(EngineError::Corrupt { .. })),
                "{at}"
            );
            source.file.write_at(&[&byte], at).expect("written");
        }
    }
}
