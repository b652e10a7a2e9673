//! The placement of a group: every record gets a location in a frame. Nothing is written here.
//!
//! # Invariants
//!
//! No record crosses the end of a segment; a record that is larger than a segment has segments of
//! its own. An abandoned placement returns the segments it took.

use std::collections::BTreeMap;
use std::sync::Arc;

use lowtide_checkpoint::internal::{Invariant, Violation};
use lowtide_checkpoint::{Seqno, Vbid};

use super::active_segment::{ActiveSegment, Owner};
use super::encoded_batch::EncodedBatch;
use crate::contract::EngineError;
use crate::logstor::config::BLOCK_BYTES;
use crate::logstor::format::{
    Fingerprint, FrameKind, HEADER_BYTES, Location, encode_state_record, to_u32, to_usize,
};
use crate::logstor::log::{
    FrameBuilder, FrameSlot, Log, OpenSegment, Origin, Segment, SegmentPurpose,
};

/// Bytes of headers that a batch adds to its records, approximately.
const BATCH_OVERHEAD_BYTES: usize = 64;

/// The locations of a batch's records.
#[derive(Debug)]
pub(super) struct BatchPlaces {
    pub(super) rows: Vec<Location>,
    pub(super) state: Location,
    pub(super) revision: u64,
}

#[derive(Debug)]
pub(super) struct Placement<'a> {
    log: &'a Log,
    purpose: SegmentPurpose,
    pub(super) frames: FrameBuilder,
    taken: Vec<Arc<Segment>>,
    /// The segment that is being filled, and this group's frame in it.
    current: Option<(ActiveSegment, FrameSlot)>,
    filled: Vec<ActiveSegment>,
    /// Timestamp of the batch that is being placed.
    timestamp: u64,
    /// Segments of each large record, and its vBucket.
    large: Vec<(Vec<Arc<Segment>>, Vbid)>,
}

impl<'a> Placement<'a> {
    pub(super) fn new(
        log: &'a Log,
        active: Option<&ActiveSegment>,
        purpose: SegmentPurpose,
    ) -> Self {
        Self {
            log,
            purpose,
            frames: FrameBuilder::default(),
            taken: Vec::new(),
            current: active.map(|active| (active.clone(), FrameSlot::default())),
            filled: Vec::new(),
            timestamp: 0,
            large: Vec::new(),
        }
    }

    /// Places every record of the batches, and each vBucket's state behind its items.
    ///
    /// # Errors
    /// Same as [`SegmentTable::take`](crate::logstor::log::SegmentTable::take);
    /// [`EngineError::NumbersUsedUp`] if no revision of a state is left.
    pub(super) fn place_all(
        &mut self,
        batches: &[EncodedBatch],
    ) -> Result<Vec<BatchPlaces>, EngineError> {
        let bytes = batches
            .iter()
            .map(|batch| batch.bytes.len() + batch.state_bytes.len() + BATCH_OVERHEAD_BYTES);
        self.frames.expect(bytes.sum());
        let mut revisions: BTreeMap<Vbid, u64> = BTreeMap::new();
        let mut all = Vec::with_capacity(batches.len());
        let mut record = Vec::new();
        for batch in batches {
            let vb = batch.vbucket.vb;
            self.timestamp = batch.timestamp;
            let mut rows = Vec::with_capacity(batch.rows.len());
            for row in &batch.rows {
                let end = row.at.saturating_add(to_usize(row.len));
                // Anything else would be written as an empty record.
                let record = batch
                    .bytes
                    .get(row.at..end)
                    .invariant("L13", "an encoded row has its bytes")
                    .map_err(|violation| self.internal(violation))?;
                rows.push(self.place(record, vb)?);
            }
            let revision = revisions
                .entry(vb)
                .or_insert_with(|| batch.vbucket.revision());
            let used_up = || EngineError::NumbersUsedUp {
                path: self.log.context.dir.clone(),
                what: "revisions of a state",
            };
            *revision = revision.checked_add(1).ok_or_else(used_up)?;
            let high = batch.last.unwrap_or_else(|| Seqno(batch.vbucket.high()));
            record.clear();
            encode_state_record(
                &mut record,
                batch.vbucket.epoch(),
                high,
                *revision,
                &batch.state_bytes,
            );
            let state = self.place(&record, vb)?;
            all.push(BatchPlaces {
                rows,
                state,
                revision: *revision,
            });
        }
        Ok(all)
    }

    fn internal(&self, violation: Violation) -> EngineError {
        self.log.context.internal(violation)
    }

    /// Returns the bytes of records that fit into a segment.
    fn room(&self) -> usize {
        to_usize(self.log.segments.geometry().segment_bytes - HEADER_BYTES)
    }

    fn place(&mut self, record: &[u8], vb: Vbid) -> Result<Location, EngineError> {
        if record.len() > self.room() {
            return self.place_large(record, vb);
        }
        loop {
            if let Some((active, slot)) = &mut self.current {
                let frames = &mut self.frames;
                let placed = frames.place(FrameKind::Commit, &active.open, slot, record);
                if let Some(location) = placed {
                    active.owner = active.owner.with(vb);
                    active.open.segment.note_time(self.timestamp);
                    return Ok(location);
                }
            }
            self.next_segment()?;
        }
    }

