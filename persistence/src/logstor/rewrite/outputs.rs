//! Where copies go: one open segment for each vBucket that has enough to fill one, and one for the rest. Records go in,
//! frames come out; nothing is written here.
//!
//! Always: an open segment goes on where its last durable frame ended; it is closed when the next record does not fit, and
//! only once its records are in the index (L14).

use std::collections::BTreeMap;
use std::sync::Arc;

use lowtide_checkpoint::Vbid;

use crate::contract::EngineError;
use crate::logstor::frame::{FrameKind, HEADER_BYTES};
use crate::logstor::log::{Log, Outgoing};
use crate::logstor::segment::{Location, Segment};
use crate::logstor::segments::{Origin, Purpose};

/// Whose segment: a vBucket's, or `None` for that of all others.
pub(super) type Target = Option<Vbid>;

#[derive(Debug)]
struct Output {
    segment: Arc<Segment>,
    used: u32,
}

/// The open segments.
#[derive(Debug, Default)]
pub(in crate::logstor) struct Outputs {
    open: BTreeMap<Target, Output>,
}

/// A segment to be closed once what was written to it is in the index.
#[derive(Debug)]
pub(super) struct Full {
    segment: Arc<Segment>,
    used: u32,
    target: Target,
}

impl Full {
    pub(super) fn close(&self, log: &Log) {
        log.segments
            .close(self.segment.id, self.used, Origin::Moved, self.target);
    }
}

/// Frames being made up.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) frames: Vec<Outgoing>,
    /// The frame that is being filled, and where, for each target.
    filling: BTreeMap<Target, usize>,
    /// Segments that came to be full, and those that were taken.
    full: Vec<Full>,
    taken: Vec<u32>,
}

impl Outputs {
    /// Whether a vBucket has a segment of its own already.
    pub(super) fn has(&self, vb: Vbid) -> bool {
        self.open.contains_key(&Some(vb))
    }

    /// The open segments, and up to where each is written.
    pub(in crate::logstor) fn ends(&self) -> impl Iterator<Item = (u32, u32)> {
        self.open
            .values()
            .map(|output| (output.segment.id, output.used))
    }

    /// Finds a place for a record.
    ///
    /// # Errors
    /// As [`Segments::take`](crate::logstor::segments::Segments::take).
    pub(super) fn place(
        &mut self,
        draft: &mut Draft,
        log: &Log,
        target: Target,
        record: &[u8],
        len: u32,
    ) -> Result<Location, EngineError> {
        let segment_bytes = log.segments.geometry().segment_bytes;
        loop {
            if let Some(output) = self.open.get_mut(&target) {
                let frame = draft.filling.get(&target).copied();
                let at = match frame.and_then(|frame| draft.frames.get(frame)) {
                    Some(frame) => frame.next_offset(),
                    None => output.used + HEADER_BYTES,
                };
                if at.saturating_add(record.len() as u32) <= segment_bytes {
                    let number = frame.unwrap_or_else(|| {
                        let segment = Arc::clone(&output.segment);
                        draft
                            .frames
                            .push(Outgoing::new(segment, output.used, FrameKind::Moved));
                        draft.frames.len() - 1
                    });
                    draft.filling.insert(target, number);
                    let segment = output.segment.id;
                    if let Some(frame) = draft.frames.get_mut(number) {
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
            let frame = draft.filling.remove(&target);
            if let Some(output) = self.open.remove(&target) {
                let used = frame
                    .and_then(|frame| draft.frames.get(frame))
                    .map_or(output.used, Outgoing::end);
                draft.full.push(Full {
                    segment: output.segment,
                    used,
                    target,
                });
            }
            for segment in segment {
                draft.taken.push(segment.id);
                self.open.insert(target, Output { segment, used: 0 });
            }
        }
    }

    /// The frames are durable. What is to be closed once they are in the index.
    pub(super) fn written(&mut self, draft: Draft) -> Vec<Full> {
        for (target, frame) in &draft.filling {
            if let (Some(output), Some(frame)) =
                (self.open.get_mut(target), draft.frames.get(*frame))
            {
                output.used = frame.end();
            }
        }
        draft.full
    }

    /// The frames were not written, or given up: nothing more goes into their segments.
    pub(super) fn failed(&mut self, draft: Draft, log: &Log) {
        let begins = |segment: &Segment| {
            draft
                .frames
                .iter()
                .find(|frame| frame.segment.id == segment.id)
                .map(|frame| frame.offset)
        };
        for full in &draft.full {
            let used = begins(&full.segment).unwrap_or(full.used);
            log.segments
                .close(full.segment.id, used, Origin::Moved, full.target);
        }
        let touched = |output: &Output| {
            begins(&output.segment).is_some() || draft.taken.contains(&output.segment.id)
        };
        self.close(log, |_, output| touched(output));
    }

    /// Closes every open segment, so that they can be rewritten.
    pub(super) fn close_all(&mut self, log: &Log) {
        self.close(log, |_, output| output.used > 0);
    }

    fn close(&mut self, log: &Log, is_due: impl Fn(&Target, &Output) -> bool) {
        self.open.retain(|target, output| {
            let is_due = is_due(target, output);
            if is_due {
                log.segments
                    .close(output.segment.id, output.used, Origin::Moved, *target);
            }
            !is_due
        });
    }
}
