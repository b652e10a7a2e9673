//! Appending to the log: frames go in, and are durable when it returns; or given up for good.
//!
//! Always (L2): appends have ascending numbers; each frame says below which number none is in doubt. What failed to be
//! written is cut off by an edit of the manifest, durable before anything later is acknowledged, so that it never comes
//! back; where that can't be done, and after a failed sync, the store takes no more writes (L4).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::contract::EngineError;
use crate::sync::Mutex;

use super::entry;
use super::frame::{FrameKind, HEADER_BYTES, Header, frame_bytes};
use super::manifest::{Edit, Manifest, Retired};
use super::segment::{LogFile, Segment};
use super::segments::Segments;
use super::shared::Shared;

/// A frame to be written.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) segment: Arc<Segment>,
    /// Where in the segment.
    pub(super) offset: u32,
    pub(super) kind: FrameKind,
    /// Of a large record: which piece of how many.
    pub(super) piece: (u32, u32),
    /// Room for the header, then the records.
    pub(super) bytes: Vec<u8>,
}

impl Outgoing {
    pub(super) fn new(segment: Arc<Segment>, offset: u32, kind: FrameKind) -> Self {
        Self {
            segment,
            offset,
            kind,
            piece: (0, 0),
            bytes: vec![0; HEADER_BYTES as usize],
        }
    }

    /// Makes room for so many bytes more.
    pub(super) fn expect(&mut self, bytes: usize) {
        // With its padding: it would be copied only to be padded.
        let frame = frame_bytes(u32::try_from(bytes).unwrap_or(u32::MAX));
        let more = frame.min(self.segment.bytes - self.offset) as usize;
        self.bytes
            .reserve_exact(more.saturating_sub(self.bytes.len()));
    }

    /// Where the next record will lie in the segment.
    pub(super) fn next_offset(&self) -> u32 {
        self.offset + self.bytes.len() as u32
    }

    /// Where the segment is written to afterwards.
    pub(super) fn end(&self) -> u32 {
        self.offset + frame_bytes(self.bytes.len() as u32 - HEADER_BYTES)
    }
}

/// The segments, who writes them next, and the manifest.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) shared: Arc<Shared>,
    pub(super) segments: Segments,
    pub(super) manifest: Mutex<Manifest>,
    sequence: Mutex<Sequence>,
}

#[derive(Debug)]
struct Sequence {
    next: u64,
    in_flight: BTreeSet<u64>,
}

impl Sequence {
    fn stable(&self) -> u64 {
        self.in_flight
            .first()
            .copied()
            .unwrap_or(self.next)
            .saturating_sub(1)
    }
}

impl Log {
    pub(super) fn new(
        shared: Arc<Shared>,
        segments: Segments,
        manifest: Manifest,
        next: u64,
    ) -> Self {
        let sequence = Mutex::new(Sequence {
            next,
            in_flight: BTreeSet::new(),
        });
        Self {
            shared,
            segments,
            manifest: Mutex::new(manifest),
            sequence,
        }
    }

    /// Frees segments, as [`Segments::invalidate`].
    ///
    /// # Errors
    /// As there.
    pub(super) fn invalidate(
        &self,
        segments: &[Arc<Segment>],
    ) -> Result<Vec<Arc<Segment>>, EngineError> {
        self.shared.check_writable()?;
        let (number, stable) = self.begin()?;
        let freed = self.segments.invalidate(segments, number, stable);
        // What of it failed has no effect, and what was written is durable, or the store poisoned.
        self.settle(number);
        freed
    }

    /// The last append there was. Where nobody appends, all up to there are settled.
    pub(super) fn last_number(&self) -> u64 {
        self.sequence.lock().next.saturating_sub(1)
    }

    /// Leaves so many numbers, for tests.
    #[cfg(test)]
    pub(super) fn leave_numbers(&self, count: u64) {
        self.sequence.lock().next = u64::MAX - count;
    }

    /// A number, and up to which one no append is in doubt.
    fn begin(&self) -> Result<(u64, u64), EngineError> {
        let mut sequence = self.sequence.lock();
        let stable = sequence.stable();
        let number = sequence.next;
        let used_up = || EngineError::NumbersUsedUp {
            path: self.shared.dir.clone(),
            what: "numbers of appends",
        };
        sequence.next = number.checked_add(1).ok_or_else(used_up)?;
        sequence.in_flight.insert(number);
        Ok((number, stable))
    }

    /// An append is durable, or given up for good.
    fn settle(&self, number: u64) {
        self.sequence.lock().in_flight.remove(&number);
    }

    /// Makes an edit of the manifest durable.
    ///
    /// # Errors
    /// As [`Manifest::append`]; [`EngineError::Poisoned`].
    pub(super) fn edit(&self, edit: &Edit) -> Result<(), EngineError> {
        self.shared.check_writable()?;
        self.manifest.lock().append(&self.shared, edit)
    }

    /// Writes frames and syncs them: all together are one append.
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Poisoned`]: none of it will be there. The segments must not be written any
    /// more.
    pub(super) fn append(&self, frames: &mut [Outgoing]) -> Result<(), EngineError> {
        self.shared.check_writable()?;
        let (number, stable) = self.begin()?;
        let parts = frames.len() as u32;
        for part in 0..frames.len() {
            let Some(frame) = frames.get_mut(part) else {
                continue;
            };
            frame.seal(number, stable, part as u32, parts, self.shared.hash_key);
            let at = frame.segment.base + u64::from(frame.offset);
            if let Err(error) = frame.segment.file.file.write_at(&[&frame.bytes], at) {
                self.retire(frames.get(..=part).unwrap_or_default(), number);
                return Err(error.into());
            }
            self.shared
                .counters
                .written_bytes
                .add(frame.bytes.len() as u64);
        }
        let mut files: BTreeMap<&PathBuf, &LogFile> = BTreeMap::new();
        files.extend(
            frames
                .iter()
                .map(|frame| (&frame.segment.file.path, &*frame.segment.file)),
        );
        for (path, file) in files {
            self.shared.sync(&*file.file, path)?;
        }
        self.settle(number);
        Ok(())
    }

    /// Cuts off what a failed append may have left.
    fn retire(&self, frames: &[Outgoing], number: u64) {
        let retired = frames.iter().map(|frame| Retired {
            segment: frame.segment.id,
            generation: frame.segment.generation,
            bytes: frame.offset,
        });
        let edit = Edit::Retire(retired.collect());
        match self.manifest.lock().append(&self.shared, &edit) {
            Ok(()) => self.settle(number),
            Err(_) => {
                if let Some(frame) = frames.last() {
                    self.shared.poison(&frame.segment.file.path);
                }
            }
        }
    }
}

impl Outgoing {
    /// Fills in the header, and pads the frame.
    fn seal(&mut self, number: u64, stable: u64, part: u32, parts: u32, hash_key: [u64; 2]) {
        let payload = self.bytes.get(HEADER_BYTES as usize..).unwrap_or_default();
        let (piece, pieces) = match self.kind {
            FrameKind::Large => self.piece,
            _ => entry::epochs(payload),
        };
        let header = Header {
            kind: self.kind,
            generation: self.segment.generation,
            number,
            stable,
            part,
            parts,
            piece,
            pieces,
            payload_bytes: payload.len() as u32,
            payload_crc: crc32c::crc32c(payload),
            segment: self.segment.id,
        };
        if let Some(place) = self.bytes.get_mut(..HEADER_BYTES as usize) {
            place.copy_from_slice(&header.encode(hash_key));
        }
        self.bytes.resize(header.frame_bytes() as usize, 0);
    }
}
