//! Copying of a round's live records, one append for each step.
//!
//! # Invariants
//!
//! A record is copied only as it was read and verified (L48): a copy of anything else would pass
//! for the record, and the record would be freed.

use lowtide_checkpoint::internal::Invariant;
use std::collections::BTreeMap;
use std::sync::Arc;

use lowtide_checkpoint::Vbid;

use super::super::output_segments::{OutputSegments, PendingWrite, Target};
use super::{CompactionRound, DurableCopy, Packing, RecordCopy};
use crate::contract::{Budget, EngineError};
use crate::logstor::config::COMMIT_RESERVE;
use crate::logstor::format::{Location, RecordView};
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
        counters.records_rewritten.add(placed.len() as u64);
        counters.rewritten_bytes.add(bytes);
        self.records_copied += placed.len() as u64;
        let segments: BTreeMap<u32, Arc<Segment>> = write
            .frames
            .frames()
            .iter()
            .map(|frame| (frame.segment.id, Arc::clone(&frame.segment)))
            .collect();
        let durable = placed.into_iter().filter_map(|(copy, to)| {
            Some(DurableCopy {
                copy,
                to,
                _segment: Arc::clone(segments.get(&to.segment)?),
            })
        });
        self.pending.extend(durable);
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
        let start = offset as usize;
        let bytes = self.bytes.get(&segment);
        let record = bytes.and_then(|bytes| bytes.get(start..start.checked_add(len as usize)?));
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
        outputs.place(write, log, target, record, len)
    }

    fn target(&self, outputs: &OutputSegments, vb: Vbid) -> Target {
        let log = &self.registry.log;
        if self.packing == Packing::Together {
            return None;
        }
        let census = log.segments.census();
        let is_short = census.free.saturating_add(census.possible) <= COMMIT_RESERVE + 2;
        let volume = self.volumes.get(&vb).copied().unwrap_or(0);
        let is_enough = volume >= u64::from(log.segments.geometry().segment_bytes / 8);
        (!is_short && (is_enough || outputs.has(vb))).then_some(vb)
    }
}
