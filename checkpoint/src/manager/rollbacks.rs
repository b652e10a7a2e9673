//! Which rollbacks there were, for subscribers that look only now and then.
//!
//! In goes the seqno of each rollback; out comes how far down a subscriber must go that has seen so many of them. What
//! always holds: the places that are kept rise, so the first one a subscriber has not seen is the lowest of all it has
//! not seen; there are at most [`PLACES_MAX`], and one that is forgotten counts as part of the next, lower one.

use crate::Seqno;

/// Rollbacks to ever higher places are rare; of so many a subscriber may be told a lower place than it had to go to.
const PLACES_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Rollbacks {
    count: u64,
    /// Count and seqno of those that no later one went below.
    places: Vec<(u64, Seqno)>,
}

impl Rollbacks {
    pub(super) fn note(&mut self, seqno: Seqno) {
        self.count += 1;
        self.places.retain(|&(_, place)| place < seqno);
        self.places.push((self.count, seqno));
        if self.places.len() > PLACES_MAX {
            // The lower of the two stands for both.
            let (_, lowest) = self.places.remove(0);
            if let Some((_, place)) = self.places.first_mut() {
                *place = lowest;
            }
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The lowest place of those after the first `seen`; `None` if there are none.
    pub(super) fn lowest_after(&self, seen: u64) -> Option<Seqno> {
        self.places
            .iter()
            .find(|&&(count, _)| count > seen)
            .map(|&(_, place)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_place_not_seen_is_told() {
        let mut rollbacks = Rollbacks::default();
        assert_eq!(rollbacks.lowest_after(0), None);
        for place in [5, 2, 8, 6, 9] {
            rollbacks.note(Seqno(place));
        }
        let told: Vec<_> = (0..=5)
            .map(|seen| rollbacks.lowest_after(seen).map(|place| place.0))
            .collect();
        assert_eq!(told, [Some(2), Some(2), Some(6), Some(6), Some(9), None]);
    }

    #[test]
    fn what_is_forgotten_is_told_as_something_lower() {
        let mut rollbacks = Rollbacks::default();
        let rising = 1..=PLACES_MAX as u64 * 2;
        rising
            .clone()
            .for_each(|place| rollbacks.note(Seqno(place)));
        assert_eq!(rollbacks.places.len(), PLACES_MAX);
        for seen in 0..*rising.end() {
            assert!(
                rollbacks
                    .lowest_after(seen)
                    .is_some_and(|place| place <= Seqno(seen + 1)),
                "{seen}"
            );
        }
    }
}
