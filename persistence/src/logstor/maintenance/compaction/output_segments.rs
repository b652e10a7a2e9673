//! The segments that copies are written to: one for each vBucket that has enough to fill one, and one for the rest.
//!
//! Nothing is written here: records become frames of a [`PendingWrite`], which the round appends.
//!
//! # Invariants
//!
//! An open segment continues where its last durable frame ended. It is closed when the next record does not fit, and
//! only once its records are in the index (L14).

use std::collections::BTreeMap;
use std::sync::Arc;

use lowtide_checkpoint::Vbid;

use crate::contract::EngineError;
use crate::logstor::frame::{FrameKind, HEADER_BYTES};
use crate::logstor::log::{Log, Outgoing};
use crate::logstor::segment::{Location, Segment};
use crate::logstor::segments::{Origin, Purpose};

/// The vBucket a segment belongs to, or `None` for the segment of all others.
pub(super) type Target = Option<Vbid>;

#[derive(Debug)]
struct OutputSegment {
    segment: Arc<Segment>,
    used: u32,
}

/// The open segments.
#[derive(Debug, Default)]
pub(in crate::logstor) struct OutputSegments {
    open: BTreeMap<Target, OutputSegment>,
}

/// A segment to be closed once its records are in the index.
#[derive(Debug)]
pub(super) struct FilledSegment {
    segment: Arc<Segment>,
    used: u32,
    target: Target,
}

impl FilledSegment {
    pub(super) fn close(&self, log: &Log) {
        log.segments
            .close(self.segment.id, self.used, Origin::Moved, self.target);
    }
}

/// Frames of one append that are being filled.
#[derive(Debug, Default)]
pub(super) struct PendingWrite {
    pub(super) frames: Vec<Outgoing>,
    /// The frame that each target fills, by its index.
    filling: BTreeMap<Target, usize>,
    /// Segments that became full.
    filled: Vec<FilledSegment>,
    /// Segments that were taken for this append.
    taken: Vec<u32>,
}

impl OutputSegments {
    /// Returns whether a vBucket has a segment of its own.
    pub(super) fn has(&self, vb: Vbid) -> bool {
        self.open.contains_key(&Some(vb))
    }

    /// Open segments, each with the end of its durable frames.
    pub(in crate::logstor) fn ends(&self) -> impl Iterator<Item = (u32, u32)> {
        self.open
            .values()
            .map(|output| (output.segment.id, output.used))
    }

    /// Places a record.
    ///
    /// # Errors
    /// Same as [`Segments::take`](crate::logstor::segments::Segments::take).
    pub(super) fn place(
        &mut self,
        write: &mut PendingWrite,
        log: &Log,
        target: Target,
        record: &[u8],
        len: u32,
    ) -> Result<Location, EngineError> {
        let segment_bytes = log.segments.geometry().segment_bytes;
        loop {
            if let Some(output) = self.open.get_mut(&target) {
                let frame = write.filling.get(&target).copied();
                let at = match frame.and_then(|frame| write.frames.get(frame)) {
                    Some(frame) => frame.next_offset(),
                    None => output.used + HEADER_BYTES,
                };
                if at.saturating_add(record.len() as u32) <= segment_bytes {
                    let number = frame.unwrap_or_else(|| {
                        let segment = Arc::clone(&output.segment);
                        write
                            .frames
                            .push(Outgoing::new(segment, output.used, FrameKind::Moved));
                        write.frames.len() - 1
                    });
                    write.filling.insert(target, number);
                    let segment = output.segment.id;
                    if let Some(frame) = write.frames.get_mut(number) {
                        frame.bytes.extend_from_slice(record);
                    }
                    return Ok(Location {
                        segment,
                        offset: at,
                        len,
                    });
                }
            }
            let segment = log.segments.take(1, Purpose::Rewriting)?;
            let frame = write.filling.remove(&target);
            if let Some(output) = self.open.remove(&target) {
                let used = frame
                    .and_then(|frame| write.frames.get(frame))
                    .map_or(output.used, Outgoing::end);
                write.filled.push(FilledSegment {
                    segment: output.segment,
                    used,
                    target,
                });
            }
            for segment in segment {
                write.taken.push(segment.id);
                self.open.insert(target, OutputSegment { segment, used: 0 });
            }
        }
    }

    /// Records that the frames are durable. Returns the segments to close once the copies are in the index.
    pub(super) fn written(&mut self, write: PendingWrite) -> Vec<FilledSegment> {
        for (target, frame) in &write.filling {
            if let (Some(output), Some(frame)) =
                (self.open.get_mut(target), write.frames.get(*frame))
            {
                output.used = frame.end();
            }
        }
        write.filled
    }

    /// Closes the segments of an append that failed: nothing more is written to them.
    pub(super) fn failed(&mut self, write: PendingWrite, log: &Log) {
        let begins = |segment: &Segment| {
            write
                .frames
                .iter()
                .find(|frame| frame.segment.id == segment.id)
                .map(|frame| frame.offset)
        };
        for filled in &write.filled {
            let used = begins(&filled.segment).unwrap_or(filled.used);
            log.segments
                .close(filled.segment.id, used, Origin::Moved, filled.target);
        }
        let touched = |output: &OutputSegment| {
            begins(&output.segment).is_some() || write.taken.contains(&output.segment.id)
        };
        self.close(log, |output| touched(output));
    }

    /// Closes every open segment, so that they can be rewritten.
    pub(super) fn close_all(&mut self, log: &Log) {
        self.close(log, |output| output.used > 0);
    }

    fn close(&mut self, log: &Log, is_due: impl Fn(&OutputSegment) -> bool) {
        self.open.retain(|target, output| {
            let is_due = is_due(output);
            if is_due {
                log.segments
                    .close(output.segment.id, output.used, Origin::Moved, *target);
            }
            !is_due
        });
    }
}
