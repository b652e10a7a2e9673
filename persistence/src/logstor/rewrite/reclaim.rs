//! Making room when none is left: what is dead goes first, then whatever gives most is packed together. The caller waits.
//!
//! Always: it ends. It looks only at segments that were closed when it began, and each is rewritten at most once. What
//! a job has claimed is left to the job; if that is not enough, the caller takes it away from the job, and tries again.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::outputs::Outputs;
use super::round::{Packing, Round};
use crate::contract::{Budget, EngineError};
use crate::logstor::segment::Segment;
use crate::logstor::segments::{Closed, Origin};
use crate::logstor::store::Store;

/// Makes segments free; whether it made any.
///
/// # Errors
/// [`EngineError::Disk`] or [`EngineError::Poisoned`]; nothing is lost.
pub(in crate::logstor) fn reclaim(
    store: &Store,
    outputs: &mut Outputs,
) -> Result<bool, EngineError> {
    store.load_all()?;
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
        && let Some(round) = Round::begin(&store.registry, dead, Packing::Together)?
        && round.free(outputs)? > 0
    {
        return Ok(true);
    }
    // Those that are damaged, or that somebody reads.
    let mut left_out = BTreeSet::new();
    loop {
        let movable = candidates();
        let wasteful = movable
            .filter(is_wasteful)
            .filter(|(segment, _)| !left_out.contains(&segment.id));
        let Some(victim) = wasteful.min_by_key(|(segment, _)| (segment.live_bytes(), segment.id))
        else {
            return Ok(false);
        };
        left_out.insert(victim.0.id);
        let mut round = match Round::begin(&store.registry, vec![victim], Packing::Together) {
            Ok(Some(round)) => round,
            Ok(None) | Err(EngineError::Corrupt { .. }) => continue,
            Err(error) => return Err(error),
        };
        while round.has_copies_left() {
            round.copy(outputs, Budget::NONE)?;
            round.swap();
        }
        round.free(outputs)?;
        if segments.census().free > before.free {
            return Ok(true);
        }
    }
}

/// Whether a closed segment can be freed as it is.
pub(super) fn is_dead((segment, closed): &(Arc<Segment>, Closed)) -> bool {
    segment.live_records() == 0 && closed.origin != Origin::Large { first: false }
}

/// Whether rewriting gives anything. What was packed before, and is full, does not.
pub(super) fn is_wasteful((segment, closed): &(Arc<Segment>, Closed)) -> bool {
    let bytes = u64::from(segment.bytes);
    let is_large = matches!(closed.origin, Origin::Large { .. });
    !is_large && bytes.saturating_sub(segment.live_bytes()) > bytes / 32
}
