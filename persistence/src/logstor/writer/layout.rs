//! Where a group's records go: encoded batches go in, frames and locations come out. Nothing is written here.
//!
//! Always: no record crosses the end of a segment; what does not fit into a whole one has segments of its own. A layout
//! that is given up leaves the segments it took as they were.

use std::collections::BTreeMap;
use std::sync::Arc;

use lowtide_checkpoint::{Seqno, Vbid};

use crate::contract::EngineError;

use super::super::config::BLOCK_BYTES;
use super::super::encode::Encoded;
use super::super::entry;
use super::super::frame::{FrameKind, HEADER_BYTES};
use super::super::log::{Log, Outgoing};
use super::super::segment::{Location, Segment};
use super::super::segments::{Origin, Purpose};

/// Whose records a segment has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Nobody,
    One(Vbid),
    Many,
}

impl Owner {
    fn with(self, vb: Vbid) -> Self {
        match self {
            Self::Nobody => Self::One(vb),
            Self::One(only) if only == vb => self,
            Self::One(_) | Self::Many => Self::Many,
        }
    }
}

/// The segment commits are written to.
#[derive(Clone, Debug)]
pub(super) struct Active {
    segment: Arc<Segment>,
    used: u32,
    owner: Owner,
}

impl Active {
    /// The segment, if several vBuckets have records in it.
    pub(super) fn mixed(&self) -> Option<&Segment> {
        (self.owner == Owner::Many).then_some(&*self.segment)
    }

    /// Its segment, and up to where that is written.
    pub(super) fn end(&self) -> (u32, u32) {
        (self.segment.id, self.used)
    }

    /// Nothing more is written to it. One with records of a single vBucket is that vBucket's: there is nothing to
    /// separate.
    pub(super) fn close(&self, log: &Log) {
        let owner = match self.owner {
            Owner::One(vb) => Some(vb),
            Owner::Nobody | Owner::Many => None,
        };
        log.shared
            .counters
            .segments_adopted
            .add(u64::from(owner.is_some()));
        log.segments
            .close(self.segment.id, self.used, Origin::Commits, owner);
    }
}

/// Where a batch's records lie.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) rows: Vec<Location>,
    pub(super) state: Location,
    pub(super) revision: u64,
}

#[derive(Debug)]
pub(super) struct Layout<'a> {
    log: &'a Log,
    purpose: Purpose,
    pub(super) frames: Vec<Outgoing>,
    taken: Vec<Arc<Segment>>,
    /// The segment being filled; its frame, if this group has one in it, is the one at the index.
    current: Option<(Active, Option<usize>)>,
    full: Vec<Active>,
    /// What there is to be written, about.
    expected_bytes: usize,
    /// Of the batch that is placed.
    timestamp: u64,
    /// Each large record's segments, and whose it is.
    large: Vec<(Vec<Arc<Segment>>, Vbid)>,
}

