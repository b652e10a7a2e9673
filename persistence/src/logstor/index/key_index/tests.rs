use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lowtide_checkpoint::Namespace;
use lowtide_checkpoint::internal::as_in_release;
use proptest::prelude::*;

use super::*;
use crate::disk::{Disk, MemoryDisk};
use crate::logstor::format::Location;
use crate::logstor::log::{LogFile, Segment, SegmentUses};

fn name(key: u32) -> Fingerprint {
    Fingerprint::of(
        crate::logstor::hash_key::HashKey::new([1, 2]),
        Namespace::Committed,
        &key.to_be_bytes(),
    )
}

fn slot(key: u32, seqno: u64) -> Slot {
    Slot::new(
        name(key),
        seqno,
        Location {
            segment: 0,
            offset: seqno as u32 * 8,
            len: 8,
        },
        false,
    )
}

/// Returns two segments in use.
fn segments() -> SegmentUses {
    let disk = MemoryDisk::new();
    let file = Arc::new(LogFile {
        file: disk.create(Path::new("/log")).expect("made"),
        path: PathBuf::from("/log"),
        is_released: Arc::default(),
    });
    let segment = |id| {
        Some(Arc::new(Segment::new(
            id,
            1,
            Arc::clone(&file),
            0,
            u32::MAX,
        )))
    };
    [0, 1].map(segment).into()
}

