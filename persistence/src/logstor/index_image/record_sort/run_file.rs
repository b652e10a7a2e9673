//! The temporary file of sorted runs, and the reading of a run.
//!
//! ```text
//! run: blocks of 256 records, the last one shorter
//! block: records | CRC-32C u32
//! record: vBucket u16 | flags u8 | 0 u8 | epoch u32 | fingerprint 16 | seqno u64 | append u64
//!         segment u32 | offset u32 | len u32 | collection u32
//! ```
//!
//! Integers are big-endian. Flag 1 is a tombstone, flag 2 says that there is a collection. The file
//! is not synced: after a crash it is removed, not read.
//!
//! # Invariants
//!
//! A block that differs from what was written is an error.

use std::cmp;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Row;
use crate::contract::EngineError;
use crate::disk::DiskFile;
use crate::logstor::format::{Fingerprint, Location, to_u64, u32_at, u64_at};
use crate::logstor::log::{ScannedRecord, StoreContext};
use crate::shared::SortedRun;

const RECORD_BYTES: usize = 56;
const CHECKSUM_BYTES: usize = 4;
/// Records of a block. Unit tests have few records, and several blocks of them.
const BLOCK_RECORDS: usize = if cfg!(test) { 7 } else { 256 };
/// Collected blocks that are worth a write.
const WRITE_BYTES: usize = 256 << 10;

const TOMBSTONE: u8 = 1;
const IN_COLLECTION: u8 = 2;

/// The file of all runs of a sorter.
#[derive(Debug)]
pub(super) struct RunFile {
    context: Arc<StoreContext>,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    is_left: AtomicBool,
}

impl RunFile {
    /// # Errors
    /// [`EngineError::Disk`].
    pub(super) fn create(context: &Arc<StoreContext>, path: PathBuf) -> Result<Self, EngineError> {
        context.remove_if_there(&path)?;
        let file = context.disk.create(&path)?;
        Ok(Self {
            context: Arc::clone(context),
            path,
            file,
            is_left: AtomicBool::new(false),
        })
    }

    /// Writes a run of sorted rows at an offset, behind the runs before it.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(super) fn append(self: &Arc<Self>, offset: u64, rows: &[Row]) -> Result<Run, EngineError> {
        let mut end = offset;
        let mut bytes = Vec::with_capacity(WRITE_BYTES);
        for block in rows.chunks(BLOCK_RECORDS) {
            let start = bytes.len();
            block.iter().for_each(|row| encode(row, &mut bytes));
            let crc = crc32c::crc32c(bytes.get(start..).unwrap_or_default());
            bytes.extend_from_slice(&crc.to_be_bytes());
            if bytes.len() >= WRITE_BYTES {
                self.write(&mut end, &mut bytes)?;
            }
        }
        self.write(&mut end, &mut bytes)?;
        Ok(Run {
            file: Some(Arc::clone(self)),
            offset,
            end,
            unread: rows.len(),
            rows: Vec::new().into_iter(),
        })
    }

    fn write(&self, end: &mut u64, bytes: &mut Vec<u8>) -> Result<(), EngineError> {
        self.file.write_at(&[bytes], *end)?;
        *end += to_u64(bytes.len());
        bytes.clear();
        Ok(())
    }

    /// Leaves the file to the next opening of the store.
    pub(super) fn leave(&self) {
        self.is_left.store(true, Ordering::Relaxed);
    }

    fn read(&self, offset: u64, records: usize) -> Result<Vec<Row>, EngineError> {
        let mut bytes = vec![0; records * RECORD_BYTES + CHECKSUM_BYTES];
        let count = self.file.read_at(&mut bytes, offset)?;
        bytes.truncate(count);
        decode_block(&bytes, records).ok_or_else(|| EngineError::Corrupt {
            path: self.path.clone(),
            offset,
            what: "damaged records of an index image that is being made".to_owned(),
        })
    }
}

impl Drop for RunFile {
    fn drop(&mut self) {
        if !*self.is_left.get_mut() {
            // A file that can't be removed now is removed when the store is opened.
            let _ = self.context.disk.remove(&self.path);
        }
    }
}

/// Rows in order, in the file or in memory.
#[derive(Debug)]
pub(super) struct Run {
    file: Option<Arc<RunFile>>,
    /// Offset of the next block.
    offset: u64,
    end: u64,
    /// Records in the file that were not read.
    unread: usize,
    /// Those that were.
    rows: std::vec::IntoIter<Row>,
}

impl Run {
    pub(super) fn in_memory(rows: Vec<Row>) -> Self {
        Self {
            file: None,
            offset: 0,
            end: 0,
            unread: 0,
            rows: rows.into_iter(),
        }
    }

