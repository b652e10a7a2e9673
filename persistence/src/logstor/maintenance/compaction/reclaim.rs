//! Reclaiming of space when none is left: dead segments are freed first, then the emptiest ones are
//! packed together.
//!
//! The caller waits: it is a commit that found no free segment.
//!
//! # Invariants
//!
//! It ends: it considers only segments that were closed when it began, and rewrites each at most
//! once. Segments that a job has claimed are left to the job. If the rest is not enough, the caller
//! takes them from the job and tries again.

use std::collections::BTreeSet;

use super::output_segments::OutputSegments;
use super::round::{CompactionRound, Packing};
use super::victim_selection::{is_dead, is_wasteful};
use crate::contract::{Budget, EngineError};
use crate::logstor::store::Store;

/// Frees segments. Returns whether it freed any.
///
/// # Errors
/// [`EngineError::Disk`] or [`EngineError::Poisoned`]; nothing is lost.
pub(in crate::logstor) fn reclaim(
    store: &Store,
    outputs: &mut OutputSegments,
) -> Result<bool, EngineError> {
    store.registry.load_all()?;
    let segments = &store.log.segments;
    let before = segments.census();
    outputs.close_all(&store.log);
    let upto = segments.next_generation();
    let candidates = || {
        segments
            .closed()
            .into_iter()
            .filter(|(segment, _)| segment.generation < upto)
    };
    let dead: Vec<_> = candidates().filter(is_dead).collect();
    if !dead.is_empty()
        && let Some(round) = CompactionRound::begin(&store.registry, dead, Packing::Together)?
        && round.free_victims(outputs)? > 0
    {
        return Ok(true);
    }
    // Damaged segments, and segments that a reader holds.
    let mut left_out = BTreeSet::new();
    loop {
        let wasteful = candidates()
            .filter(is_wasteful)
            .filter(|(segment, _)| !left_out.contains(&segment.id));
        let Some(victim) = wasteful.min_by_key(|(segment, _)| (segment.live_bytes(), segment.id))
        else {
            return Ok(false);
        };
        left_out.insert(victim.0.id);
        let round = CompactionRound::begin(&store.registry, vec![victim], Packing::Together);
        let mut round = match round {
            Ok(Some(round)) => round,
            Ok(None) | Err(EngineError::Corrupt { .. }) => continue,
            Err(error) => return Err(error),
        };
        while round.has_copies_left() {
            round.copy(outputs, Budget::NONE)?;
            round.install_copies();
        }
        round.free_victims(outputs)?;
        if segments.census().free > before.free {
            return Ok(true);
        }
    }
}
