//! The catalog: everything that a manifest says, as a value that edits change.
//!
//! # Invariants
//!
//! An edit that contradicts the catalog is refused and changes nothing. Epochs are never used again
//! (L7).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::edit::{EditRefusal, ManifestEdit};
use super::lineage::{EpochStart, Lineage};
use crate::logstor::config::Geometry;
use crate::logstor::format::PurgedTombstones;
use crate::logstor::hash_key::HashKey;

/// Identifies the file and its format version.
const KIND: [u8; 8] = *b"lowtide\x03";
/// The previous version, whose edits followed one another in a growing file.
const KIND_2: [u8; 8] = *b"lowtide\x02";

/// A vBucket in the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct CatalogEntry {
    pub(in crate::logstor) lineage: Lineage,
    pub(in crate::logstor) start: EpochStart,
    pub(in crate::logstor) purged: PurgedTombstones,
}

/// Everything that a manifest says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct Catalog {
    pub(super) kind: [u8; 8],
    pub(in crate::logstor) geometry: Geometry,
    pub(in crate::logstor) hash_key: HashKey,
    pub(super) next_epoch: u32,
    pub(in crate::logstor) vbuckets: BTreeMap<u16, CatalogEntry>,
    /// Generation and valid bytes, by segment.
    pub(super) retired: BTreeMap<u32, (u64, u32)>,
}

impl Catalog {
    pub(in crate::logstor) fn new(geometry: Geometry, hash_key: HashKey) -> Self {
        Self {
            kind: KIND,
            geometry,
            hash_key,
            next_epoch: 1,
            vbuckets: BTreeMap::new(),
            retired: BTreeMap::new(),
        }
    }

    /// Converts the catalog of the previous format version; `None` if it is not one.
    pub(super) fn of_version_2(self) -> Option<Self> {
        let is_sound = self.kind == KIND_2 && self.geometry.is_sound();
        is_sound.then_some(Self { kind: KIND, ..self })
    }

    /// Returns whether its version is the current one.
    pub(super) fn is_current(&self) -> bool {
        self.kind == KIND && self.geometry.is_sound()
    }

    /// Returns whether vBuckets and epochs agree: an epoch was given, and to one vBucket (L7). A
    /// manifest with the right checksum may still be a crafted one.
    pub(super) fn is_consistent(&self) -> bool {
        let mut seen = BTreeSet::new();
        self.vbuckets.values().all(|entry| {
            entry.lineage.is_sound()
                && entry
                    .lineage
                    .epochs()
                    .all(|epoch| self.has_given(epoch) && seen.insert(epoch))
        })
    }

    /// Returns the bytes of a segment's use that count, if not all of it.
    pub(in crate::logstor) fn valid_bytes(&self, segment: u32, generation: u64) -> Option<u32> {
        self.retired
            .get(&segment)
            .filter(|(of, _)| *of == generation)
            .map(|&(_, bytes)| bytes)
    }

    pub(in crate::logstor) fn next_epoch(&self) -> u32 {
        self.next_epoch
    }

    /// Returns whether an epoch was ever given to a vBucket, or reserved for one.
    pub(in crate::logstor) fn has_given(&self, epoch: u32) -> bool {
        (1..self.next_epoch).contains(&epoch)
    }

    /// Forgets the tails of uses that are over.
    pub(in crate::logstor) fn keep_retired(&mut self, is_current: impl Fn(u32, u64) -> bool) {
        self.retired
            .retain(|&segment, &mut (generation, _)| is_current(segment, generation));
    }

    /// Applies an edit.
    ///
    /// # Errors
    /// The reason to refuse it; nothing has changed then.
    pub(in crate::logstor) fn apply(&mut self, edit: &ManifestEdit) -> Result<(), EditRefusal> {
        let unknown = EditRefusal::Contradictory("an edit of a vBucket that is not there");
        match edit {
            ManifestEdit::Create { vb } => {
                if self.vbuckets.contains_key(vb) {
                    return Err(EditRefusal::Contradictory("a vBucket is made twice"));
                }
                let epoch = self.take_epoch()?;
                let entry = CatalogEntry {
                    lineage: Lineage::of(epoch),
                    start: EpochStart::default(),
                    purged: PurgedTombstones::default(),
                };
                self.vbuckets.insert(*vb, entry);
            }
            ManifestEdit::Drop { vb } => {
                self.vbuckets.remove(vb).ok_or(unknown)?;
            }
            ManifestEdit::Purge { vb, purged } => {
                let entry = self.vbuckets.get_mut(vb).ok_or(unknown)?;
                if purged.upto < entry.purged.upto {
                    return Err(EditRefusal::Contradictory("a purge shows what was hidden"));
                }
                entry.purged.clone_from(purged);
            }
            ManifestEdit::RollBack { vb, purged, start } => {
                let mut entry = self.vbuckets.get(vb).cloned().ok_or(unknown)?;
                let epoch = self.take_epoch()?;
                entry.lineage.branch_at(start.high, epoch);
                entry.purged.clone_from(purged);
                entry.start.clone_from(start);
                self.vbuckets.insert(*vb, entry);
            }
            ManifestEdit::Reserve { epoch } => {
                if *epoch != self.next_epoch {
                    return Err(EditRefusal::Contradictory(
                        "an epoch is reserved that is not the next one",
                    ));
                }
                self.take_epoch()?;
            }
            ManifestEdit::Adopt { vb, epoch, purged } => {
                let is_taken = self
                    .vbuckets
                    .values()
                    .any(|entry| entry.lineage.epochs().any(|of| of == *epoch));
                if self.vbuckets.contains_key(vb) || is_taken || !self.has_given(*epoch) {
                    let what =
                        "a vBucket is adopted that is there, or whose epoch was not reserved";
                    return Err(EditRefusal::Contradictory(what));
                }
                let entry = CatalogEntry {
                    lineage: Lineage::of(*epoch),
                    start: EpochStart::default(),
                    purged: purged.clone(),
                };
                self.vbuckets.insert(*vb, entry);
            }
            ManifestEdit::Retire(segments) => {
                for retired in segments {
                    self.retired
                        .insert(retired.segment, (retired.generation, retired.bytes));
                }
            }
        }
        Ok(())
    }