    /// Returns the offset behind it.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }
}

impl SortedRun for Run {
    type Row = Row;

    fn next(&mut self) -> Result<Option<Row>, EngineError> {
        if let Some(row) = self.rows.next() {
            return Ok(Some(row));
        }
        let (Some(file), 1..) = (&self.file, self.unread) else {
            return Ok(None);
        };
        let count = self.unread.min(BLOCK_RECORDS);
        self.rows = file.read(self.offset, count)?.into_iter();
        self.offset += to_u64(count * RECORD_BYTES + CHECKSUM_BYTES);
        self.unread -= count;
        Ok(self.rows.next())
    }

    fn compare(one: &Row, other: &Row) -> cmp::Ordering {
        one.key().cmp(&other.key())
    }
}

fn encode(row: &Row, out: &mut Vec<u8>) {
    let Row { vb, record } = row;
    let mut flags = 0;
    if record.tombstone {
        flags |= TOMBSTONE;
    }
    if record.collection.is_some() {
        flags |= IN_COLLECTION;
    }
    out.extend_from_slice(&vb.to_be_bytes());
    out.extend_from_slice(&[flags, 0]);
    out.extend_from_slice(&record.epoch.to_be_bytes());
    out.extend_from_slice(&record.fingerprint.to_bytes());
    out.extend_from_slice(&record.seqno.to_be_bytes());
    out.extend_from_slice(&record.append_seqno.to_be_bytes());
    let Location {
        segment,
        offset,
        len,
    } = record.at;
    for field in [segment, offset, len, record.collection.unwrap_or(0)] {
        out.extend_from_slice(&field.to_be_bytes());
    }
}

fn decode_block(bytes: &[u8], records: usize) -> Option<Vec<Row>> {
    let (body, crc) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    let is_whole =
        body.len() == records * RECORD_BYTES && crc32c::crc32c(body) == u32::from_be_bytes(*crc);
    let rows = body.as_chunks::<RECORD_BYTES>().0.iter().map(decode);
    is_whole.then(|| rows.collect()).flatten()
}

fn decode(bytes: &[u8; RECORD_BYTES]) -> Option<Row> {
    let [v0, v1, flags, ..] = *bytes;
    let record = ScannedRecord {
        epoch: u32_at(bytes, 4)?,
        fingerprint: Fingerprint::from_bytes(bytes.get(8..)?.first_chunk()?),
        seqno: u64_at(bytes, 24)?,
        append_seqno: u64_at(bytes, 32)?,
        at: Location {
            segment: u32_at(bytes, 40)?,
            offset: u32_at(bytes, 44)?,
            len: u32_at(bytes, 48)?,
        },
        tombstone: flags & TOMBSTONE != 0,
        collection: (flags & IN_COLLECTION != 0)
            .then(|| u32_at(bytes, 52))
            .flatten(),
    };
    Some(Row {
        vb: u16::from_be_bytes([v0, v1]),
        record,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;
    use crate::logstor::tests::support::{SMALL, open_with};

    #[test]
    fn block_that_differs_from_what_was_written_is_an_error() {
        let (engine, _) = open_with(&MemoryDisk::new(), SMALL).expect("opens");
        let context = &engine.store.context;
        let path = context.dir.join("index-00000001.runs");
        let file = Arc::new(RunFile::create(context, path).expect("created"));
        let row = |n: u8| Row {
            vb: n.into(),
            record: ScannedRecord {
                epoch: 1,
                fingerprint: Fingerprint::from_bytes(&[n; 16]),
                seqno: 2,
                at: Location {
                    segment: 3,
                    offset: 4,
                    len: 5,
                },
                tombstone: true,
                collection: Some(6),
                append_seqno: 7,
            },
        };
        let rows: Vec<Row> = (0..10).map(row).collect();
        let end = file.append(0, &rows).expect("written").end();
        let read = || {
            let mut run = Run {
                file: Some(Arc::clone(&file)),
                offset: 0,
                end,
                unread: 10,
                rows: Vec::new().into_iter(),
            };
            let rows = std::iter::from_fn(|| run.next().transpose());
            rows.collect::<Result<Vec<_>, _>>()
        };
        let found = read().expect("readable");
        assert_eq!(format!("{found:?}"), format!("{rows:?}"));
        for at in 0..end {
            let mut byte = [0];
            file.file.read_at(&mut byte, at).expect("readable");
            file.file
                .write_at(&[&[byte[0] ^ 0x40]], at)
                .expect("written");
            let error = read().expect_err("damaged");
            assert!(matches!(error, EngineError::Corrupt { .. }), "{at}");
            file.file.write_at(&[&byte], at).expect("written");
        }
    }
}
