//! The audit of a vBucket's index, and what tests compare.

#[cfg(test)]
use std::collections::BTreeMap;

use super::VBucketIndex;
#[cfg(test)]
use crate::logstor::format::Location;
use crate::logstor::format::to_u64;

impl VBucketIndex {
    /// Returns the locations of all referenced records.
    #[cfg(test)]
    pub(in crate::logstor) fn locations(&self) -> Vec<Location> {
        let inner = self.lock();
        inner.index.locations().chain(inner.state_at).collect()
    }

    /// Returns the records of purged tombstones without a slot.
    #[cfg(test)]
    pub(in crate::logstor) fn reclaimed_tombstones(&self) -> BTreeMap<u64, u32> {
        self.lock().reclaimed_tombstones.clone()
    }

    /// Everything it knows, for comparison.
    #[cfg(test)]
    pub(in crate::logstor) fn dump(&self) -> String {
        let inner = self.lock();
        let mut dump = format!(
            "{} {:?} high {} of {:?}",
            self.vb, self.lineage, inner.high, inner.high_seqnos
        );
        dump += &format!(" {:?}", inner.purged);
        dump += &format!(
            " revision {} at {:?}: {:?}\n",
            inner.revision, inner.state_at, inner.state
        );
        dump += &format!(
            "{} items, {} deleted, hidden {:?}",
            inner.items, inner.deleted, inner.purged_pending
        );
        dump += &format!(", reclaimed {:?}\n", inner.reclaimed_tombstones);
        for slot in inner.index.iter_at(0, u64::MAX) {
            dump += &format!("{slot:?}\n");
        }
        dump
    }

    /// Returns violations of its invariants, one line each: O(keys) under the lock.
    pub(in crate::logstor) fn check(&self) -> Vec<String> {
        let inner = self.lock();
        let mut wrong = inner.index.check();
        let view = inner.view();
        let mut items = 0;
        let mut deleted = 0;
        for slot in inner
            .index
            .iter_at(0, u64::MAX)
            .filter(|slot| view.shows(slot))
        {
            *(if slot.tombstone {
                &mut deleted
            } else {
                &mut items
            }) += 1;
        }
        if (items, deleted) != (inner.items, inner.deleted) {
            wrong.push(format!(
                "{items} items and {deleted} tombstones, counted as {} and {}",
                inner.items, inner.deleted
            ));
        }
        let counted = inner.items + inner.deleted + to_u64(inner.purged_pending.len());
        if counted != to_u64(inner.index.len()) {
            wrong.push(format!(
                "{} keys, {} of them hidden",
                inner.index.len(),
                inner.purged_pending.len()
            ));
        }
        wrong
    }
}
