//! The survey of all segments of a store, damaged or not: their records, states and uses. Damage is
//! reported on the way.
//!
//! # Invariants
//!
//! Of a sound store exactly those records are taken that recovery takes. Which appends happened is
//! determined here by rules of its own, so that the check is independent of recovery. Where
//! something is damaged, everything that is sound by its own checksum is still taken.

mod frames;
mod records;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lowtide_checkpoint::VBucketState;

use super::finding::LogObserver;
use super::frame_reader::FoundFrames;
use super::source::StoreSource;
use crate::contract::EngineError;
use crate::logstor::format::{CollectionHighSeqnos, Fingerprint, FrameKind, Location};
use crate::logstor::index_image::CoveredSegment;
use crate::logstor::log::Segment;

/// An item's record.
#[derive(Clone, Copy, Debug)]
pub(super) struct SurveyedRecord {
    pub(super) epoch: u32,
    pub(super) fingerprint: Fingerprint,
    pub(super) seqno: u64,
    pub(super) at: Location,
    /// Its checksum: copies differ at most in their epoch.
    pub(super) crc: u32,
    pub(super) tombstone: bool,
    /// Its collection, if it is in one.
    pub(super) collection: Option<u32>,
    /// Number of its append.
    pub(super) append_seqno: u64,
}

/// Returns the highest seqno of each collection of these records.
pub(super) fn high_seqnos_of<'a>(
    records: impl IntoIterator<Item = &'a SurveyedRecord>,
) -> CollectionHighSeqnos {
    records
        .into_iter()
        .filter_map(|record| Some((record.collection?, record.seqno)))
        .collect()
}

/// The record of a vBucket's state.
#[derive(Clone, Debug)]
pub(super) struct SurveyedState {
    pub(super) epoch: u32,
    pub(super) revision: u64,
    pub(super) high: u64,
    pub(super) at: Location,
    /// `None` if it can't be read.
    pub(super) state: Option<VBucketState>,
    /// Number of its append.
    pub(super) append_seqno: u64,
}

/// A segment of the store.
#[derive(Debug)]
pub(super) struct SurveyedSegment {
    pub(super) segment: Arc<Segment>,
    pub(super) is_free: bool,
    /// Kind of the first frame that counts.
    pub(super) kind: Option<FrameKind>,
    pub(super) frames: u64,
    pub(super) records: u64,
    /// End of its frames.
    pub(super) end: u32,
    pub(super) is_damaged: bool,
    /// Epochs of its records.
    pub(super) epochs: BTreeSet<u32>,
    /// Bytes that a write to it would change.
    trace: Vec<u8>,
}

/// The segments, records and states of a store.
#[derive(Debug, Default)]
pub(super) struct SegmentSurvey {
    pub(super) segments: BTreeMap<u32, SurveyedSegment>,
    pub(super) records: Vec<SurveyedRecord>,
    pub(super) states: Vec<SurveyedState>,
    pub(super) append_seqno_max: u64,
    /// Appends up to this one are not in doubt.
    pub(super) settled: u64,
}

/// Segments with frames, and their frames.
type Uses = BTreeMap<u32, (Arc<Segment>, FoundFrames)>;

impl SegmentSurvey {
    /// Reads every segment twice: which appends are whole is known only after all headers.
    pub(super) fn of(
        source: &StoreSource,
        observer: &mut dyn LogObserver,
    ) -> Result<Self, EngineError> {
        let mut survey = Self::default();
        let mut uses = Uses::new();
        let total: u64 = source
            .files
            .iter()
            .map(|file| u64::from(file.segments))
            .sum();
        for (done, segment) in (0..).zip(source.segments()) {
            survey.take_frames(source, segment, &mut uses, observer)?;
            observer.progress(done + 1, total * 2);
        }
        let incomplete = survey.judge(&uses, observer);
        for (done, (segment, found)) in (0..).zip(uses.values()) {
            survey.take_records(source, segment, found, &incomplete, observer)?;
            observer.progress(total + done + 1, total * 2);
        }
        survey.take_large(source, &uses, &incomplete, observer)?;
        Ok(survey)
    }

    /// Returns the segment of a record.
    pub(super) fn segment_of(&self, at: Location) -> Option<&Arc<Segment>> {
        self.segments.get(&at.segment).map(|found| &found.segment)
    }

    /// Returns whether the covered use of a segment goes on.
    pub(super) fn is_current(&self, covered: &CoveredSegment) -> bool {
        let found = self.segments.get(&covered.segment);
        found.is_some_and(|found| !found.is_free && found.segment.generation == covered.generation)
    }

    fn mark_damaged(&mut self, segment: u32) {
        if let Some(found) = self.segments.get_mut(&segment) {
            found.is_damaged = true;
        }
    }

    /// Returns whether every segment is unchanged.
    pub(super) fn is_unchanged(&self) -> Result<bool, EngineError> {
        for found in self.segments.values() {
            if StoreSource::trace(&found.segment, found.end)? != found.trace {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
