//! Which segments are worth rewriting: what lives in each goes in, the ones that give most come out. Pure.

/// A segment that may be rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) id: u32,
    pub(super) live_bytes: u64,
}

/// At most so many are rewritten together.
pub(super) const VICTIMS_MAX: usize = 8;

/// Of the candidates with the least that lives, so many that most segments are gained; none if no segment is.
/// Deterministic: of equal ones the lower number first.
pub(super) fn by_gain(mut candidates: Vec<Candidate>, segment_bytes: u32) -> Vec<u32> {
    candidates.sort_unstable_by_key(|candidate| (candidate.live_bytes, candidate.id));
    candidates.truncate(VICTIMS_MAX);
    let (mut live_bytes, mut best) = (0_u64, (0, 0));
    for (count, candidate) in (1_u64..).zip(&candidates) {
        live_bytes = live_bytes.saturating_add(candidate.live_bytes);
        // A sixteenth for headers, and for what no record fits into.
        let needed = (live_bytes + live_bytes / 16).div_ceil(segment_bytes.into());
        let gain = count.saturating_sub(needed);
        // Of equal gains the one that copies less.
        if gain > best.0 {
            best = (gain, count);
        }
    }
    let (gain, count) = best;
    let count = if gain == 0 { 0 } else { count as usize };
    candidates
        .into_iter()
        .take(count)
        .map(|candidate| candidate.id)
        .collect()
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
    fn dead_segments_go_and_full_ones_stay() {
        assert_eq!(by_gain(candidates(&[100, 0, 95, 0]), 100), [1, 3]);
        assert_eq!(by_gain(candidates(&[100, 95, 90]), 100), [0; 0]);
        assert_eq!(by_gain(candidates(&[45, 90, 45]), 100), [0, 2]);
        assert_eq!(by_gain(candidates(&[0; 20]), 100).len(), VICTIMS_MAX);
    }

    proptest! {
        #[test]
        fn whatever_is_chosen_fits_into_fewer_segments(live in prop::collection::vec(0_u64..=1000, 0..30)) {
            let chosen = by_gain(candidates(&live), 1000);
            let bytes: u64 = chosen.iter().map(|&id| live[id as usize]).sum();
            prop_assert!(chosen.is_empty() || bytes.div_ceil(1000) < chosen.len() as u64);
            if live.contains(&0) {
                prop_assert!(!chosen.is_empty());
            }
        }
    }
}
