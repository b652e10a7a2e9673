//! One use of a segment: its place in a file, and how many of its records are referenced.
//!
//! # Invariants
//!
//! - The live count is exactly the number of references to its records from indexes, snapshot
//!   overlays included (L5). A reference is counted before the index has it and taken off after the
//!   index has lost it, so the count is never too low. References of a vBucket that is not loaded
//!   are not counted: that vBucket holds its segments.
//! - A segment is freed only when the count is 0 and, checked after that, nothing but the table
//!   holds the use. A reader takes the use under the lock under which it finds the location, so
//!   every possible reader holds it (L33).
//! - A read after the store was closed is checked against the segment's generation, because another
//!   store may have reused the segment (L45).

use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use lowtide_checkpoint::internal::checked_invariant;

use super::cached_blocks::CachedBlocks;
use super::frame_bounds::KnownFrames;
use crate::contract::EngineError;
use crate::disk::{DiskError, DiskErrorKind, DiskFile, DiskOperation, DiskResult};
use crate::logstor::config::SECTOR_BYTES;
use crate::logstor::format::{FrameHeader, HEADER_BYTES, Location, record_bytes, to_u64, to_usize};
use crate::logstor::hash_key::HashKey;
use crate::sync::{AtomicU64, Ordering};

/// A log file.
#[derive(Debug)]
pub(in crate::logstor) struct LogFile {
    pub(in crate::logstor) file: Arc<dyn DiskFile>,
    pub(in crate::logstor) path: PathBuf,
    /// The store was closed: from then on another store may write the file.
    pub(in crate::logstor) is_released: Arc<AtomicBool>,
}

/// One use of a segment, from when it was taken to when it is freed.
#[derive(Debug)]
pub(in crate::logstor) struct Segment {
    pub(in crate::logstor) id: u32,
    pub(in crate::logstor) generation: u64,
    pub(in crate::logstor) file: Arc<LogFile>,
    /// Offset in the file.
    pub(in crate::logstor) base: u64,
    pub(in crate::logstor) bytes: u32,
    live_bytes: AtomicU64,
    /// Timestamp of its first batch; 0 if unknown.
    since: AtomicU64,
    live_records: AtomicU64,
    /// Blocks that gets have read.
    pub(super) blocks: CachedBlocks,
    /// Frames that scans have found.
    pub(super) frames: KnownFrames,
    /// Segments of the other fragments, if a large record begins here.
    rest: OnceLock<Vec<Arc<Segment>>>,
}

impl Segment {
    pub(in crate::logstor) fn new(
        id: u32,
        generation: u64,
        file: Arc<LogFile>,
        base: u64,
        bytes: u32,
    ) -> Self {
        Self {
            id,
            generation,
            file,
            base,
            bytes,
            live_bytes: AtomicU64::new(0),
            since: AtomicU64::new(0),
            live_records: AtomicU64::new(0),
            blocks: CachedBlocks::default(),
            frames: KnownFrames::new(),
            rest: OnceLock::new(),
        }
    }

    /// Sets the generation, once it is known.
    pub(in crate::logstor) fn with_generation(self, generation: u64) -> Self {
        Self { generation, ..self }
    }

    /// Notes the timestamp of a batch. The first one counts.
    pub(in crate::logstor) fn note_time(&self, timestamp: u64) {
        // Of several concurrent batches any may count as the first.
        if self.since.load(Ordering::Relaxed) == 0 {
            self.since.store(timestamp, Ordering::Relaxed);
        }
    }

    /// Returns the time from its first batch to `now`. An unknown time counts from now on.
    pub(in crate::logstor) fn age(&self, now: u64) -> u64 {
        self.note_time(now);
        // The host's clock may have been set back.
        now.saturating_sub(self.since.load(Ordering::Relaxed))
    }

