//! A set of numbers, kept as ranges.
//!
//! # Invariants
//!
//! Ranges are not empty, do not touch one another, and ascend.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of `u64` made of ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RangeSet {
    /// The start of each range, with its end.
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// Returns the set of one range's numbers.
    pub(super) fn from_range(range: Range<u64>) -> Self {
        let mut set = Self::default();
        set.insert(range);
        set
    }

    pub(super) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        // Ranges that touch the new one become part of it. Later ones come first: the loop ends at
        // the first that lies wholly below.
        while let Some((&low, &high)) = self.ranges.range(..=end).next_back() {
            if high < start {
                break;
            }
            self.ranges.remove(&low);
            start = start.min(low);
            end = end.max(high);
        }
        self.ranges.insert(start, end);
    }

    pub(super) fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        while let Some((&low, &high)) = self.ranges.range(..range.end).next_back() {
            if high <= range.start {
                break;
            }
            self.ranges.remove(&low);
            if low < range.start {
                self.ranges.insert(low, range.start);
            }
            if high > range.end {
                self.ranges.insert(range.end, high);
            }
        }
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.ranges
            .range(..=number)
            .next_back()
            .is_some_and(|(_, &end)| number < end)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Returns one past the largest number, or 0 for the empty set.
    pub(super) fn end(&self) -> u64 {
        self.ranges.last_key_value().map_or(0, |(_, &end)| end)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ranges.iter().map(|(&start, &end)| start..end)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn range_set_after_any_steps_equals_a_plain_set(steps in prop::collection::vec((any::<bool>(), 0u64..40, 0u64..12), 0..40)) {
            let mut ranges = RangeSet::default();
            let mut model = BTreeSet::new();
            for (adds, start, len) in steps {
                let range = start..start + len;
                if adds {
                    model.extend(range.clone());
                    ranges.insert(range);
                } else {
                    model.retain(|number| !range.contains(number));
                    ranges.remove(range);
                }
                prop_assert!((0..60).all(|number| ranges.contains(number) == model.contains(&number)));
                prop_assert_eq!(ranges.iter().flatten().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(ranges.end(), model.last().map_or(0, |last| last + 1));
                prop_assert_eq!(ranges.is_empty(), model.is_empty());
                let pairs: Vec<_> = ranges.iter().collect();
                prop_assert!(pairs.windows(2).all(|pair| pair[0].end < pair[1].start));
            }
        }
    }
}