    fn take_epoch(&mut self) -> Result<u32, EditRefusal> {
        let epoch = self.next_epoch;
        self.next_epoch = epoch.checked_add(1).ok_or(EditRefusal::NoEpoch)?;
        Ok(epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::super::edit::RetiredTail;
    use super::*;

    fn catalog() -> Catalog {
        Catalog::new(
            Geometry {
                segment_bytes: 65_536,
                segments_per_file: 4,
            },
            crate::logstor::hash_key::HashKey::new([1, 2]),
        )
    }

    fn purged(upto: u64) -> PurgedTombstones {
        PurgedTombstones {
            upto,
            ..PurgedTombstones::default()
        }
    }

    #[test]
    fn epoch_is_never_used_again() {
        let mut catalog = catalog();
        catalog.apply(&ManifestEdit::Create { vb: 7 }).expect("new");
        catalog.apply(&ManifestEdit::Drop { vb: 7 }).expect("there");
        catalog.apply(&ManifestEdit::Create { vb: 7 }).expect("new");
        let start = EpochStart {
            high: 5,
            state: None,
        };
        catalog
            .apply(&ManifestEdit::RollBack {
                vb: 7,
                purged: PurgedTombstones::default(),
                start,
            })
            .expect("there");
        let lineage = &catalog.vbuckets[&7].lineage;
        assert_eq!(lineage.epochs().collect::<Vec<_>>(), [2, 3]);
        let counts =
            [(1, 1), (2, 5), (2, 6), (3, 6)].map(|(epoch, seqno)| lineage.contains(epoch, seqno));
        assert_eq!(counts, [false, true, false, true]);
    }

    #[test]
    fn deeper_rollback_lowers_every_cap() {
        let mut catalog = catalog();
        catalog.apply(&ManifestEdit::Create { vb: 7 }).expect("new");
        for high in [9, 4] {
            let start = EpochStart { high, state: None };
            catalog
                .apply(&ManifestEdit::RollBack {
                    vb: 7,
                    purged: PurgedTombstones::default(),
                    start,
                })
                .expect("there");
        }
        let lineage = &catalog.vbuckets[&7].lineage;
        assert!(!lineage.contains(1, 5) && !lineage.contains(2, 5) && lineage.contains(1, 4));
    }

    #[test]
    fn contradicting_edit_is_refused_and_changes_nothing() {
        let mut catalog = catalog();
        catalog.apply(&ManifestEdit::Create { vb: 7 }).expect("new");
        catalog
            .apply(&ManifestEdit::Purge {
                vb: 7,
                purged: purged(5),
            })
            .expect("there");
        let before = catalog.clone();
        let purge = |vb, upto| ManifestEdit::Purge {
            vb,
            purged: purged(upto),
        };
        for edit in [
            ManifestEdit::Create { vb: 7 },
            ManifestEdit::Drop { vb: 8 },
            purge(8, 9),
            purge(7, 4),
        ] {
            assert!(catalog.apply(&edit).is_err());
            assert_eq!(catalog, before);
        }
    }

    #[test]
    fn reserved_epoch_is_adopted_once() {
        let mut catalog = catalog();
        catalog.apply(&ManifestEdit::Create { vb: 7 }).expect("new");
        assert!(
            catalog.apply(&ManifestEdit::Reserve { epoch: 1 }).is_err(),
            "given already"
        );
        catalog
            .apply(&ManifestEdit::Reserve { epoch: 2 })
            .expect("the next");
        let before = catalog.clone();
        for (vb, epoch) in [(7, 2), (8, 1), (8, 3), (8, 0)] {
            let purged = PurgedTombstones::default();
            assert!(
                catalog
                    .apply(&ManifestEdit::Adopt { vb, epoch, purged })
                    .is_err(),
                "{vb}, {epoch}"
            );
            assert_eq!(catalog, before);
        }
        let adopt = |vb| ManifestEdit::Adopt {
            vb,
            epoch: 2,
            purged: purged(5),
        };
        catalog.apply(&adopt(8)).expect("reserved");
        assert!(catalog.vbuckets[&8].lineage.contains(2, u64::MAX));
        assert_eq!(catalog.vbuckets[&8].purged, purged(5));
        assert!(catalog.apply(&adopt(9)).is_err(), "twice");
    }

    #[test]
    fn segment_is_retired_for_one_use() {
        let mut catalog = catalog();
        catalog
            .apply(&ManifestEdit::Retire(vec![RetiredTail {
                segment: 3,
                generation: 9,
                bytes: 4096,
            }]))
            .expect("fine");
        assert_eq!(
            [catalog.valid_bytes(3, 9), catalog.valid_bytes(3, 10)],
            [Some(4096), None]
        );
        catalog.keep_retired(|segment, generation| (segment, generation) == (3, 10));
        assert_eq!(catalog.valid_bytes(3, 9), None);
    }
}
