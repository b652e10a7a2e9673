//! The log tail of a vBucket: its records that were scanned beyond the image when the store was
//! opened.
//!
//! # Invariants
//!
//! Records with the same first bits of their fingerprints lie together, in the order of those bits.
//! So a key's records are found among a few, and sorting all costs little more than sorting each
//! group. All are sorted only when all are requested.

use std::collections::BTreeMap;
use std::sync::Arc;

use lowtide_checkpoint::internal::Invariant;

use crate::logstor::format::{Fingerprint, to_usize};
use crate::logstor::index_image::sort_for_merge;
use crate::logstor::log::{ScannedRecord, Segment, SegmentUses};

/// Records of a group, approximately.
const ITEMS_TOGETHER: usize = 32;
/// Bits of a group number, at most: the ends of more groups would not fit into the processor's
/// cache.
const BITS_MAX: u32 = 16;

#[derive(Debug)]
pub(super) struct LogTail {
    items: Vec<ScannedRecord>,
    /// First bits of a fingerprint that are its group's number.
    bits: u32,
    /// End of each group.
    ends: Vec<usize>,
    /// The segments of the records.
    held: BTreeMap<u32, Arc<Segment>>,
}

impl LogTail {
    /// Groups records, whose segments are in `uses`: O(records).
    pub(super) fn new(found: Vec<ScannedRecord>, uses: &SegmentUses) -> Self {
        let held = held(&found, uses);
        let bits = (found.len() / ITEMS_TOGETHER)
            .checked_ilog2()
            .unwrap_or(0)
            .min(BITS_MAX);
        let mut ends = vec![0_usize; 1 << bits];
        for item in &found {
            let count = ends.get_mut(item.fingerprint.first_bits(bits));
            // A record without a group would be in the place of another one, and found by no get.
            if let Some(count) = count.expected("L38", "each first bits have a group") {
                *count += 1;
            }
        }
        let mut begin = 0;
        for end in &mut ends {
            // For now the position of the next record of the group.
            begin += std::mem::replace(end, begin);
        }
        let mut items = found.clone();
        for item in found {
            let next = ends.get_mut(item.fingerprint.first_bits(bits));
            let Some(next) = next.expected("L38", "each first bits have a group") else {
                continue;
            };
            if let Some(place) = items.get_mut(*next) {
                *place = item;
            }
            *next += 1;
        }
        Self {
            items,
            bits,
            ends,
            held,
        }
    }

    fn group(&self, number: usize) -> &[ScannedRecord] {
        // The first group begins at 0.
        let begin = number
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .map_or(0, |end| *end);
        let end = self.ends.get(number).copied();
        let group = end.and_then(|end| self.items.get(begin..end));
        // An empty group makes a get miss the key until the vBucket is loaded, which takes all groups.
        group
            .expected("L38", "a group lies within the tail")
            .unwrap_or_default()
    }

    /// Returns the records of a key, sorted for a merge.
    pub(super) fn of_key(&self, of: Fingerprint) -> Vec<ScannedRecord> {
        let group = self.group(of.first_bits(self.bits)).iter();
        let mut items: Vec<ScannedRecord> = group
            .filter(|item| item.fingerprint == of)
            .copied()
            .collect();
        sort_for_merge(&mut items);
        items
    }

    /// Returns all records, sorted for a merge.
    pub(super) fn sorted(&self) -> Vec<ScannedRecord> {
        let mut items = Vec::with_capacity(self.items.len());
        for number in 0..self.ends.len() {
            let begin = items.len();
            items.extend_from_slice(self.group(number));
            let (_, group) = items.split_at_mut(begin);
            sort_for_merge(group);
        }
        items
    }

    /// Returns the segments of the records.
    pub(super) fn held(&self) -> &BTreeMap<u32, Arc<Segment>> {
        &self.held
    }
}

fn held(found: &[ScannedRecord], uses: &SegmentUses) -> BTreeMap<u32, Arc<Segment>> {
    // They were scanned segment by segment.
    let runs = found.chunk_by(|a, b| a.at.segment == b.at.segment);
    let ids = runs
        .filter_map(|run| run.first())
        .map(|item| item.at.segment);
    let segment = |id: u32| {
        uses.get(to_usize(id))
            .cloned()
            .flatten()
            .map(|segment| (id, segment))
    };
    ids.filter_map(segment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logstor::format::Location;
    use lowtide_checkpoint::Namespace;
    use proptest::prelude::*;

    fn item((key, seqno): (u16, u64)) -> ScannedRecord {
        let fingerprint = Fingerprint::of(
            crate::logstor::hash_key::HashKey::new([1, 2]),
            Namespace::Committed,
            &key.to_be_bytes(),
        );
        ScannedRecord {
            epoch: 1,
            fingerprint,
            seqno,
            at: Location::default(),
            tombstone: false,
            collection: None,
            append_seqno: seqno,
        }
    }

    proptest! {
        #[test]
        fn tail_has_each_record_where_it_is_looked_up(keys in prop::collection::vec((0_u16..300, any::<u64>()), 0..2000)) {
            let mut items: Vec<ScannedRecord> = keys.into_iter().map(item).collect();
            let log_tail = LogTail::new(items.clone(), &SegmentUses::new());
            sort_for_merge(&mut items);
            let named = |items: &[ScannedRecord]| -> Vec<_> {
                items.iter().map(|item| (item.fingerprint, item.seqno)).collect()
            };
            prop_assert_eq!(named(&log_tail.sorted()), named(&items));
            for key in 0..310 {
                let of = item((key, 0)).fingerprint;
                let mut expected = items.clone();
                expected.retain(|item| item.fingerprint == of);
                prop_assert_eq!(named(&log_tail.of_key(of)), named(&expected));
            }
        }
    }
}
