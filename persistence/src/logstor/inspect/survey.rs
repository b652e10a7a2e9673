//! What all segments of a store hold, damage or not: a source goes in; records, states, and each segment's use come out,
//! and findings on the way.
//!
//! Always: of a sound store exactly those records are taken that recovery takes. Where something is damaged, what is
//! sound by its own checksum is taken all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lowtide_checkpoint::{Namespace, VBucketState};

use crate::contract::EngineError;
use crate::logstor::entry::{self, Peek};
use crate::logstor::fingerprint::Fingerprint;
use crate::logstor::frame::{FrameKind, HEADER_BYTES};
use crate::logstor::highs::{self, CollectionHighs};
use crate::logstor::scan::{self, Frame};
use crate::logstor::segment::{Location, Segment};
use crate::logstor::state;

use super::finding::{LogFinding, LogFindingKind, LogObserver};
use super::frames::{self, Use};
use super::source::Source;

/// An item's record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) epoch: u32,
    pub(super) fingerprint: Fingerprint,
    pub(super) seqno: u64,
    pub(super) at: Location,
    /// Its checksum: copies have the same but for their epoch.
    pub(super) crc: u32,
    pub(super) tombstone: bool,
    /// The one it is in, if it is in one.
    pub(super) collection: Option<u32>,
    /// Its append.
    pub(super) number: u64,
}

/// The highest seqno of each collection that these are in.
pub(super) fn highs<'a>(records: impl IntoIterator<Item = &'a Record>) -> CollectionHighs {
    records
        .into_iter()
        .filter_map(|record| Some((record.collection?, record.seqno)))
        .collect()
}

/// A vBucket's state.
#[derive(Clone, Debug)]
pub(super) struct StateRecord {
    pub(super) epoch: u32,
    pub(super) revision: u64,
    pub(super) high: u64,
    pub(super) at: Location,
    /// `None` if it can't be read.
    pub(super) state: Option<VBucketState>,
    /// Its append.
    pub(super) number: u64,
}

/// A segment that is there.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) segment: Arc<Segment>,
    pub(super) is_free: bool,
    /// Of the first frame that counts.
    pub(super) kind: Option<FrameKind>,
    pub(super) frames: u64,
    pub(super) records: u64,
    /// Where its frames end.
    pub(super) end: u32,
    pub(super) is_damaged: bool,
    /// By epoch: whose records it has.
    pub(super) epochs: BTreeSet<u32>,
    /// What a write to it would change.
    trace: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) segments: BTreeMap<u32, Found>,
    pub(super) records: Vec<Record>,
    pub(super) states: Vec<StateRecord>,
    pub(super) number_max: u64,
    /// Appends up to there are not in doubt.
    pub(super) stable: u64,
}

/// Frames with their segment, and how many records are to be taken of each.
type Uses = BTreeMap<u32, (Arc<Segment>, Use)>;