    fn next_segment(&mut self) -> Result<(), EngineError> {
        // Without one no record would ever find a place.
        let segment = self
            .take(1)?
            .pop()
            .invariant("L8", "as many segments are taken as were asked for")
            .map_err(|violation| self.internal(violation))?;
        if let Some((active, slot)) = self.current.take() {
            self.filled.push(self.as_written(active, slot));
        }
        let active = ActiveSegment::new(OpenSegment::new(segment));
        self.current = Some((active, FrameSlot::default()));
        Ok(())
    }

    fn take(&mut self, count: u32) -> Result<Vec<Arc<Segment>>, EngineError> {
        let taken = self.log.segments.take(count, self.purpose)?;
        self.taken.extend(taken.iter().cloned());
        Ok(taken)
    }

    fn as_written(&self, mut active: ActiveSegment, slot: FrameSlot) -> ActiveSegment {
        active.open.used = self.frames.end(&active.open, slot);
        active
    }

    fn place_large(&mut self, record: &[u8], vb: Vbid) -> Result<Location, EngineError> {
        let segments = self.take(to_u32(record.len().div_ceil(self.room())))?;
        let first = segments
            .first()
            .map(|segment| segment.id)
            .invariant("L8", "as many segments are taken as were asked for")
            .map_err(|violation| self.internal(violation))?;
        self.frames.place_large(&segments, record);
        self.large.push((segments, vb));
        Ok(Location {
            segment: first,
            offset: HEADER_BYTES,
            len: to_u32(record.len()),
        })
    }

    /// Returns whether a batch's records are where its places say: each with its key's fingerprint
    /// and its seqno, and the state with its revision. For checks.
    pub(super) fn holds(&self, batch: &EncodedBatch, places: &BatchPlaces) -> bool {
        let hash_key = self.log.context.hash_key;
        let epoch = batch.vbucket.epoch();
        let holds_item = |fingerprint: Fingerprint, seqno: u64, at: Location| {
            // The fragments of a large record are compared when they are read.
            if to_usize(at.len) > self.room() {
                return true;
            }
            self.frames.record_at(at).is_some_and(|found| {
                found.operation.is_some_and(|operation| {
                    Fingerprint::of_record(hash_key, operation, found.key) == fingerprint
                }) && (found.epoch, found.seqno) == (epoch, seqno)
            })
        };
        let holds_state = self.frames.record_at(places.state).is_some_and(|found| {
            found.operation.is_none() && (found.epoch, found.cas) == (epoch, places.revision)
        });
        holds_state
            && batch.rows.len() == places.rows.len()
            && batch
                .rows
                .iter()
                .zip(&places.rows)
                .all(|(row, at)| holds_item(row.fingerprint, row.seqno, *at))
    }

    /// Returns the segments it took.
    pub(super) fn abandon(&mut self) {
        self.frames.clear();
        self.large.clear();
        let taken = std::mem::take(&mut self.taken);
        self.log.segments.return_unused(taken);
    }

    /// Links the first segment of each large record to the others, so that readers find them.
    pub(super) fn link_fragments(&self) {
        for (segments, _) in &self.large {
            if let Some((first, rest)) = segments.split_first() {
                first.set_rest(rest.to_vec());
            }
        }
    }

    /// Closes the filled segments, once all records are in the index. Returns the segment for the
    /// next group.
    pub(super) fn finish(mut self) -> Option<ActiveSegment> {
        let current = self
            .current
            .take()
            .map(|(active, slot)| self.as_written(active, slot));
        self.filled.iter().for_each(|filled| filled.close(self.log));
        for (segments, vb) in &self.large {
            for (index, segment) in segments.iter().enumerate() {
                let origin = Origin::Large { first: index == 0 };
                self.log
                    .segments
                    .close(segment.id, segment.bytes, origin, Some(*vb));
            }
        }
        // The next group could only close a segment that has no space for an empty batch.
        current.filter(|active| {
            let is_full = active.open.used + BLOCK_BYTES > active.open.segment.bytes;
            if is_full {
                active.close(self.log);
            }
            !is_full
        })
    }

    /// Closes all segments of an append that failed, each where the append began.
    pub(super) fn close_failed(&self) {
        let mut ends: BTreeMap<u32, ActiveSegment> = BTreeMap::new();
        let current = self.current.iter().map(|(active, _)| active);
        // A filled segment has the end of its frame. The start of the frame is what counts.
        for active in self.filled.iter().chain(current) {
            ends.insert(active.open.segment.id, active.clone());
        }
        for frame in self.frames.frames() {
            let id = frame.segment.id;
            let owner = ends.get(&id).map_or(Owner::Many, |active| active.owner);
            let open = OpenSegment {
                segment: Arc::clone(&frame.segment),
                used: frame.offset,
            };
            ends.insert(id, ActiveSegment { open, owner });
        }
        ends.values().for_each(|active| active.close(self.log));
    }
}
