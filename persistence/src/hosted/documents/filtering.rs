//! The filter of one vBucket's keys: how the host fills it, and how it is replaced.
//!
//! An engine without an index in memory reads its file to learn that a key is absent. A filter knows
//! that most of such keys are. The host fills it by a scan of the engine's keys, concurrently with
//! writes. Every put adds its key, and so does every revision that is in memory when the scan begins.
//! Until the scan has ended, the filter answers nothing, and the one before it serves.
//!
//! # Invariants
//! - A filter that answers has every key that was put or is in the engine (D6). Keys are never
//!   removed. A rollback may bring back keys that were purged before the scan, so clearing drops
//!   the filter.

use lowtide_checkpoint::Key;

use super::documents::Documents;
use super::entry::Content;
use super::key_filter::KeyFilter;

/// A scan of the engine's keys in progress, for a filter.
#[derive(Debug)]
#[must_use = "a filter answers once its scan is complete"]
pub struct FilterScan {
    number: u64,
}

/// The error of a scan that another one replaced, or whose documents were cleared. The host ends the
/// scan, and begins another one if [`Documents::needs_filter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scan of keys is void: the documents were cleared, or another scan began")]
pub struct FilterScanVoid;

impl Documents {
    /// Returns whether there is no filter, or one that has more than twice as many keys as were
    /// expected, and none is being filled.
    #[must_use]
    pub fn needs_filter(&self) -> bool {
        self.filters.is_wanted()
    }

    /// Begins a filter for that many keys, or for as many as the one before it has got. It costs 12
    /// bits for each, which count as used and are not evicted.
    ///
    /// The host then takes a snapshot of the engine, passes every key of the committed name space to
    /// [`Documents::filter_key`], and ends with [`Documents::complete_filter`]. The snapshot must not
    /// be older than this call. O(entries).
    pub fn begin_filter(&mut self, expected_keys: usize) -> FilterScan {
        // What is not on disk yet was added as well.
        let mut filter = KeyFilter::new(expected_keys.max(self.filters.added()));
        for entry in self.table.iter() {
            // The snapshot may lack what is not persisted.
            if let Content::Revision(item) = &entry.content {
                filter.add(self.table.hash(&item.key));
            }
        }
        let number = self.budget.next_generation();
        self.filters.begin(filter, number);
        self.settle();
        FilterScan { number }
    }

    /// Adds a key of the engine to the filter.
    ///
    /// # Errors
    /// [`FilterScanVoid`] if the documents were cleared since the scan began, or another one began.
    pub fn filter_key(&mut self, scan: &FilterScan, key: &Key) -> Result<(), FilterScanVoid> {
        let hash = self.table.hash(key);
        let filter = self.filters.filling(scan.number).ok_or(FilterScanVoid)?;
        filter.add(hash);
        Ok(())
    }

    /// Ends a scan that has passed all keys: from now on its filter answers, in place of the one
    /// before it.
    ///
    /// # Errors
    /// Same as [`Documents::filter_key`].
    pub fn complete_filter(&mut self, scan: FilterScan) -> Result<(), FilterScanVoid> {
        let filter = self.filters.end(scan.number).ok_or(FilterScanVoid)?;
        self.filters.complete(filter);
        self.settle();
        Ok(())
    }

    /// Ends a scan that failed. Its filter is dropped.
    pub fn abandon_filter(&mut self, scan: FilterScan) {
        drop(self.filters.end(scan.number));
        self.settle();
    }
}