proptest! {
    #[test]
    fn index_matches_a_map_in_the_order_of_seqnos(
        keys in prop::collection::vec((0_u32..3000, 0_u8..10), 0..12_000),
        from in 0_u64..12_000,
    ) {
        let segments = segments();
        let live = ReferenceCounts(&segments);
        let mut index = KeyIndex::default();
        let mut model: BTreeMap<u32, u64> = BTreeMap::new();
        for (seqno, (key, action)) in (1_u64..).zip(keys) {
            if action == 0 {
                index.remove(name(key), live);
                model.remove(&key);
            } else {
                let old = index.insert(slot(key, seqno), live, |_| false);
                prop_assert_eq!(old.map(|old| old.seqno), model.insert(key, seqno));
            }
        }
        prop_assert_eq!(index.check(), [""; 0]);
        prop_assert_eq!(index.len(), model.len());
        let counted: u64 = segments.iter().flatten().map(|segment| segment.live_records()).sum();
        prop_assert_eq!(counted, model.len() as u64);
        for (&key, &seqno) in &model {
            prop_assert_eq!(index.get(name(key)).map(|slot| slot.seqno), Some(seqno));
        }
        let mut expected: Vec<u64> = model.into_values().filter(|&seqno| seqno >= from).collect();
        expected.sort_unstable();
        prop_assert_eq!(index.iter_at(from, u64::MAX).map(|slot| slot.seqno).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn key_takes_at_most_64_bytes_after_any_number_of_overwrites() {
    let segments = segments();
    let live = ReferenceCounts(&segments);
    let mut index = KeyIndex::default();
    let keys = 100_000_u32;
    let mut seqno = 0;
    let mut most = 0;
    for round in 0..6_u32 {
        for n in 0..keys {
            seqno += 1;
            index.insert(
                slot(
                    (u64::from(n) * u64::from(48_271 + 2 * round) % u64::from(keys)) as u32,
                    seqno,
                ),
                live,
                |_| false,
            );
        }
        most = most.max(index.memory_bytes() / index.len());
    }
    assert_eq!(size_of::<Slot>(), 40);
    assert!(most <= 64, "{most} bytes a key");
}

/// L9. A chunk is full once a key that is new takes its last place, and no slot of it dies later.
#[test]
fn key_takes_at_most_64_bytes_where_new_keys_fill_the_chunks() {
    let segments = segments();
    let live = ReferenceCounts(&segments);
    let mut index = KeyIndex::default();
    let mut seqno = 0;
    let mut insert = |index: &mut KeyIndex, key| {
        seqno += 1;
        index.insert(slot(key, seqno), live, |_| false);
    };
    let mut key = 0;
    for _ in 0..200 {
        for _ in 0..511 {
            key += 1;
            insert(&mut index, key);
        }
        for _ in 0..512 {
            insert(&mut index, key);
        }
        key += 1;
        insert(&mut index, key);
    }
    let bytes = index.memory_bytes() / index.len();
    assert!(bytes <= 64, "{bytes} bytes a key");
    assert_eq!(index.check(), [""; 0]);
}

#[test]
fn overlay_keeps_what_a_pin_shows() {
    let segments = segments();
    let live = ReferenceCounts(&segments);
    let mut index = KeyIndex::default();
    for (key, seqno) in [(1, 1), (2, 2), (3, 3)] {
        index.insert(slot(key, seqno), live, |_| false);
    }
    for (key, seqno) in [(1, 4), (2, 5), (1, 6)] {
        // A view of 3 is pinned.
        index.insert(slot(key, seqno), live, |old| old <= 3);
    }
    let at = |index: &KeyIndex, high| {
        index
            .iter_at(0, high)
            .map(|slot| slot.seqno)
            .collect::<Vec<_>>()
    };
    assert_eq!(at(&index, 3), [1, 2, 3]);
    assert_eq!(at(&index, 6), [3, 5, 6]);
    assert_eq!(index.get_at(name(1), 3).map(|slot| slot.seqno), Some(1));
    assert_eq!(index.get_at(name(3), 2), None);
    assert_eq!(
        index.get(name(1)).map(|slot| slot.other_copies),
        Some(2),
        "what is pinned counts, too"
    );
    index.trim_overlay(live, |_, _| false);
    assert_eq!(index.overlay_len(), 0);
    assert_eq!(index.check(), [""; 0]);
}

#[test]
fn relocation_is_a_compare_and_swap() {
    let segments = segments();
    let live = ReferenceCounts(&segments);
    let mut index = KeyIndex::default();
    index.insert(slot(1, 1), live, |_| false);
    let (from, to) = (
        slot(1, 1).location,
        Location {
            segment: 1,
            offset: 64,
            len: 8,
        },
    );
    index.insert(slot(1, 2), live, |_| false);
    assert!(
        !index.relocate(name(1), 1, from, to, live),
        "it was replaced"
    );
    assert_eq!(
        index
            .get(name(1))
            .map(|slot| (slot.location.segment, slot.other_copies)),
        Some((0, 2))
    );
    assert!(index.relocate(name(1), 2, slot(1, 2).location, to, live));
    assert_eq!(
        index
            .get(name(1))
            .map(|slot| (slot.location, slot.other_copies)),
        Some((to, 3))
    );
    for left in [2, 1] {
        assert_eq!(index.count_off_copy(name(1)), None, "{left} left");
    }
    assert!(index.count_off_copy(name(1)).is_some());
}

/// L16.
#[test]
fn record_that_was_never_counted_is_not_counted_off_and_its_tombstone_stays() {
    let segments = segments();
    let live = ReferenceCounts(&segments);
    let mut index = KeyIndex::default();
    index.insert(slot(1, 1), live, |_| false);
    assert_eq!(as_in_release(|| index.count_off_copy(name(1))), None);
    assert_eq!(index.get(name(1)).map(|slot| slot.other_copies), Some(0));
}

/// L5.
#[test]
fn record_in_a_segment_that_is_not_in_use_counts_nowhere() {
    let mut segments = segments();
    segments[1] = None;
    let live = ReferenceCounts(&segments);
    let mut index = KeyIndex::default();
    let mut lost = slot(1, 1);
    lost.location.segment = 1;
    as_in_release(|| index.insert(lost, live, |_| false));
    assert_eq!(
        segments[0].as_ref().map(|segment| segment.live_records()),
        Some(0)
    );
    as_in_release(|| index.remove(name(1), live));
    assert_eq!(index.len(), 0);
}

#[test]
#[should_panic(expected = "invariant L5 is violated: a reference that is taken off was counted")]
fn reference_that_was_not_counted_is_not_taken_off() {
    let segments = segments();
    ReferenceCounts(&segments).remove(slot(1, 1).location);
}
