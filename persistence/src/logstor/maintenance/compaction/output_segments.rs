//! The segments that copies are written to: one for each vBucket that has enough to fill one, and
//! one for the rest.
//!
//! Nothing is written here: records become frames of a [`PendingWrite`], which the round appends.
//!
//! # Invariants
//!
//! An open segment continues where its last durable frame ended. It is closed when the next record
//! does not fit, and only once its records are in the index (L14).

use std::collections::BTreeMap;

use lowtide_checkpoint::Vbid;

use crate::contract::EngineError;
use crate::logstor::format::{FrameKind, Location};
use crate::logstor::log::{FrameBuilder, FrameSlot, Log, OpenSegment, Origin, SegmentPurpose};

/// The vBucket a segment belongs to, or `None` for the segment of all others.
pub(super) type Target = Option<Vbid>;

/// The open segments.
#[derive(Debug, Default)]
pub(in crate::logstor) struct OutputSegments {
    open: BTreeMap<Target, OpenSegment>,
}

/// A segment to be closed once its records are in the index.
#[derive(Debug)]
pub(super) struct FilledSegment {
    open: OpenSegment,
    target: Target,
}

impl FilledSegment {
    pub(super) fn close(&self, log: &Log) {
        close(log, &self.open, self.target);
    }
}

/// An append of copies, while its frames are being filled.
#[derive(Debug, Default)]
pub(super) struct PendingWrite {
    pub(super) frames: FrameBuilder,
    /// The frame in the open segment of each target.
    filling: BTreeMap<Target, FrameSlot>,
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

    /// Returns the open segments, each with the end of its durable frames.
    pub(in crate::logstor) fn ends(&self) -> impl Iterator<Item = (u32, u32)> {
        self.open.values().map(|open| (open.segment.id, open.used))
    }

    /// Places a record.
    ///
    /// # Errors
    /// Same as [`SegmentTable::take`](crate::logstor::log::SegmentTable::take).
    pub(super) fn place(
        &mut self,
        write: &mut PendingWrite,
        log: &Log,
        target: Target,
        record: &[u8],
    ) -> Result<Location, EngineError> {
        loop {
            if let Some(open) = self.open.get(&target) {
                let slot = write.filling.entry(target).or_default();
                let frames = &mut write.frames;
                if let Some(location) = frames.place(FrameKind::Moved, open, slot, record) {
                    return Ok(location);
                }
            }
            let taken = log.segments.take(1, SegmentPurpose::Rewriting)?;
            let slot = write.filling.remove(&target).unwrap_or_default();
            if let Some(mut open) = self.open.remove(&target) {
                open.used = write.frames.end(&open, slot);
                write.filled.push(FilledSegment { open, target });
            }
            for segment in taken {
                write.taken.push(segment.id);
                self.open.insert(target, OpenSegment::new(segment));
            }
        }
    }

    /// Records that the frames are durable. Returns the segments to close once the copies are in
    /// the index.
    pub(super) fn written(&mut self, write: PendingWrite) -> Vec<FilledSegment> {
        for (target, slot) in &write.filling {
            if let Some(open) = self.open.get_mut(target) {
                open.used = write.frames.end(open, *slot);
            }
        }
        write.filled
    }

    /// Closes the segments of an append that failed, each where the append began.
    pub(super) fn failed(&mut self, write: PendingWrite, log: &Log) {
        for FilledSegment { mut open, target } in write.filled {
            open.used = write.frames.begins_at(open.segment.id).unwrap_or(open.used);
            close(log, &open, target);
        }
        let touched = |open: &OpenSegment| {
            let id = open.segment.id;
            write.frames.begins_at(id).is_some() || write.taken.contains(&id)
        };
        self.close(log, touched);
    }

    /// Closes every open segment, so that they can be rewritten.
    pub(super) fn close_all(&mut self, log: &Log) {
        self.close(log, |open| open.used > 0);
    }

    fn close(&mut self, log: &Log, is_due: impl Fn(&OpenSegment) -> bool) {
        self.open.retain(|target, open| {
            let is_due = is_due(open);
            if is_due {
                close(log, open, *target);
            }
            !is_due
        });
    }
}

fn close(log: &Log, open: &OpenSegment, owner: Target) {
    log.segments
        .close(open.segment.id, open.used, Origin::Rewritten, owner);
}
