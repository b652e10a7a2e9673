//! Claiming and reading of a round's victims.
//!
//! Every record of a victim is identified: live ones are copied, and all are counted off when the
//! victim is freed.

use std::sync::Arc;

use super::{CompactionRound, RecordCopy};
use crate::contract::EngineError;
use crate::logstor::format::{
    Fingerprint, Location, RecordView, payload_of, records_in, scan_frames, to_usize,
};
use crate::logstor::log::{ClosedSegment, Origin, Segment};
use crate::logstor::vbucket::{ByEpoch, RecordId, VBucketIndex};

impl CompactionRound {
    /// Claims victims and reads them.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] if all are damaged.
    pub(super) fn claim(
        &mut self,
        victims: Vec<(Arc<Segment>, ClosedSegment)>,
    ) -> Result<(), EngineError> {
        let vbuckets = self.registry.by_epoch();
        let mut damage = None;
        for (segment, closed) in victims {
            if !self.registry.log.segments.try_claim(segment.id) {
                continue;
            }
            // From here on the claim is released when the round is dropped.
            let id = segment.id;
            let is_dead = segment.live_records() == 0;
            self.victims.push(Arc::clone(&segment));
            match self.read(&segment, closed, &vbuckets) {
                // No record of it is needed, and freeing it may have begun before. Unread records
                // are not counted off.
                Err(EngineError::Corrupt { .. }) if is_dead => {}
                Err(error @ EngineError::Corrupt { .. }) => {
                    damage = Some(error);
                    self.leave_out(id);
                }
                result => result?,
            }
        }
        match damage {
            Some(damage) if self.victims.is_empty() => Err(damage),
            _ => Ok(()),
        }
    }

    fn leave_out(&mut self, id: u32) {
        self.victims.retain(|victim| victim.id != id);
        self.copies.retain(|copy| copy.from.segment != id);
        self.records.remove(&id);
        self.registry.log.segments.release(id);
    }

    fn read(
        &mut self,
        segment: &Segment,
        closed: ClosedSegment,
        vbuckets: &ByEpoch,
    ) -> Result<(), EngineError> {
        if let Origin::Large { .. } = closed.origin {
            return self.read_large(segment);
        }
        let bytes = segment.read(0, to_usize(closed.used))?;
        let hash_key = self.registry.log.context.hash_key;
        let frames = scan_frames(&bytes, segment.id, hash_key, |_| Some(closed.used));
        let whole = frames.frames.iter().filter(|frame| frame.is_whole);
        let mut end = 0;
        for frame in whole {
            end = frame.offset + frame.header.frame_bytes();
            let payload = payload_of(&bytes, frame.offset, &frame.header);
            let payload = payload
                .ok_or_else(|| segment.corrupt(frame.offset, "a frame without its records"))?;
            for record in records_in(payload, frame.offset) {
                let (at, view) =
                    record.ok_or_else(|| segment.corrupt(frame.offset, "a damaged record"))?;
                let from = Location {
                    segment: segment.id,
                    offset: at,
                    len: view.len,
                };
                self.note(&view, from, vbuckets);
            }
        }
        if end != closed.used {
            return Err(segment.corrupt(end, "a frame that was written there is damaged"));
        }
        self.bytes.insert(segment.id, bytes);
        Ok(())
    }

    /// Notes a record of a victim, and whether it is to be copied.
    fn note(&mut self, view: &RecordView<'_>, from: Location, vbuckets: &ByEpoch) {
        let (epoch, id) = self.record_id(view);
        self.records
            .entry(from.segment)
            .or_default()
            .push((epoch, id));
        let lives = |vbucket: &&Arc<VBucketIndex>| vbucket.references(id, from);
        let Some(vbucket) = vbuckets.get(&epoch).and_then(|all| all.iter().find(lives)) else {
            return;
        };
        *self.volumes.entry(vbucket.vb).or_default() += u64::from(view.len);
        self.copies.push(RecordCopy {
            vb: vbucket.vb,
            seqno: view.seqno,
            id,
            epoch,
            from,
        });
    }

    fn read_large(&mut self, segment: &Segment) -> Result<(), EngineError> {
        let (_, record) = segment.read_large_record()?;
        let id = RecordView::verified(&record).map(|view| self.record_id(&view));
        self.records.entry(segment.id).or_default().extend(id);
        Ok(())
    }

    /// Returns the epoch and the identity of a record.
    pub(super) fn record_id(&self, view: &RecordView<'_>) -> (u32, RecordId) {
        let id = match view.operation {
            None => RecordId::State,
            Some(operation) => RecordId::Item {
                fingerprint: Fingerprint::of_record(
                    self.registry.log.context.hash_key,
                    operation,
                    view.key,
                ),
                seqno: view.seqno,
            },
        };
        (view.epoch, id)
    }
}
