//! The scan of one segment: its frames, records and states, each with its append.
//!
//! # Invariants
//!
//! Every record it returns is sound by a checksum. The result depends on this segment alone.

use super::segment::Segment;
use crate::contract::EngineError;
use crate::logstor::format::{
    CollectionHighSeqnos, Fingerprint, FrameHeader, FrameKind, HEADER_BYTES, Location, RecordView,
    ScannedFrame, collection_of_record, payload_of, scan_frames, verified_records_in,
};
use crate::logstor::hash_key::HashKey;

/// An item's record.
#[derive(Clone, Copy, Debug)]
pub(in crate::logstor) struct ScannedRecord {
    pub(in crate::logstor) epoch: u32,
    pub(in crate::logstor) fingerprint: Fingerprint,
    pub(in crate::logstor) seqno: u64,
    pub(in crate::logstor) at: Location,
    pub(in crate::logstor) tombstone: bool,
    /// Its collection, if it is in one.
    pub(in crate::logstor) collection: Option<u32>,
    /// Number of its append.
    pub(in crate::logstor) append_seqno: u64,
}

/// Returns the highest seqno of each collection of these records.
pub(in crate::logstor) fn high_seqnos_of(records: &[ScannedRecord]) -> CollectionHighSeqnos {
    records
        .iter()
        .filter_map(|record| Some((record.collection?, record.seqno)))
        .collect()
}

/// A vBucket's state.
#[derive(Clone, Debug)]
pub(in crate::logstor) struct ScannedState {
    pub(in crate::logstor) epoch: u32,
    pub(in crate::logstor) revision: u64,
    pub(in crate::logstor) high: u64,
    pub(in crate::logstor) at: Location,
    pub(in crate::logstor) bytes: Vec<u8>,
    /// Number of its append.
    pub(in crate::logstor) append_seqno: u64,
}

impl ScannedState {
    /// Returns whether it is the later one of two states of an epoch. Of copies the one written
    /// last is later.
    pub(in crate::logstor) fn is_after(&self, other: &Self) -> bool {
        (self.revision, self.append_seqno) > (other.revision, other.append_seqno)
    }
}

/// A segment's frames, and the records in those that are whole. Large records are not among them,
/// only their frames.
#[derive(Debug, Default)]
pub(in crate::logstor) struct ScannedSegment {
    /// Generation of this use; `None` if the segment was never used.
    pub(in crate::logstor) generation: Option<u64>,
    /// The header that says that the segment is free, if it is.
    pub(in crate::logstor) free: Option<FrameHeader>,
    pub(in crate::logstor) frames: Vec<ScannedFrame>,
    pub(in crate::logstor) records: Vec<ScannedRecord>,
    pub(in crate::logstor) states: Vec<ScannedState>,
}

/// Scans a segment's bytes. `skip` is a generation and an offset: in a use of that generation,
/// frames before the offset are skipped. `valid_bytes` returns the end of a use that was cut off,
/// same as for [`scan_frames`].
///
/// # Errors
/// [`EngineError::Corrupt`] if a frame lies behind a damaged one, or a whole frame has a damaged
/// record.
pub(in crate::logstor) fn scan_segment(
    segment: &Segment,
    bytes: &[u8],
    hash_key: HashKey,
    skip: Option<(u64, u32)>,
    valid_bytes: impl Fn(u64) -> Option<u32>,
) -> Result<ScannedSegment, EngineError> {
    let scanned = scan_frames(bytes, segment.id, hash_key, valid_bytes);
    if let Some(at) = scanned.beyond_damage {
        return Err(segment.corrupt(at, "a frame is damaged, here or before"));
    }
    let mut found = ScannedSegment {
        generation: scanned.generation,
        free: scanned.free,
        frames: scanned.frames,
        ..ScannedSegment::default()
    };
    if let Some((_, from)) = skip.filter(|(generation, _)| found.generation == Some(*generation)) {
        found.frames.retain(|frame| frame.offset >= from);
    }
    for frame in &found.frames {
        if !frame.is_whole || frame.header.kind == FrameKind::Large {
            continue;
        }
        let payload = payload_of(bytes, frame.offset, &frame.header)
            .ok_or_else(|| segment.corrupt(frame.offset, "a frame without its records"))?;
        for record in verified_records_in(payload, frame.offset) {
            let (offset, view) =
                record.ok_or_else(|| segment.corrupt(frame.offset, "a damaged record"))?;
            let at = Location {
                segment: segment.id,
                offset,
                len: view.len,
            };
            let append_seqno = frame.header.append_seqno;
            match record_of(hash_key, append_seqno, at, &view) {
                Some(record) => found.records.push(record),
                None => found.states.push(state_of(append_seqno, at, &view)),
            }
        }
    }
    Ok(found)
}

/// Scans the large record that begins in `segment`. Reads all of it.
///
/// # Errors
/// [`EngineError::Disk`]; [`EngineError::Corrupt`] if the record is not sound.
pub(in crate::logstor) fn scan_large_record(
    segment: &Segment,
    append_seqno: u64,
    hash_key: HashKey,
) -> Result<ScannedRecord, EngineError> {
    let corrupt = || segment.corrupt(HEADER_BYTES, "a damaged large record");
    let (at, record) = segment.read_large_record()?;
    let view = RecordView::verified(&record).ok_or_else(corrupt)?;
    record_of(hash_key, append_seqno, at, &view).ok_or_else(corrupt)
}

/// Returns the record of an item; `None` for a state.
fn record_of(
    hash_key: HashKey,
    append_seqno: u64,
    at: Location,
    view: &RecordView<'_>,
) -> Option<ScannedRecord> {
    Some(ScannedRecord {
        epoch: view.epoch,
        fingerprint: Fingerprint::of_record(hash_key, view.operation?, view.key),
        seqno: view.seqno,
        at,
        tombstone: view.tombstone,
        collection: collection_of_record(view),
        append_seqno,
    })
}

fn state_of(append_seqno: u64, at: Location, view: &RecordView<'_>) -> ScannedState {
    ScannedState {
        epoch: view.epoch,
        revision: view.cas,
        high: view.seqno,
        at,
        bytes: view.value.to_vec(),
        append_seqno,
    }
}
