//! A set of byte ranges of a file, which tells whether a new range overlaps any of them.
//!
//! One bit stands for eight bytes. It is set if a range contains the first of them. No chunk is
//! shorter, so each sets at least one bit, and two that do not overlap never set the same one. The
//! memory is a 64th of the part of the file that is in the set.

use std::collections::BTreeMap;

use crate::numbers::part_to_usize;

/// Bytes for one bit.
const CELL_BYTES: u64 = 8;
const WORD_CELLS: u64 = 64;
/// Words in a page. Only pages with a set bit take memory.
const PAGE_WORDS: u64 = 512;

/// A set of bytes of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extents {
    /// Pages with a set bit, by number.
    pages: BTreeMap<u64, Box<[u64; PAGE_WORDS as usize]>>,
}

impl Extents {
    /// Adds `start..end` if all of it is free. Returns whether it was.
    pub(crate) fn take(&mut self, start: u64, end: u64) -> bool {
        if !self.is_free(start, end) {
            return false;
        }
        let cells = || words(start.div_ceil(CELL_BYTES), end.div_ceil(CELL_BYTES));
        for (word, mask) in cells() {
            let page = self
                .pages
                .entry(word / PAGE_WORDS)
                .or_insert_with(|| Box::new([0; PAGE_WORDS as usize]));
            if let Some(slot) = page.get_mut(part_to_usize(word % PAGE_WORDS)) {
                *slot |= mask;
            }
        }
        true
    }

    /// Returns whether all of `start..end` is free.
    pub(crate) fn is_free(&self, start: u64, end: u64) -> bool {
        let mut cells = words(start.div_ceil(CELL_BYTES), end.div_ceil(CELL_BYTES));
        cells.all(|(word, mask)| self.word(word) & mask == 0)
    }

    fn word(&self, word: u64) -> u64 {
        let page = self.pages.get(&(word / PAGE_WORDS));
        page.and_then(|page| page.get(part_to_usize(word % PAGE_WORDS)))
            .copied()
            .unwrap_or_default()
    }
}

/// Iterates over the words that hold the cells `from..to`, each with the mask of those cells.
fn words(from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
    (from / WORD_CELLS..to.div_ceil(WORD_CELLS)).map(move |word| {
        let first = word * WORD_CELLS;
        let (low, high) = (from.saturating_sub(first), (to - first).min(WORD_CELLS));
        let below = |bits: u64| {
            if bits >= WORD_CELLS {
                u64::MAX
            } else {
                (1 << bits) - 1
            }
        };
        (word, below(high) & !below(low))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_refuse_overlaps_and_take_neighbours() {
        let mut extents = Extents::default();
        assert!(extents.take(48, 77));
        assert!(extents.take(77, 85), "the next one");
        assert!(extents.take(4000, 10_000));
        for (start, end) in [
            (48, 77),
            (40, 49),
            (77, 85),
            (60, 70),
            (9_990, 9_999),
            (0, 1 << 20),
        ] {
            assert!(!extents.take(start, end), "{start}..{end}");
        }
        assert!(
            extents.take(10_000, 10_008) && extents.take(85, 4000),
            "what was refused took nothing"
        );
    }

    #[test]
    fn extents_match_a_set_of_bytes() {
        let mut state = 7_u64;
        let mut extents = Extents::default();
        let mut taken = std::collections::BTreeSet::new();
        for _ in 0..3000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let start = (state >> 33) % 20_000;
            let end = start + 8 + (state >> 20) % 40;
            let cells: Vec<u64> = (start..end)
                .filter(|byte| byte.is_multiple_of(CELL_BYTES))
                .collect();
            let free = cells.iter().all(|cell| !taken.contains(cell));
            assert_eq!(extents.take(start, end), free, "{start}..{end}");
            if free {
                taken.extend(cells);
            }
        }
    }
}