impl Survey {
    /// Reads every segment, twice: which appends are whole is known only when all headers have been seen.
    pub(super) fn of(source: &Source, observer: &mut dyn LogObserver) -> Result<Self, EngineError> {
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

    fn take_frames(
        &mut self,
        source: &Source,
        segment: Segment,
        uses: &mut Uses,
        observer: &mut dyn LogObserver,
    ) -> Result<(), EngineError> {
        let (id, sketch) = (segment.id, &source.sketch);
        let bytes = segment.read(0, segment.bytes as usize)?;
        let found = frames::read(&bytes, id, sketch.hash_key, |generation| {
            sketch.valid_bytes(id, generation)
        });
        let segment = Arc::new(segment.of_generation(found.generation.unwrap_or(0)));
        for &(at, what) in &found.damage {
            observer.found(LogFinding::in_segment(
                LogFindingKind::Header,
                &segment,
                at,
                what,
            ));
        }
        for header in found
            .frames
            .iter()
            .map(|frame| &frame.header)
            .chain(&found.free)
        {
            self.number_max = self.number_max.max(header.number);
            self.stable = self.stable.max(header.stable);
        }
        let place = Found {
            trace: Source::trace(&segment, found.end)?,
            segment: Arc::clone(&segment),
            is_free: found.frames.is_empty(),
            kind: None,
            frames: 0,
            records: 0,
            end: found.end,
            is_damaged: !found.damage.is_empty(),
            epochs: BTreeSet::new(),
        };
        self.segments.insert(id, place);
        if !found.frames.is_empty() {
            uses.insert(id, (segment, found));
        }
        Ok(())
    }

    /// Which appends did not happen; and tells of frames and parts that should be there.
    fn judge(&mut self, uses: &Uses, observer: &mut dyn LogObserver) -> BTreeSet<u64> {
        let mut whole: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
        for (segment, found) in uses.values() {
            let last = found.frames.last().map(|last| last.offset);
            for frame in &found.frames {
                if frame.header.number > self.stable {
                    let (count, parts) = whole.entry(frame.header.number).or_default();
                    *count += u32::from(frame.is_whole);
                    *parts = frame.header.parts;
                }
                let was_acknowledged =
                    frame.header.number <= self.stable || last != Some(frame.offset);
                if was_acknowledged && !frame.is_whole {
                    self.damaged(segment.id);
                    let what = "a frame that was acknowledged is damaged";
                    observer.found(LogFinding::in_segment(
                        LogFindingKind::Frame,
                        segment,
                        frame.offset,
                        what,
                    ));
                }
            }
        }
        let incomplete = whole
            .into_iter()
            .filter(|(_, (count, parts))| count != parts);
        let incomplete: BTreeSet<u64> = incomplete.map(|(number, _)| number).collect();
        for (segment, found) in uses.values() {
            let last = found.frames.last().map(|last| last.offset);
            for frame in found
                .frames
                .iter()
                .filter(|frame| incomplete.contains(&frame.header.number))
            {
                let (kind, what) = if last == Some(frame.offset) {
                    (
                        LogFindingKind::Tail,
                        "a part of an append that was never acknowledged: opening cuts it off",
                    )
                } else if frame.is_whole {
                    self.damaged(segment.id);
                    (
                        LogFindingKind::Append,
                        "a part of what was acknowledged is missing",
                    )
                } else {
                    continue;
                };
                observer.found(LogFinding::in_segment(kind, segment, frame.offset, what));
            }
        }
        incomplete
    }

    fn damaged(&mut self, segment: u32) {
        if let Some(found) = self.segments.get_mut(&segment) {
            found.is_damaged = true;
        }
    }

    fn take_records(
        &mut self,
        source: &Source,
        segment: &Arc<Segment>,
        found: &Use,
        incomplete: &BTreeSet<u64>,
        observer: &mut dyn LogObserver,
    ) -> Result<(), EngineError> {
        let counts = |frame: &&Frame| !incomplete.contains(&frame.header.number);
        let kind = found
            .frames
            .iter()
            .find(counts)
            .map(|frame| frame.header.kind);
        let counting = found.frames.iter().filter(counts).count() as u64;
        if let Some(place) = self.segments.get_mut(&segment.id) {
            (place.kind, place.frames) = (kind, counting);
        }
        let bytes = segment.read(0, found.end as usize)?;
        for frame in found
            .frames
            .iter()
            .filter(counts)
            .filter(|frame| frame.header.kind != FrameKind::Large)
        {
            let start = frame.offset.saturating_add(HEADER_BYTES) as usize;
            let end = start
                .saturating_add(frame.header.payload_bytes as usize)
                .min(bytes.len());
            let payload = bytes.get(start..end).unwrap_or_default();
            let mut last = frame.offset;
            for record in scan::records(payload, frame.offset) {
                let Some((offset, peek)) = record else {
                    self.damaged(segment.id);
                    let what = format!("a damaged record behind offset {last} of the segment");
                    observer.found(LogFinding::in_segment(
                        LogFindingKind::Record,
                        segment,
                        frame.offset,
                        what,
                    ));
                    break;
                };
                last = offset;
                let at = Location {
                    segment: segment.id,
                    offset,
                    len: peek.len,
                };
                let record = payload
                    .get((offset - frame.offset - HEADER_BYTES) as usize..)
                    .unwrap_or_default();
                self.push(
                    source,
                    segment,
                    (frame.header.number, at),
                    (&peek, record),
                    observer,
                );
            }
        }
        Ok(())
    }

    fn push(
        &mut self,
        source: &Source,
        segment: &Arc<Segment>,
        (number, at): (u64, Location),
        (peek, record): (&Peek<'_>, &[u8]),
        observer: &mut dyn LogObserver,
    ) {
        let vb = source.vbucket_of(peek.epoch);
        let told = |kind, what: &str| {
            LogFinding::in_segment(kind, segment, at.offset, what)
                .of_record(vb, peek.seqno, peek.key)
        };
        if !source.sketch.has_given(peek.epoch) {
            observer.found(told(
                LogFindingKind::Epoch,
                "a record of an epoch that was never given",
            ));
        }
        if let Some(place) = self.segments.get_mut(&segment.id) {
            place.records += 1;
            place.epochs.insert(peek.epoch);
        }
        let Some(operation) = peek.operation else {
            let state = state::decode(peek.value);
            if state.is_none() && vb.is_some() {
                observer.found(told(
                    LogFindingKind::State,
                    "a vBucket's state can't be read",
                ));
            }
            let (epoch, revision, high) = (peek.epoch, peek.cas, peek.seqno);
            self.states.push(StateRecord {
                epoch,
                revision,
                high,
                at,
                state,
                number,
            });
            return;
        };
        if entry::item(&bytes::Bytes::copy_from_slice(
            record.get(..peek.len as usize).unwrap_or_default(),
        ))
        .is_none()
        {
            observer.found(told(LogFindingKind::Record, "a record that is no item"));
        }
        let namespace = operation.namespace().unwrap_or(Namespace::System);
        self.records.push(Record {
            epoch: peek.epoch,
            fingerprint: Fingerprint::of(source.sketch.hash_key, namespace, peek.key),
            seqno: peek.seqno,
            at,
            crc: record
                .first_chunk()
                .map_or(0, |crc| u32::from_be_bytes(*crc)),
            tombstone: peek.tombstone,
            collection: highs::of_record(peek),
            number,
        });
    }

    /// Large records, whose pieces are put together.
    fn take_large(
        &mut self,
        source: &Source,
        uses: &Uses,
        incomplete: &BTreeSet<u64>,
        observer: &mut dyn LogObserver,
    ) -> Result<(), EngineError> {
        let mut pieces: BTreeMap<(u64, u32), (&Arc<Segment>, Frame)> = BTreeMap::new();
        for (segment, found) in uses.values() {
            let counting = found
                .frames
                .iter()
                .filter(|frame| !incomplete.contains(&frame.header.number));
            for frame in counting.filter(|frame| frame.header.kind == FrameKind::Large) {
                pieces.insert((frame.header.number, frame.header.part), (segment, *frame));
            }
        }
        for (&(number, part), &(segment, frame)) in &pieces {
            // Without its first piece a record was freed.
            if frame.header.piece != 0 {
                continue;
            }
            let rest: Vec<Arc<Segment>> = (1..frame.header.pieces)
                .map_while(|piece| {
                    let (segment, frame) = pieces.get(&(number, part.checked_add(piece)?))?;
                    (frame.header.piece == piece).then(|| Arc::clone(segment))
                })
                .collect();
            let is_complete = rest.len() as u32 + 1 == frame.header.pieces.max(1);
            segment.set_rest(rest);
            let record = if is_complete {
                large_record(segment)?
            } else {
                None
            };
            match record
                .as_ref()
                .and_then(|record| Some((record, entry::peek(record)?)))
            {
                Some((record, peek)) if peek.operation.is_some() => {
                    let at = Location {
                        segment: segment.id,
                        offset: HEADER_BYTES,
                        len: peek.len,
                    };
                    self.push(source, segment, (number, at), (&peek, record), observer);
                    for piece in segment.rest() {
                        if let Some(place) = self.segments.get_mut(&piece.id) {
                            place.epochs.insert(peek.epoch);
                        }
                    }
                }
                _ => {
                    self.damaged(segment.id);
                    let what = "a large record is damaged, or a piece of it missing";
                    observer.found(LogFinding::in_segment(
                        LogFindingKind::Record,
                        segment,
                        0,
                        what,
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether every segment is as it was found.
    pub(super) fn is_unchanged(&self) -> Result<bool, EngineError> {
        for found in self.segments.values() {
            if Source::trace(&found.segment, found.end)? != found.trace {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A large record's bytes, if it can be as long as it says.
fn large_record(segment: &Segment) -> Result<Option<bytes::Bytes>, EngineError> {
    let head = segment.read(HEADER_BYTES, 8)?;
    let len = head
        .get(4..)
        .and_then(|len| len.first_chunk())
        .map_or(0, |len| u32::from_be_bytes(*len));
    let room = (segment.rest().len() as u64 + 1) * u64::from(segment.bytes - HEADER_BYTES);
    if u64::from(len) > room {
        return Ok(None);
    }
    Ok(Some(segment.read_record(Location {
        segment: segment.id,
        offset: HEADER_BYTES,
        len,
    })?))
}
