//! Copying of a round's live records, one append for each step.
//!
//! # Invariants
//!
//! A record is copied only as it was read and verified (L48): a copy of anything else would pass
//! for the record, and the record would be freed.

use std::collections::BTreeMap;
use std::sync::Arc;

use lowtide_checkpoint::Vbid;
use lowtide_checkpoint::internal::{Invariant, checked_invariant};

use super::super::output_segments::{OutputSegments, PendingWrite, Target};
use super::{CompactionRound, DurableCopy, Packing, RecordCopy};
use crate::contract::{Budget, EngineError};
use crate::logstor::config::COMMIT_RESERVE;
use crate::logstor::format::{Location, RecordView, to_u64, to_usize};
use crate::logstor::log::Segment;

impl CompactionRound {
    /// Copies as much as the budget allows, durably. Returns the bytes written.
    /// [`CompactionRound::install_copies`] makes the copies count.
    ///
    /// # Errors
    /// [`EngineError::Disk`], [`EngineError::Poisoned`] or [`EngineError::Internal`]: the
    /// records of this step are where they were.
    pub(in crate::logstor::maintenance) fn copy(
        &mut self,
        outputs: &mut OutputSegments,
        mut budget: Budget,
    ) -> Result<u64, EngineError> {
        let mut write = PendingWrite::default();
        let mut placed = Vec::new();
        let all_placed = loop {
            let Some(copy) = self.copies.pop() else {
                break Ok(());
            };
            match self.place(outputs, &mut write, copy) {
                Ok(to) => placed.push((copy, to)),
                Err(error) => {
                    self.copies.push(copy);
                    break Err(error);
                }
            }
            if !budget.spend(u64::from(copy.from.len)) {
                break Ok(());
            }
        };
        let log = &self.registry.log;
        if let Err(error) = all_placed.and_then(|()| log.append(&mut write.frames)) {
            outputs.failed(write, log);
            return Err(error);
        }
        let bytes = write.frames.bytes();
        let counters = &log.context.counters;
        counters.records_rewritten.add(to_u64(placed.len()));
        counters.rewritten_bytes.add(bytes);
        self.records_copied += to_u64(placed.len());
        let segments: BTreeMap<u32, Arc<Segment>> = write
            .frames
            .frames()
            .iter()
            .map(|frame| (frame.segment.id, Arc::clone(&frame.segment)))
            .collect();
        for (copy, to) in placed {
            checked_invariant!(
                write
                    .frames
                    .record_at(to)
                    .is_some_and(|view| self.record_id(&view) == (copy.epoch, copy.id)),
                "L15",
                "a copy is the record that it is a copy of"
            );
            // A copy that is not counted could bring its record back.
            let segment = segments
                .get(&to.segment)
                .invariant("L16", "a copy lies in a frame of its append")
                .map_err(|violation| log.context.internal(violation))?;
            self.pending.push(DurableCopy {
                copy,
                to,
                _segment: Arc::clone(segment),
            });
        }
        self.filled.extend(outputs.written(write));
        Ok(bytes)
    }

    fn place(
        &self,
        outputs: &mut OutputSegments,
        write: &mut PendingWrite,
        copy: RecordCopy,
    ) -> Result<Location, EngineError> {
        let Location {
            segment,
            offset,
            len,
        } = copy.from;
        let start = to_usize(offset);
        let bytes = self.bytes.get(&segment);
        let record = bytes.and_then(|bytes| bytes.get(start..start.checked_add(to_usize(len))?));
        let is_it = |record: &&[u8]| {
            RecordView::verified(record)
                .is_some_and(|view| self.record_id(&view) == (copy.epoch, copy.id))
        };
        let log = &self.registry.log;
        let record = record
            .filter(is_it)
            .invariant("L48", "a record to be copied is what was read")
            .map_err(|violation| log.context.internal(violation))?;
        let target = self.target(outputs, copy.vb);
        outputs.place(write, log, target, record)
    }

    fn target(&self, outputs: &OutputSegments, vb: Vbid) -> Target {
        let log = &self.registry.log;
        if self.packing == Packing::Together {
            return None;
        }
        let is_short = log.segments.census().available() <= COMMIT_RESERVE + 2;
        let volume = self.volumes.get(&vb).copied().unwrap_or(0);
        let is_enough = volume >= u64::from(log.segments.geometry().segment_bytes / 8);
        (!is_short && (is_enough || outputs.has(vb))).then_some(vb)
    }
}
