//! One use of a segment: where its bytes are, and how much of them is still referred to.
//!
//! Always (L5): `live` counts exactly the references to its records from indexes, the overlay of what snapshots pin
//! included. A reference is counted before the index has it and taken off after the index has lost it, so that the count
//! is never too low. A segment is freed only when it is 0 and, looked at after that, nobody but the table holds the use: a
//! reader takes the use under the lock under which it finds the location, so that whoever could still read holds it (L33).
//! What a snapshot reads after its store was closed is checked against the segment's generation: another store may have reused
//! the segment (L45).
//! What was there when the store was opened, and is not in an index yet, is counted by nobody: it holds its segments.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::contract::EngineError;
use crate::disk::{DiskError, DiskErrorKind, DiskFile, DiskOperation, DiskResult};
use crate::sync::{AtomicU64, Ordering};

use super::cache::Blocks;
use super::frame::{HEADER_BYTES, Header};
use super::frames::Known;

/// What a disk writes as a whole or not at all.
const SECTOR_BYTES: usize = 512;

/// Where a record lies: its first byte within a segment, and its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Location {
    pub(super) segment: u32,
    pub(super) offset: u32,
    pub(super) len: u32,
}

/// A log file.
#[derive(Debug)]
pub(super) struct LogFile {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) path: PathBuf,
    /// The store was closed: from then on others may write the file.
    pub(super) is_given_up: Arc<AtomicBool>,
}

/// One use of a segment, from when it was taken to when it is freed.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) id: u32,
    pub(super) generation: u64,
    pub(super) file: Arc<LogFile>,
    /// Where it begins in the file.
    pub(super) base: u64,
    pub(super) bytes: u32,
    live_bytes: AtomicU64,
    /// When its first batch was committed, as the batch has it; 0 if that is not known.
    since: AtomicU64,
    live_records: AtomicU64,
    /// What gets have read of it.
    pub(super) blocks: Blocks,
    /// Which frames scans have found in it.
    pub(super) frames: Known,
    /// Of the first segment of a large record: the others.
    rest: OnceLock<Vec<Arc<Segment>>>,
}

impl Segment {
    pub(super) fn new(id: u32, generation: u64, file: Arc<LogFile>, base: u64, bytes: u32) -> Self {
        Self {
            id,
            generation,
            file,
            base,
            bytes,
            live_bytes: AtomicU64::new(0),
            since: AtomicU64::new(0),
            live_records: AtomicU64::new(0),
            blocks: Blocks::default(),
            frames: Known::default(),
            rest: OnceLock::new(),
        }
    }

    /// The same, once it is known which use it is.
    pub(super) fn of_generation(self, generation: u64) -> Self {
        Self { generation, ..self }
    }

    /// A batch of that time goes into it. The first one counts.
    pub(super) fn note_time(&self, timestamp: u64) {
        // Which of several is taken for the first makes no difference.
        if self.since.load(Ordering::Relaxed) == 0 {
            self.since.store(timestamp, Ordering::Relaxed);
        }
    }

    /// How long before `now` its first batch was committed. Where nobody knows it counts from now on.
    pub(super) fn age(&self, now: u64) -> u64 {
        self.note_time(now);
        now.saturating_sub(self.since.load(Ordering::Relaxed))
    }

    /// One reference more.
    pub(super) fn add(&self, location: Location) {
        self.live_bytes
            .fetch_add(location.len.into(), Ordering::SeqCst);
        self.live_records.fetch_add(1, Ordering::SeqCst);
    }

    /// So many references more, to records of so many bytes, padding included.
    pub(super) fn add_all(&self, bytes: u64, records: u64) {
        self.live_bytes.fetch_add(bytes, Ordering::SeqCst);
        self.live_records.fetch_add(records, Ordering::SeqCst);
    }

    /// One reference less.
    pub(super) fn remove(&self, location: Location) {
        self.live_bytes
            .fetch_sub(location.len.into(), Ordering::SeqCst);
        self.live_records.fetch_sub(1, Ordering::SeqCst);
    }

    pub(super) fn live_bytes(&self) -> u64 {
        self.live_bytes.load(Ordering::SeqCst)
    }

    pub(super) fn live_records(&self) -> u64 {
        self.live_records.load(Ordering::SeqCst)
    }

    /// Says where a large record goes on.
    pub(super) fn set_rest(&self, rest: Vec<Arc<Segment>>) {
        // Set once, by whoever wrote or found the record.
        let _ = self.rest.set(rest);
    }

    pub(super) fn rest(&self) -> &[Arc<Segment>] {
        self.rest.get().map_or(&[], Vec::as_slice)
    }

    /// Says that the segment is free.
    pub(super) fn write_free(&self, header: &Header, hash_key: [u64; 2]) -> DiskResult<()> {
        let mut sector = header.encode(hash_key).to_vec();
        // No more than a sector: were more of the old frame gone and its header not, it would be damage.
        sector.resize(SECTOR_BYTES, 0);
        self.file.file.write_at(&[&sector], self.base)
    }

    /// Bytes of the segment, fewer where the file ends.
    pub(super) fn read(&self, offset: u32, len: usize) -> DiskResult<Vec<u8>> {
        let mut buffer = vec![0; len];
        let count = self
            .file
            .file
            .read_at(&mut buffer, self.base + u64::from(offset))?;
        buffer.truncate(count);
        self.require_use()?;
        Ok(buffer)
    }

    /// As [`Segment::read`], into memory there is.
    pub(super) fn read_into<'a>(&self, offset: u32, buffer: &'a mut [u8]) -> DiskResult<&'a [u8]> {
        let count = self
            .file
            .file
            .read_at(buffer, self.base + u64::from(offset))?;
        self.require_use()?;
        Ok(buffer.get(..count).unwrap_or_default())
    }

    /// Checks, after a read, that the store was open then or that the use has not ended since. The header of the next use is
    /// written before any of its records, so that a record of another store never comes with this use's header.
    fn require_use(&self) -> DiskResult<()> {
        if !self.file.is_given_up.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut head = [0; HEADER_BYTES as usize];
        self.file.file.read_at(&mut head, self.base)?;
        if Header::generation_in(&head) == Some(self.generation) {
            return Ok(());
        }
        let what = "the store was closed, and another one has reused the segment since";
        Err(DiskError {
            operation: DiskOperation::Read,
            path: self.file.path.clone(),
            offset: Some(self.base),
            kind: DiskErrorKind::Io,
            source: io::Error::other(what),
        })
    }

    /// A record's bytes, unchecked.
    pub(super) fn read_record(&self, location: Location) -> DiskResult<Bytes> {
        let len = location.len as usize;
        if self.rest().is_empty() {
            return Ok(self.read(location.offset, len)?.into());
        }
        let piece_bytes = (self.bytes - HEADER_BYTES) as usize;
        let mut record = self.read(HEADER_BYTES, piece_bytes.min(len))?;
        for next in self.rest() {
            record
                .extend_from_slice(&next.read(HEADER_BYTES, piece_bytes.min(len - record.len()))?);
        }
        Ok(record.into())
    }

    pub(super) fn corrupt(&self, offset: u32, what: &str) -> EngineError {
        EngineError::Corrupt {
            path: self.file.path.clone(),
            offset: self.base + u64::from(offset),
            what: what.to_owned(),
        }
    }
}