    /// Counts a reference.
    pub(in crate::logstor) fn add(&self, location: Location) {
        self.live_bytes
            .fetch_add(location.len.into(), Ordering::SeqCst);
        self.live_records.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts several references at once.
    pub(in crate::logstor) fn add_all(&self, bytes: u64, records: u64) {
        self.live_bytes.fetch_add(bytes, Ordering::SeqCst);
        self.live_records.fetch_add(records, Ordering::SeqCst);
    }

    /// Takes a reference off.
    pub(in crate::logstor) fn remove(&self, location: Location) {
        let len = u64::from(location.len);
        let bytes = self.live_bytes.fetch_sub(len, Ordering::SeqCst);
        let records = self.live_records.fetch_sub(1, Ordering::SeqCst);
        // A release build that took off too many keeps the segment: its count is not 0.
        checked_invariant!(
            records > 0 && bytes >= len,
            "L5",
            "a reference that is taken off was counted"
        );
    }

    pub(in crate::logstor) fn live_bytes(&self) -> u64 {
        self.live_bytes.load(Ordering::SeqCst)
    }

    pub(in crate::logstor) fn live_records(&self) -> u64 {
        self.live_records.load(Ordering::SeqCst)
    }

    /// Sets the segments of a large record's other fragments.
    pub(in crate::logstor) fn set_rest(&self, rest: Vec<Arc<Segment>>) {
        let is_first = self.rest.set(rest).is_ok();
        checked_invariant!(
            is_first,
            "L33",
            "the fragments of a large record are linked once"
        );
    }

    pub(in crate::logstor) fn rest(&self) -> &[Arc<Segment>] {
        self.rest.get().map_or(&[], Vec::as_slice)
    }

    /// Writes the header that says that the segment is free.
    pub(in crate::logstor) fn write_free(
        &self,
        header: &FrameHeader,
        hash_key: HashKey,
    ) -> DiskResult<()> {
        let mut sector = header.encode(hash_key).to_vec();
        // One sector only: an old header whose frame is partly overwritten would be damage.
        sector.resize(SECTOR_BYTES, 0);
        self.file.file.write_at(&[&sector], self.base)
    }

    /// Reads bytes of the segment, fewer where the file ends.
    pub(in crate::logstor) fn read(&self, offset: u32, len: usize) -> DiskResult<Vec<u8>> {
        let mut buffer = vec![0; len];
        let count = self
            .file
            .file
            .read_at(&mut buffer, self.base + u64::from(offset))?;
        buffer.truncate(count);
        self.require_use()?;
        Ok(buffer)
    }

    /// Same as [`Segment::read`], into a buffer.
    pub(in crate::logstor) fn read_into<'a>(
        &self,
        offset: u32,
        buffer: &'a mut [u8],
    ) -> DiskResult<&'a [u8]> {
        let count = self
            .file
            .file
            .read_at(buffer, self.base + u64::from(offset))?;
        self.require_use()?;
        Ok(buffer.get(..count).unwrap_or_default())
    }

    /// Checks, after a read, that the store was open or that the use has not ended since. The
    /// header of the next use is written before any of its records, so a record of another store is
    /// never read with this use's header.
    fn require_use(&self) -> DiskResult<()> {
        if !self.file.is_released.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut head = [0; to_usize(HEADER_BYTES)];
        self.file.file.read_at(&mut head, self.base)?;
        if FrameHeader::generation_in(&head) == Some(self.generation) {
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

    /// Reads a record's bytes, unverified.
    pub(in crate::logstor) fn read_record(&self, location: Location) -> DiskResult<Bytes> {
        let len = to_usize(location.len);
        if self.rest().is_empty() {
            return Ok(self.read(location.offset, len)?.into());
        }
        let piece_bytes = to_usize(self.bytes - HEADER_BYTES);
        let mut record = self.read(HEADER_BYTES, piece_bytes.min(len))?;
        for next in self.rest() {
            record
                .extend_from_slice(&next.read(HEADER_BYTES, piece_bytes.min(len - record.len()))?);
        }
        Ok(record.into())
    }

    /// Reads the large record that begins in this segment, unverified.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] if its fragments can't hold the length it
    /// claims.
    pub(in crate::logstor) fn read_large_record(&self) -> Result<(Location, Bytes), EngineError> {
        let head = self.read(HEADER_BYTES, 8)?;
        let space = (to_u64(self.rest().len()) + 1) * u64::from(self.bytes - HEADER_BYTES);
        let len = record_bytes(&head)
            .filter(|&len| u64::from(len) <= space)
            .ok_or_else(|| self.corrupt(HEADER_BYTES, "a damaged large record"))?;
        let location = Location {
            segment: self.id,
            offset: HEADER_BYTES,
            len,
        };
        Ok((location, self.read_record(location)?))
    }

    pub(in crate::logstor) fn corrupt(&self, offset: u32, what: &str) -> EngineError {
        EngineError::Corrupt {
            path: self.file.path.clone(),
            offset: self.base + u64::from(offset),
            what: what.to_owned(),
        }
    }
}
