//! Backpressure on commits: while few segments are left, each commit does a part of the rewriting
//! itself.
//!
//! Without it the last free segments would be used up before a background job frees others, and one
//! commit would then pay for all.
//!
//! # Invariants
//!
//! The work of a commit is bounded by what it wrote, times what its victim has to be moved for each
//! byte it frees (L29). The more is dead, the less it costs. It goes by counts alone. A failure is
//! not the commit's: it is reported to the next commit that needs the space.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::output_segments::OutputSegments;
use super::round::{CompactionRound, Packing};
use super::victim_selection::{is_dead, is_wasteful};
use crate::contract::{Budget, EngineError};
use crate::logstor::config::COMMIT_RESERVE;
use crate::logstor::log::{ClosedSegment, Segment};
use crate::logstor::store::Store;

/// Commits begin to help when fewer segments than these are free or can be made.
pub(in crate::logstor) const LOW_SPACE_SEGMENTS: u32 = COMMIT_RESERVE + 4;
/// Bytes that are moved together, at least: each append has a sync.
const SLICE_BYTES: u64 = 16 << 10;
/// Segments that gave nothing and are remembered, at most.
const LEFT_OUT_MAX: usize = 256;

/// The rewriting that commits have begun.
#[derive(Debug, Default)]
pub(in crate::logstor) struct WriteBackpressure {
    round: Option<CompactionRound>,
    /// Bytes to be moved for those that were written: the compaction debt.
    debt_bytes: u64,
    /// Generations of segments that are damaged, or held by a reader.
    left_out: BTreeSet<u64>,
}

impl WriteBackpressure {
    /// Does the part of a commit that wrote `written` bytes. `available` segments are left.
    ///
    /// # Errors
    /// Same as [`CompactionRound::copy`] and [`CompactionRound::free_victims`]; the round is
    /// abandoned.
    pub(in crate::logstor) fn step(
        &mut self,
        store: &Store,
        outputs: &mut OutputSegments,
        written: u64,
        available: u32,
    ) -> Result<(), EngineError> {
        // Nothing is freed before everything is loaded (L23), so loading is a part of the work.
        if store.registry.try_load_one()? {
            return Ok(());
        }
        let mut round = match self.round.take() {
            Some(round) => round,
            None => match self.choose(store)? {
                Some(round) => round,
                None => return Ok(()),
            },
        };
        let debt = written.saturating_mul(round.cost_percent()) / 100;
        self.debt_bytes = self.debt_bytes.saturating_add(debt);
        let is_urgent = available <= COMMIT_RESERVE + 1;
        if round.has_copies_left() && (is_urgent || self.debt_bytes >= SLICE_BYTES) {
            let budget = Budget {
                items: usize::MAX,
                bytes: std::mem::take(&mut self.debt_bytes).max(SLICE_BYTES),
            };
            round.copy(outputs, budget)?;
            round.install_copies();
        }
        if round.has_copies_left() {
            self.round = Some(round);
            return Ok(());
        }
        let generations: Vec<u64> = round.generations().collect();
        if round.free_victims(outputs)? == 0 {
            self.left_out.extend(generations);
        }
        Ok(())
    }

    /// Begins a round: of all dead segments, or else of the one that has most dead bytes.
    fn choose(&mut self, store: &Store) -> Result<Option<CompactionRound>, EngineError> {
        if self.left_out.len() > LEFT_OUT_MAX {
            self.left_out.clear();
        }
        let is_left_out = |segment: &Segment| self.left_out.contains(&segment.generation);
        let mut candidates: Vec<(Arc<Segment>, ClosedSegment)> = store.log.segments.closed();
        candidates.retain(|(segment, _)| !is_left_out(segment));
        let mut victims: Vec<_> = candidates.extract_if(.., |one| is_dead(one)).collect();
        if victims.is_empty() {
            let wasteful = candidates.into_iter().filter(is_wasteful);
            victims.extend(wasteful.min_by_key(|(segment, _)| (segment.live_bytes(), segment.id)));
        }
        let generations: Vec<u64> = victims
            .iter()
            .map(|(segment, _)| segment.generation)
            .collect();
        match CompactionRound::begin(&store.registry, victims, Packing::Together) {
            Err(EngineError::Corrupt { .. }) => {
                self.left_out.extend(generations);
                Ok(None)
            }
            result => result,
        }
    }

    /// Returns whether a round is under way.
    #[cfg(test)]
    pub(in crate::logstor) fn is_under_way(&self) -> bool {
        self.round.is_some()
    }

    /// Abandons the round, and releases its victims. Returns whether there was one.
    pub(in crate::logstor) fn abandon(&mut self) -> bool {
        self.round.take().is_some()
    }
}
