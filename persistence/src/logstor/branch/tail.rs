//! What was found of a vBucket beside the image: items go in as they were found; those of one key, or all in the order a merge
//! wants, come out.
//!
//! Always: items with the same first bits of their fingerprints lie together, in the order of those bits; so a key's are found
//! among a few, and sorting all costs little more than sorting each few. That is done when somebody asks for all.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::logstor::fingerprint::Fingerprint;
use crate::logstor::found::FoundItem;
use crate::logstor::image::sort;
use crate::logstor::segment::Segment;
use crate::logstor::segments::Table;

/// So many items lie together, about.
const ITEMS_TOGETHER: usize = 32;
/// More groups are not made: their beginnings would take more memory than is near.
const BITS_MAX: u32 = 16;

#[derive(Debug)]
pub(super) struct Tail {
    items: Vec<FoundItem>,
    /// Bits of a fingerprint that tell its group.
    bits: u32,
    /// Where each group ends.
    ends: Vec<usize>,
    /// The segments they are in.
    held: BTreeMap<u32, Arc<Segment>>,
}

impl Tail {
    /// O(items). Their segments are those of the table.
    pub(super) fn new(found: Vec<FoundItem>, table: &Table) -> Self {
        let held = held(&found, table);
        let bits = (found.len() / ITEMS_TOGETHER)
            .checked_ilog2()
            .unwrap_or(0)
            .min(BITS_MAX);
        let mut ends = vec![0_usize; 1 << bits];
        for item in &found {
            if let Some(count) = ends.get_mut(item.fingerprint.first_bits(bits)) {
                *count += 1;
            }
        }
        let mut begin = 0;
        for end in &mut ends {
            // For now where the next item of the group goes.
            begin += std::mem::replace(end, begin);
        }
        let mut items = found.clone();
        for item in found {
            let Some(next) = ends.get_mut(item.fingerprint.first_bits(bits)) else {
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

    fn group(&self, number: usize) -> &[FoundItem] {
        let end = self.ends.get(number).copied().unwrap_or(0);
        let before = number
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        self.items
            .get(before.copied().unwrap_or(0)..end)
            .unwrap_or_default()
    }

    /// Those of a key, as a merge wants them.
    pub(super) fn of_key(&self, of: Fingerprint) -> Vec<FoundItem> {
        let group = self.group(of.first_bits(self.bits)).iter();
        let mut items: Vec<FoundItem> = group
            .filter(|item| item.fingerprint == of)
            .copied()
            .collect();
        sort(&mut items);
        items
    }

    /// All, as a merge wants them.
    pub(super) fn sorted(&self) -> Vec<FoundItem> {
        let mut items = Vec::with_capacity(self.items.len());
        for number in 0..self.ends.len() {
            let begin = items.len();
            items.extend_from_slice(self.group(number));
            sort(items.get_mut(begin..).unwrap_or_default());
        }
        items
    }

    /// The segments they are in.
    pub(super) fn held(&self) -> &BTreeMap<u32, Arc<Segment>> {
        &self.held
    }
}

fn held(found: &[FoundItem], table: &Table) -> BTreeMap<u32, Arc<Segment>> {
    // They were found segment by segment.
    let runs = found.chunk_by(|a, b| a.at.segment == b.at.segment);
    let ids = runs
        .filter_map(|run| run.first())
        .map(|item| item.at.segment);
    let segment = |id: u32| {
        table
            .get(id as usize)
            .cloned()
            .flatten()
            .map(|segment| (id, segment))
    };
    ids.filter_map(segment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logstor::segment::Location;
    use lowtide_checkpoint::Namespace;
    use proptest::prelude::*;

    fn item((key, seqno): (u16, u64)) -> FoundItem {
        let fingerprint = Fingerprint::of([1, 2], Namespace::Committed, &key.to_be_bytes());
        let (epoch, at, tombstone, collection, number) =
            (1, Location::default(), false, None, seqno);
        FoundItem {
            epoch,
            fingerprint,
            seqno,
            at,
            tombstone,
            collection,
            number,
        }
    }

    proptest! {
        #[test]
        fn a_tail_has_each_item_where_it_is_looked_for(keys in prop::collection::vec((0_u16..300, any::<u64>()), 0..2000)) {
            let mut items: Vec<FoundItem> = keys.into_iter().map(item).collect();
            let tail = Tail::new(items.clone(), &Table::new());
            sort(&mut items);
            let named = |items: &[FoundItem]| -> Vec<_> {
                items.iter().map(|item| (item.fingerprint, item.seqno)).collect()
            };
            prop_assert_eq!(named(&tail.sorted()), named(&items));
            for key in 0..310 {
                let of = item((key, 0)).fingerprint;
                let mut expected = items.clone();
                expected.retain(|item| item.fingerprint == of);
                prop_assert_eq!(named(&tail.of_key(of)), named(&expected));
            }
        }
    }
}
