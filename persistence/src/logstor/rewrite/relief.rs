//! Back-pressure: when few segments are left, each commit does a part of the rewriting itself. How much was written goes in,
//! records are moved, and segments come to be free before the last ones are needed.
//!
//! Always (L29): what a commit does is bounded by what it wrote, times what its victim has to be moved for each byte that it
//! gives; so the more is dead the less it costs, and no commit pays for all. It goes by counts alone, and a failure is not
//! the commit's: whoever needs the room will be told.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::outputs::Outputs;
use super::reclaim::{is_dead, is_wasteful};
use super::round::{Packing, Round};
use crate::contract::{Budget, EngineError};
use crate::logstor::config::KEPT;
use crate::logstor::segment::Segment;
use crate::logstor::segments::Closed;
use crate::logstor::store::Store;

/// With fewer segments to be had commits begin to help.
pub(in crate::logstor) const MARK: u32 = KEPT + 4;
/// Less is not moved at once: each append has a sync.
const SLICE_BYTES: u64 = 16 << 10;
/// So many that gave nothing are remembered.
const LEFT_OUT_MAX: usize = 256;

/// What commits have begun.
#[derive(Debug, Default)]
pub(in crate::logstor) struct Relief {
    round: Option<Round>,
    /// Bytes that are to be moved for those that were written.
    owed: u64,
    /// Generations of what is damaged, or read by somebody.
    left_out: BTreeSet<u64>,
}

impl Relief {
    /// Does a part, for so many bytes that were written. `available` segments are left.
    ///
    /// # Errors
    /// As [`Round::copy`] and [`Round::free`]; what was begun is given up.
    pub(in crate::logstor) fn step(
        &mut self,
        store: &Store,
        outputs: &mut Outputs,
        written: u64,
        available: u32,
    ) -> Result<(), EngineError> {
        // Nothing is freed before everything is loaded (L23): that is a part of the work, too.
        if store.load_one_beside()? {
            return Ok(());
        }
        let mut round = match self.round.take() {
            Some(round) => round,
            None => match self.choose(store)? {
                Some(round) => round,
                None => return Ok(()),
            },
        };
        self.owed = self
            .owed
            .saturating_add(written.saturating_mul(round.cost_percent()) / 100);
        let is_urgent = available <= KEPT + 1;
        if round.has_copies_left() && (is_urgent || self.owed >= SLICE_BYTES) {
            let bytes = std::mem::take(&mut self.owed).max(SLICE_BYTES);
            round.copy(
                outputs,
                Budget {
                    items: usize::MAX,
                    bytes,
                },
            )?;
            round.swap();
        }
        if round.has_copies_left() {
            self.round = Some(round);
            return Ok(());
        }
        let generations: Vec<u64> = round.generations().collect();
        if round.free(outputs)? == 0 {
            self.left_out.extend(generations);
        }
        Ok(())
    }

    /// What is dead already, else the one that has most of it.
    fn choose(&mut self, store: &Store) -> Result<Option<Round>, EngineError> {
        if self.left_out.len() > LEFT_OUT_MAX {
            self.left_out.clear();
        }
        let is_left_out = |segment: &Segment| self.left_out.contains(&segment.generation);
        let mut candidates: Vec<(Arc<Segment>, Closed)> = store.log.segments.closed();
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
        match Round::begin(&store.registry, victims, Packing::Together) {
            Err(EngineError::Corrupt { .. }) => {
                self.left_out.extend(generations);
                Ok(None)
            }
            result => result,
        }
    }

    /// Whether something is begun.
    #[cfg(test)]
    pub(in crate::logstor) fn is_under_way(&self) -> bool {
        self.round.is_some()
    }

    /// Leaves what was begun to others; whether there was something.
    pub(in crate::logstor) fn let_go(&mut self) -> bool {
        self.round.take().is_some()
    }
}
