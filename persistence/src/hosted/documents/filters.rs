//! The filters of one vBucket: the one that answers, and the one that a scan is filling.
//!
//! # Invariants
//! - Both get each key that is put (D6).

use super::key_filter::KeyFilter;

/// Filters of the keys in the committed name space.
#[derive(Debug, Default)]
pub(super) struct Filters {
    /// Has every key.
    complete: Option<KeyFilter>,
    /// Gets the keys of the scan with that number.
    filling: Option<(KeyFilter, u64)>,
}

impl Filters {
    pub(super) fn add(&mut self, hash: u64) {
        let filling = self.filling.as_mut().map(|(filter, _)| filter);
        for filter in self.complete.as_mut().into_iter().chain(filling) {
            filter.add(hash);
        }
    }

    /// Returns `false` if the key with that hash is certainly absent.
    pub(super) fn may_contain(&self, hash: u64) -> bool {
        self.complete
            .as_ref()
            .is_none_or(|filter| filter.may_contain(hash))
    }

    /// Returns whether the filter that is being filled has the key with that hash.
    pub(super) fn filling_has(&self, hash: u64) -> bool {
        let filling = self.filling.as_ref();
        filling.is_none_or(|(filter, _)| filter.may_contain(hash))
    }

    /// Returns whether a scan should fill another filter.
    pub(super) fn is_wanted(&self) -> bool {
        let complete = self.complete.as_ref();
        self.filling.is_none() && complete.is_none_or(KeyFilter::is_overfull)
    }

    /// Returns the number of keys that the filter which answers has got.
    pub(super) fn added(&self) -> usize {
        self.complete.as_ref().map_or(0, KeyFilter::added)
    }

    /// Begins to fill a filter for the scan with that number.
    pub(super) fn begin(&mut self, filter: KeyFilter, number: u64) {
        self.filling = Some((filter, number));
    }

    /// Returns the filter that the scan with that number is filling.
    pub(super) fn filling(&mut self, number: u64) -> Option<&mut KeyFilter> {
        let filling = self.filling.as_mut();
        filling
            .filter(|filling| filling.1 == number)
            .map(|filling| &mut filling.0)
    }

    /// Ends the scan with that number. Returns its filter.
    pub(super) fn end(&mut self, number: u64) -> Option<KeyFilter> {
        self.filling(number)?;
        self.filling.take().map(|(filter, _)| filter)
    }

    /// Makes a filter that has every key the one that answers.
    pub(super) fn complete(&mut self, filter: KeyFilter) {
        self.complete = Some(filter);
    }

    pub(super) fn bytes(&self) -> usize {
        let filling = self.filling.as_ref().map(|(filter, _)| filter);
        let filters = self.complete.iter().chain(filling);
        filters.map(KeyFilter::bytes).sum()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
