//! The number of live items before each segment: a Fenwick tree over the segments' numbers.
//!
//! It answers in O(log segments) how many items lie ahead of a cursor.
//!
//! # Invariants
//! - The sum below a number is the sum of everything added to the numbers below it.
//! - Appending, adding and summing are O(log segments).

use crate::internal::invariant::{Invariant, checked_invariant};

/// A count for each segment, and sums over them.
#[derive(Debug, Default)]
pub(super) struct LiveCounts {
    /// One-based Fenwick tree, without its unused entry 0.
    tree: Vec<i64>,
}

impl LiveCounts {
    /// Creates a tree with these counts for the numbers from 0 on.
    pub(super) fn from_counts(counts: impl Iterator<Item = usize>) -> Self {
        let mut tree = Self::default();
        for count in counts {
            let number = tree.append();
            tree.add(number, count as i64);
        }
        tree
    }

    /// Returns how many numbers there are.
    pub(super) fn len(&self) -> usize {
        self.tree.len()
    }

    /// Appends the next number with count 0, and returns it.
    pub(super) fn append(&mut self) -> usize {
        let number = self.tree.len();
        let index = number + 1;
        // A node sums the numbers that its lowest bit spans. All except the new one exist already.
        let span = index & index.wrapping_neg();
        let sum = self.before(number) - self.before(index - span);
        self.tree.push(sum as i64);
        number
    }

    /// Adds to a number's count.
    pub(super) fn add(&mut self, number: usize, count: i64) {
        checked_invariant!(
            number < self.tree.len(),
            "C2",
            "a segment has a number in the live counts"
        );
        let mut index = number + 1;
        while let Some(node) = self.tree.get_mut(index - 1) {
            *node += count;
            index += index & index.wrapping_neg();
        }
    }

    /// Returns the sum of the counts of all numbers below `number`.
    pub(super) fn before(&self, number: usize) -> usize {
        let mut index = number;
        let mut sum = 0;
        while let Some(below) = index.checked_sub(1) {
            sum += self
                .tree
                .get(below)
                .copied()
                .expected("C2", "a segment has a number in the live counts")
                // What is missing counts nothing, and the other counts stay right.
                .unwrap_or(0);
            index &= below;
        }
        usize::try_from(sum)
            .ok()
            .expected("C2", "no live count is negative")
            // A reader that gets too high a count finds less when it reads.
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        #[cfg_attr(miri, ignore = "too many steps")]
        fn live_counts_match_a_plain_list(steps in prop::collection::vec((0..500_usize, 0..50_i64), 1..200)) {
            let (mut counts, mut list) = (LiveCounts::default(), Vec::<i64>::new());
            for (which, count) in steps {
                if which % 3 == 0 || list.is_empty() {
                    prop_assert_eq!(counts.append(), list.len());
                    list.push(0);
                }
                let which = which % list.len();
                // Removed as often as added, down to 0.
                let count = if which % 2 == 0 { count } else { -list[which] };
                counts.add(which, count);
                list[which] += count;
                for number in 0..=list.len() {
                    let expected: i64 = list[..number].iter().sum();
                    prop_assert_eq!(counts.before(number), expected as usize);
                }
            }
            let again = LiveCounts::from_counts(list.iter().map(|&count| count as usize));
            prop_assert_eq!(again.before(list.len()), counts.before(list.len()));
        }
    }
}
