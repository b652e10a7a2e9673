//! Selection of the segments that are worth rewriting. Pure: it goes by counts alone.
//!
//! A policy of its own, so that it can be tested without a store.

use std::sync::Arc;

use crate::logstor::format::to_u64;
use crate::logstor::log::{ClosedSegment, Origin, Segment};

/// A segment that may be rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor::maintenance) struct Candidate {
    pub(in crate::logstor::maintenance) id: u32,
    pub(in crate::logstor::maintenance) live_bytes: u64,
}

/// Segments that are rewritten together, at most.
pub(in crate::logstor::maintenance) const VICTIMS_MAX: usize = 8;

/// Selects the emptiest candidates, as many as maximize the number of segments freed. Empty if
/// rewriting would free none. Deterministic: of equal candidates the one with the lower number
/// comes first.
pub(in crate::logstor::maintenance) fn select_by_gain(
    mut candidates: Vec<Candidate>,
    segment_bytes: u32,
) -> Vec<u32> {
    candidates.sort_unstable_by_key(|candidate| (candidate.live_bytes, candidate.id));
    candidates.truncate(VICTIMS_MAX);
    let mut live_bytes = 0_u64;
    let mut best = (0, 0);
    for (count, candidate) in (1..).zip(&candidates) {
        live_bytes += candidate.live_bytes;
        // A sixteenth is for headers and for the ends of segments that no record fits into.
        let needed = (live_bytes + live_bytes / 16).div_ceil(segment_bytes.into());
        let gain = to_u64(count).saturating_sub(needed);
        // Of equal gains the first copies least.
        if gain > best.0 {
            best = (gain, count);
        }
    }
    // Without a gain no count was noted.
    let (_, count) = best;
    candidates
        .into_iter()
        .take(count)
        .map(|candidate| candidate.id)
        .collect()
}

/// Returns whether a closed segment can be freed without copying.
pub(in crate::logstor::maintenance) fn is_dead(
    (segment, closed): &(Arc<Segment>, ClosedSegment),
) -> bool {
    segment.live_records() == 0 && closed.origin != Origin::Large { first: false }
}

/// Returns whether rewriting a segment gains space. A segment that was packed before and is full
/// does not.
pub(super) fn is_wasteful((segment, closed): &(Arc<Segment>, ClosedSegment)) -> bool {
    let bytes = u64::from(segment.bytes);
    let is_large = matches!(closed.origin, Origin::Large { .. });
    !is_large && bytes.saturating_sub(segment.live_bytes()) > bytes / 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidates(live: &[u64]) -> Vec<Candidate> {
        (0..)
            .zip(live)
            .map(|(id, &live_bytes)| Candidate { id, live_bytes })
            .collect()
    }

    #[test]
    fn dead_segments_are_chosen_and_full_ones_are_not() {
        assert_eq!(select_by_gain(candidates(&[100, 0, 95, 0]), 100), [1, 3]);
        assert_eq!(select_by_gain(candidates(&[100, 95, 90]), 100), [0; 0]);
        assert_eq!(select_by_gain(candidates(&[45, 90, 45]), 100), [0, 2]);
        assert_eq!(select_by_gain(candidates(&[0; 20]), 100).len(), VICTIMS_MAX);
    }

    proptest! {
        #[test]
        fn chosen_segments_fit_into_fewer(live in prop::collection::vec(0_u64..=1000, 0..30)) {
            let chosen = select_by_gain(candidates(&live), 1000);
            let bytes: u64 = chosen.iter().map(|&id| live[id as usize]).sum();
            prop_assert!(chosen.is_empty() || bytes.div_ceil(1000) < chosen.len() as u64);
            if live.contains(&0) {
                prop_assert!(!chosen.is_empty());
            }
        }
    }
}
