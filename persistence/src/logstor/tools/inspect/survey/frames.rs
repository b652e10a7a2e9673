//! The first reading of the segments: their frames, and which appends happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::finding::{LogFinding, LogFindingKind, LogObserver};
use super::super::frame_reader::read_frames;
use super::super::source::StoreSource;
use super::{SegmentSurvey, SurveyedSegment, Uses};
use crate::contract::EngineError;
use crate::logstor::format::to_usize;
use crate::logstor::log::Segment;

impl SegmentSurvey {
    /// Reads the frames of a segment.
    pub(super) fn take_frames(
        &mut self,
        source: &StoreSource,
        segment: Segment,
        uses: &mut Uses,
        observer: &mut dyn LogObserver,
    ) -> Result<(), EngineError> {
        let id = segment.id;
        let catalog = &source.catalog;
        let bytes = segment.read(0, to_usize(segment.bytes))?;
        let found = read_frames(&bytes, id, catalog.hash_key, |generation| {
            catalog.valid_bytes(id, generation)
        });
        let segment = Arc::new(segment.with_generation(found.generation.unwrap_or(0)));
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
            self.append_seqno_max = self.append_seqno_max.max(header.append_seqno);
            self.settled = self.settled.max(header.settled);
        }
        let place = SurveyedSegment {
            trace: StoreSource::trace(&segment, found.end)?,
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

    /// Returns the appends that did not happen. Reports acknowledged frames that are damaged or
    /// missing.
    pub(super) fn judge(&mut self, uses: &Uses, observer: &mut dyn LogObserver) -> BTreeSet<u64> {
        let mut whole: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
        for (segment, found) in uses.values() {
            let last = found.frames.last().map(|last| last.offset);
            for frame in &found.frames {
                if frame.header.append_seqno > self.settled {
                    let (count, parts) = whole.entry(frame.header.append_seqno).or_default();
                    *count += u32::from(frame.is_whole);
                    *parts = frame.header.parts;
                }
                let was_acknowledged =
                    frame.header.append_seqno <= self.settled || last != Some(frame.offset);
                if was_acknowledged && !frame.is_whole {
                    self.mark_damaged(segment.id);
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
                .filter(|frame| incomplete.contains(&frame.header.append_seqno))
            {
                let (kind, what) = if last == Some(frame.offset) {
                    (
                        LogFindingKind::Tail,
                        "a part of an append that was never acknowledged: opening cuts it off",
                    )
                } else if frame.is_whole {
                    self.mark_damaged(segment.id);
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
}
