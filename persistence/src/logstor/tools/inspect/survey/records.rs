//! The second reading of the segments: their records and states.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::super::finding::{LogFinding, LogFindingKind, LogObserver};
use super::super::frame_reader::FoundFrames;
use super::super::source::StoreSource;
use super::{SegmentSurvey, SurveyedRecord, SurveyedState, Uses};
use crate::contract::EngineError;
use crate::logstor::format::{
    Fingerprint, Fragment, FrameKind, HEADER_BYTES, Location, RecordView, ScannedFrame,
    collection_of_record, decode_item, decode_state, records_in, to_u32, to_u64, to_usize, u32_at,
};
use crate::logstor::log::Segment;

impl SegmentSurvey {
    /// Reads the records of a segment's frames that count.
    pub(super) fn take_records(
        &mut self,
        source: &StoreSource,
        segment: &Arc<Segment>,
        found: &FoundFrames,
        incomplete: &BTreeSet<u64>,
        observer: &mut dyn LogObserver,
    ) -> Result<(), EngineError> {
        let counts = |frame: &&ScannedFrame| !incomplete.contains(&frame.header.append_seqno);
        let kind = found
            .frames
            .iter()
            .find(counts)
            .map(|frame| frame.header.kind);
        let counting = to_u64(found.frames.iter().filter(counts).count());
        if let Some(place) = self.segments.get_mut(&segment.id) {
            place.kind = kind;
            place.frames = counting;
        }
        let bytes = segment.read(0, to_usize(found.end))?;
        for frame in found
            .frames
            .iter()
            .filter(counts)
            .filter(|frame| frame.header.kind != FrameKind::Large)
        {
            let start = to_usize(frame.offset.saturating_add(HEADER_BYTES));
            let end = start
                .saturating_add(to_usize(frame.header.payload_bytes))
                .min(bytes.len());
            let payload = bytes.get(start..end).unwrap_or_default();
            let mut last = frame.offset;
            for record in records_in(payload, frame.offset) {
                let Some((offset, view)) = record else {
                    self.mark_damaged(segment.id);
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
                    len: view.len,
                };
                let record = payload
                    .get(to_usize(offset - frame.offset - HEADER_BYTES)..)
                    .unwrap_or_default();
                self.push(
                    source,
                    segment,
                    (frame.header.append_seqno, at),
                    (&view, record),
                    observer,
                );
            }
        }
        Ok(())
    }

    fn push(
        &mut self,
        source: &StoreSource,
        segment: &Arc<Segment>,
        (append_seqno, at): (u64, Location),
        (view, record): (&RecordView<'_>, &[u8]),
        observer: &mut dyn LogObserver,
    ) {
        let vb = source.vbucket_of(view.epoch);
        let finding = |kind, what: &str| {
            LogFinding::in_segment(kind, segment, at.offset, what)
                .of_record(vb, view.seqno, view.key)
        };
        if !source.catalog.has_given(view.epoch) {
            observer.found(finding(
                LogFindingKind::Epoch,
                "a record of an epoch that was never given",
            ));
        }
        if let Some(place) = self.segments.get_mut(&segment.id) {
            place.records += 1;
            place.epochs.insert(view.epoch);
        }
        let Some(operation) = view.operation else {
            let state = decode_state(view.value);
            if state.is_none() && vb.is_some() {
                observer.found(finding(
                    LogFindingKind::State,
                    "a vBucket's state can't be read",
                ));
            }
            self.states.push(SurveyedState {
                epoch: view.epoch,
                revision: view.cas,
                high: view.seqno,
                at,
                state,
                append_seqno,
            });
            return;
        };
        if decode_item(&Bytes::copy_from_slice(
            record.get(..to_usize(view.len)).unwrap_or_default(),
        ))
        .is_none()
        {
            observer.found(finding(LogFindingKind::Record, "a record that is no item"));
        }
        self.records.push(SurveyedRecord {
            epoch: view.epoch,
            fingerprint: Fingerprint::of_record(source.catalog.hash_key, operation, view.key),
            seqno: view.seqno,
            at,
            // A record that was verified has a checksum.
            crc: u32_at(record, 0).unwrap_or(0),
            tombstone: view.tombstone,
            collection: collection_of_record(view),
            append_seqno,
        });
    }

    /// Reads large records, whose fragments are linked first.
    pub(super) fn take_large(
        &mut self,
        source: &StoreSource,
        uses: &Uses,
        incomplete: &BTreeSet<u64>,
        observer: &mut dyn LogObserver,
    ) -> Result<(), EngineError> {
        let mut fragments: BTreeMap<(u64, u32), (&Arc<Segment>, Fragment)> = BTreeMap::new();
        for (segment, found) in uses.values() {
            // The segment of a fragment holds nothing else. In a crafted one the first frame counts,
            // as it does when the store is opened.
            let first = found
                .frames
                .iter()
                .find(|frame| !incomplete.contains(&frame.header.append_seqno));
            if let Some(frame) = first
                && let Some(fragment) = frame.header.fragment()
            {
                let place = (frame.header.append_seqno, frame.header.part);
                fragments.insert(place, (segment, fragment));
            }
        }
        for (&(append_seqno, part), &(segment, first)) in &fragments {
            // A record without its first fragment was freed.
            if first.index != 0 {
                continue;
            }
            let rest: Vec<Arc<Segment>> = (1..first.count)
                .map_while(|index| {
                    let (segment, fragment) =
                        fragments.get(&(append_seqno, part.checked_add(index)?))?;
                    (fragment.index == index).then(|| Arc::clone(segment))
                })
                .collect();
            let is_complete = to_u32(rest.len()) + 1 == first.count.max(1);
            segment.set_rest(rest);
            let record = is_complete.then(|| segment.read_large_record());
            let record = match record.transpose() {
                Ok(record) => record,
                Err(EngineError::Corrupt { .. }) => None,
                Err(error) => return Err(error),
            };
            let verified = record
                .as_ref()
                .and_then(|(at, record)| Some((*at, record, RecordView::verified(record)?)));
            match verified {
                Some((at, record, view)) if view.operation.is_some() => {
                    self.push(
                        source,
                        segment,
                        (append_seqno, at),
                        (&view, record),
                        observer,
                    );
                    for rest in segment.rest() {
                        if let Some(place) = self.segments.get_mut(&rest.id) {
                            place.epochs.insert(view.epoch);
                        }
                    }
                }
                _ => {
                    self.mark_damaged(segment.id);
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
}