impl<'a> Layout<'a> {
    pub(super) fn new(log: &'a Log, active: Option<&Active>, purpose: Purpose) -> Self {
        let current = active.map(|active| (active.clone(), None));
        let (frames, taken, full, large) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            log,
            purpose,
            frames,
            taken,
            current,
            full,
            expected_bytes: 0,
            timestamp: 0,
            large,
        }
    }

    /// Finds a place for every record, and each vBucket's state behind its items.
    ///
    /// # Errors
    /// As [`super::super::segments::Segments::take`].
    pub(super) fn place_all(&mut self, batches: &[Encoded]) -> Result<Vec<Places>, EngineError> {
        self.expected_bytes = batches
            .iter()
            .map(|batch| batch.bytes.len() + batch.state_bytes.len() + 64)
            .sum::<usize>();
        let mut revisions: BTreeMap<Vbid, u64> = BTreeMap::new();
        let mut all = Vec::with_capacity(batches.len());
        let mut record = Vec::new();
        for batch in batches {
            let vb = batch.branch.vb;
            self.timestamp = batch.timestamp;
            let mut rows = Vec::with_capacity(batch.rows.len());
            for row in &batch.rows {
                let end = row.at.saturating_add(row.len as usize);
                // Anything else would be written as a record of nothing.
                let record = batch.bytes.get(row.at..end);
                let record = record
                    .ok_or_else(|| self.log.shared.inconsistent("a record without its bytes"))?;
                rows.push(self.place(record, row.len, vb)?);
            }
            let revision = revisions
                .entry(vb)
                .or_insert_with(|| batch.branch.revision());
            let path = || self.log.shared.dir.clone();
            let used_up = || EngineError::NumbersUsedUp {
                path: path(),
                what: "revisions of a state",
            };
            *revision = revision.checked_add(1).ok_or_else(used_up)?;
            let high = batch.last.unwrap_or_else(|| Seqno(batch.branch.high()));
            record.clear();
            let len = entry::put_state(
                &mut record,
                batch.branch.epoch(),
                high,
                *revision,
                &batch.state_bytes,
            );
            let state = self.place(&record, len, vb)?;
            all.push(Places {
                rows,
                state,
                revision: *revision,
            });
        }
        Ok(all)
    }

    fn place(&mut self, record: &[u8], len: u32, vb: Vbid) -> Result<Location, EngineError> {
        let segment_bytes = self.log.segments.geometry().segment_bytes;
        let record_bytes = record.len() as u32;
        if record_bytes > segment_bytes - HEADER_BYTES {
            return self.place_large(record, len, vb);
        }
        loop {
            if let Some((active, frame)) = &mut self.current {
                let at = match frame.and_then(|frame| self.frames.get(frame)) {
                    Some(frame) => frame.next_offset(),
                    None => active.used + HEADER_BYTES,
                };
                if at.saturating_add(record_bytes) <= segment_bytes {
                    active.owner = active.owner.with(vb);
                    active.segment.note_time(self.timestamp);
                    let number = *frame.get_or_insert_with(|| {
                        let segment = Arc::clone(&active.segment);
                        let mut frame = Outgoing::new(segment, active.used, FrameKind::Commit);
                        frame.expect(self.expected_bytes);
                        self.frames.push(frame);
                        self.frames.len() - 1
                    });
                    if let Some(frame) = self.frames.get_mut(number) {
                        frame.bytes.extend_from_slice(record);
                    }
                    return Ok(Location {
                        segment: active.segment.id,
                        offset: at,
                        len,
                    });
                }
            }
            self.next_segment()?;
        }
    }

    fn next_segment(&mut self) -> Result<(), EngineError> {
        let segment = self.take(1)?.pop();
        if let Some((active, frame)) = self.current.take() {
            self.full.push(self.as_written(active, frame));
        }
        self.current = segment.map(|segment| {
            (
                Active {
                    segment,
                    used: 0,
                    owner: Owner::Nobody,
                },
                None,
            )
        });
        Ok(())
    }

    fn take(&mut self, count: u32) -> Result<Vec<Arc<Segment>>, EngineError> {
        let taken = self.log.segments.take(count, self.purpose)?;
        self.taken.extend(taken.iter().cloned());
        Ok(taken)
    }

    fn as_written(&self, mut active: Active, frame: Option<usize>) -> Active {
        if let Some(frame) = frame.and_then(|frame| self.frames.get(frame)) {
            active.used = frame.end();
        }
        active
    }

    fn place_large(&mut self, record: &[u8], len: u32, vb: Vbid) -> Result<Location, EngineError> {
        let piece_bytes = (self.log.segments.geometry().segment_bytes - HEADER_BYTES) as usize;
        let pieces = record.len().div_ceil(piece_bytes) as u32;
        let segments = self.take(pieces)?;
        for ((number, segment), piece) in (0..).zip(&segments).zip(record.chunks(piece_bytes)) {
            let mut frame = Outgoing::new(Arc::clone(segment), 0, FrameKind::Large);
            frame.piece = (number, pieces);
            frame.bytes.extend_from_slice(piece);
            self.frames.push(frame);
        }
        let first = segments.first().map_or(0, |segment| segment.id);
        self.large.push((segments, vb));
        Ok(Location {
            segment: first,
            offset: HEADER_BYTES,
            len,
        })
    }

    /// Gives back what it took.
    pub(super) fn give_up(&mut self) {
        self.frames.clear();
        self.large.clear();
        self.log.segments.give_back(std::mem::take(&mut self.taken));
    }

    /// Readers of large records are told where they go on.
    pub(super) fn name_large(&self) {
        for (segments, _) in &self.large {
            if let Some((first, rest)) = segments.split_first() {
                first.set_rest(rest.to_vec());
            }
        }
    }

    /// All is in the index: closes what is full. What the next group goes on with.
    pub(super) fn finish(mut self) -> Option<Active> {
        let current = self
            .current
            .take()
            .map(|(active, frame)| self.as_written(active, frame));
        self.full.iter().for_each(|full| full.close(self.log));
        for (segments, vb) in &self.large {
            for (number, segment) in segments.iter().enumerate() {
                let origin = Origin::Large { first: number == 0 };
                self.log
                    .segments
                    .close(segment.id, segment.bytes, origin, Some(*vb));
            }
        }
        // Where not even an empty batch fits, the next one would only close it.
        current.filter(|active| {
            let is_full = active.used + BLOCK_BYTES > active.segment.bytes;
            if is_full {
                active.close(self.log);
            }
            !is_full
        })
    }

    /// The append failed: every segment it was to touch ends where it began.
    pub(super) fn close_failed(&self) {
        let mut ends: BTreeMap<u32, Active> = BTreeMap::new();
        let current = self.current.iter().map(|(active, _)| active);
        // What is full may have its frame's end in it; where that begins is what counts.
        for active in self.full.iter().chain(current) {
            ends.insert(active.segment.id, active.clone());
        }
        for frame in &self.frames {
            let owner = ends
                .get(&frame.segment.id)
                .map_or(Owner::Many, |active| active.owner);
            let segment = Arc::clone(&frame.segment);
            ends.insert(
                segment.id,
                Active {
                    segment,
                    used: frame.offset,
                    owner,
                },
            );
        }
        ends.values().for_each(|active| active.close(self.log));
    }
}
