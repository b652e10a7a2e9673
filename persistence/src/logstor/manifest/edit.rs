//! What a manifest says, and what changes it: edits go in, one after the other; vBuckets, epochs and retired segments
//! come out. An edit that makes no sense is refused and changes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::contract::EngineError;
use crate::logstor::config::Geometry;
use crate::logstor::purged::Purged;

/// Says what kind of file it is, and of which version.
const KIND: [u8; 8] = *b"lowtide\x03";
/// Of the version before, which had its edits behind one another in a file that grew.
const KIND_2: [u8; 8] = *b"lowtide\x02";
/// No cap.
const ALL: u64 = u64::MAX;

/// Which records are a vBucket's: epochs, each with the highest seqno that counts. The last is the one being written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct Lineage(Vec<(u32, u64)>);

impl Lineage {
    /// Of one epoch.
    pub(in crate::logstor) fn of(epoch: u32) -> Self {
        Self(vec![(epoch, ALL)])
    }

    pub(in crate::logstor) fn contains(&self, epoch: u32, seqno: u64) -> bool {
        self.0.iter().any(|&(of, cap)| of == epoch && seqno <= cap)
    }

    /// The epoch being written.
    pub(in crate::logstor) fn epoch(&self) -> u32 {
        self.0.last().map_or(0, |&(epoch, _)| epoch)
    }

    pub(in crate::logstor) fn epochs(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|&(epoch, _)| epoch)
    }

    /// Each epoch with the highest seqno that counts, if that is bounded.
    pub(in crate::logstor) fn caps(&self) -> impl Iterator<Item = (u32, Option<u64>)> {
        self.0
            .iter()
            .map(|&(epoch, cap)| (epoch, (cap != ALL).then_some(cap)))
    }
}

/// What a vBucket's epoch began with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct Base {
    pub(in crate::logstor) high: u64,
    /// Its state's bytes, if it had one.
    pub(in crate::logstor) state: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct VBucketEntry {
    pub(in crate::logstor) lineage: Lineage,
    pub(in crate::logstor) base: Base,
    pub(in crate::logstor) purged: Purged,
}

/// Where a use of a segment ends: behind it is what was never acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct Retired {
    pub(in crate::logstor) segment: u32,
    pub(in crate::logstor) generation: u64,
    pub(in crate::logstor) bytes: u32,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) enum Edit {
    Create {
        vb: u16,
    },
    Drop {
        vb: u16,
    },
    /// What is hidden now, in place of what was.
    Purge {
        vb: u16,
        purged: Purged,
    },
    RollBack {
        vb: u16,
        purged: Purged,
        base: Base,
    },
    Retire(Vec<Retired>),
    /// An epoch is nobody's, and will not be given to anybody else.
    Reserve {
        epoch: u32,
    },
    /// A vBucket is there, with a reserved epoch.
    Adopt {
        vb: u16,
        epoch: u32,
        purged: Purged,
    },
}

/// Why an edit is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) enum Refused {
    /// It does not fit what is there.
    Senseless(&'static str),
    /// It needs an epoch, and every number was given.
    NoEpoch,
}

impl Refused {
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Senseless(what) => what,
            Self::NoEpoch => "no epoch is left",
        }
    }

    pub(super) fn error(self, path: &Path) -> EngineError {
        match self {
            Self::Senseless(what) => EngineError::InvalidArgument(what.to_owned()),
            Self::NoEpoch => EngineError::NumbersUsedUp {
                path: path.to_path_buf(),
                what: "epochs",
            },
        }
    }
}

/// Everything a manifest says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct Sketch {
    pub(super) kind: [u8; 8],
    pub(in crate::logstor) geometry: Geometry,
    pub(in crate::logstor) hash_key: [u64; 2],
    pub(super) next_epoch: u32,
    pub(in crate::logstor) vbuckets: BTreeMap<u16, VBucketEntry>,
    /// By segment: generation and valid bytes.
    pub(super) retired: BTreeMap<u32, (u64, u32)>,
}

impl Sketch {
    pub(in crate::logstor) fn new(geometry: Geometry, hash_key: [u64; 2]) -> Self {
        Self {
            kind: KIND,
            geometry,
            hash_key,
            next_epoch: 1,
            vbuckets: BTreeMap::new(),
            retired: BTreeMap::new(),
        }
    }

    /// What a manifest of the version before says.
    pub(super) fn of_version_2(self) -> Option<Self> {
        let is_sound = self.kind == KIND_2 && self.geometry.is_sound();
        is_sound.then_some(Self { kind: KIND, ..self })
    }

    pub(super) fn is_sound(&self) -> bool {
        self.kind == KIND && self.geometry.is_sound()
    }

    /// How much of that use of a segment counts, if not all of it.
    pub(in crate::logstor) fn valid_bytes(&self, segment: u32, generation: u64) -> Option<u32> {
        self.retired
            .get(&segment)
            .filter(|(of, _)| *of == generation)
            .map(|&(_, bytes)| bytes)
    }

    pub(in crate::logstor) fn next_epoch(&self) -> u32 {
        self.next_epoch
    }

    /// Whether an epoch was ever given to a vBucket, or reserved for one.
    pub(in crate::logstor) fn has_given(&self, epoch: u32) -> bool {
        (1..self.next_epoch).contains(&epoch)
    }

    /// Forgets what is said of uses that are over.
    pub(in crate::logstor) fn keep_retired(&mut self, is_current: impl Fn(u32, u64) -> bool) {
        self.retired
            .retain(|&segment, &mut (generation, _)| is_current(segment, generation));
    }

    /// # Errors
    /// What is wrong with the edit; nothing has changed then.
    pub(in crate::logstor) fn apply(&mut self, edit: &Edit) -> Result<(), Refused> {
        let unknown = Refused::Senseless("an edit of a vBucket that is not there");
        match edit {
            Edit::Create { vb } => {
                if self.vbuckets.contains_key(vb) {
                    return Err(Refused::Senseless("a vBucket is made twice"));
                }
                let epoch = self.take_epoch()?;
                let entry = VBucketEntry {
                    lineage: Lineage::of(epoch),
                    base: Base::default(),
                    purged: Purged::default(),
                };
                self.vbuckets.insert(*vb, entry);
            }
            Edit::Drop { vb } => {
                self.vbuckets.remove(vb).ok_or(unknown)?;
            }
            Edit::Purge { vb, purged } => {
                let entry = self.vbuckets.get_mut(vb).ok_or(unknown)?;
                if purged.upto < entry.purged.upto {
                    return Err(Refused::Senseless("a purge shows what was hidden"));
                }
                entry.purged.clone_from(purged);
            }
            Edit::RollBack { vb, purged, base } => {
                let mut entry = self.vbuckets.get(vb).cloned().ok_or(unknown)?;
                let epoch = self.take_epoch()?;
                entry
                    .lineage
                    .0
                    .iter_mut()
                    .for_each(|(_, cap)| *cap = (*cap).min(base.high));
                entry.lineage.0.push((epoch, ALL));
                let (purged, base) = (purged.clone(), base.clone());
                self.vbuckets.insert(
                    *vb,
                    VBucketEntry {
                        purged,
                        base,
                        ..entry
                    },
                );
            }
            Edit::Reserve { epoch } => {
                if *epoch != self.next_epoch {
                    return Err(Refused::Senseless(
                        "an epoch is reserved that is not the next one",
                    ));
                }
                self.take_epoch()?;
            }
            Edit::Adopt { vb, epoch, purged } => {
                let is_taken = self
                    .vbuckets
                    .values()
                    .any(|entry| entry.lineage.epochs().any(|of| of == *epoch));
                if self.vbuckets.contains_key(vb) || is_taken || !self.has_given(*epoch) {
                    let what =
                        "a vBucket is adopted that is there, or whose epoch was not reserved";
                    return Err(Refused::Senseless(what));
                }
                let (lineage, base, purged) =
                    (Lineage::of(*epoch), Base::default(), purged.clone());
                self.vbuckets.insert(
                    *vb,
                    VBucketEntry {
                        lineage,
                        base,
                        purged,
                    },
                );
            }
            Edit::Retire(segments) => {
                for retired in segments {
                    self.retired
                        .insert(retired.segment, (retired.generation, retired.bytes));
                }
            }
        }
        Ok(())
    }

    fn take_epoch(&mut self) -> Result<u32, Refused> {
        let epoch = self.next_epoch;
        self.next_epoch = epoch.checked_add(1).ok_or(Refused::NoEpoch)?;
        Ok(epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch() -> Sketch {
        Sketch::new(
            Geometry {
                segment_bytes: 65_536,
                segments_per_file: 4,
            },
            [1, 2],
        )
    }

    fn purged(upto: u64) -> Purged {
        Purged {
            upto,
            ..Purged::default()
        }
    }

    #[test]
    fn an_epoch_is_never_used_again() {
        let mut sketch = sketch();
        sketch.apply(&Edit::Create { vb: 7 }).expect("new");
        sketch.apply(&Edit::Drop { vb: 7 }).expect("there");
        sketch.apply(&Edit::Create { vb: 7 }).expect("new");
        let base = Base {
            high: 5,
            state: None,
        };
        sketch
            .apply(&Edit::RollBack {
                vb: 7,
                purged: Purged::default(),
                base,
            })
            .expect("there");
        let lineage = &sketch.vbuckets[&7].lineage;
        assert_eq!(lineage.epochs().collect::<Vec<_>>(), [2, 3]);
        let counts =
            [(1, 1), (2, 5), (2, 6), (3, 6)].map(|(epoch, seqno)| lineage.contains(epoch, seqno));
        assert_eq!(counts, [false, true, false, true]);
    }

    #[test]
    fn a_deeper_rollback_lowers_every_cap() {
        let mut sketch = sketch();
        sketch.apply(&Edit::Create { vb: 7 }).expect("new");
        for high in [9, 4] {
            let base = Base { high, state: None };
            sketch
                .apply(&Edit::RollBack {
                    vb: 7,
                    purged: Purged::default(),
                    base,
                })
                .expect("there");
        }
        let lineage = &sketch.vbuckets[&7].lineage;
        assert!(!lineage.contains(1, 5) && !lineage.contains(2, 5) && lineage.contains(1, 4));
    }

    #[test]
    fn edits_that_make_no_sense_change_nothing() {
        let mut sketch = sketch();
        sketch.apply(&Edit::Create { vb: 7 }).expect("new");
        sketch
            .apply(&Edit::Purge {
                vb: 7,
                purged: purged(5),
            })
            .expect("there");
        let before = sketch.clone();
        let purge = |vb, upto| Edit::Purge {
            vb,
            purged: purged(upto),
        };
        for edit in [
            Edit::Create { vb: 7 },
            Edit::Drop { vb: 8 },
            purge(8, 9),
            purge(7, 4),
        ] {
            assert!(sketch.apply(&edit).is_err());
            assert_eq!(sketch, before);
        }
    }

    #[test]
    fn a_reserved_epoch_is_adopted_once() {
        let mut sketch = sketch();
        sketch.apply(&Edit::Create { vb: 7 }).expect("new");
        assert!(
            sketch.apply(&Edit::Reserve { epoch: 1 }).is_err(),
            "given already"
        );
        sketch.apply(&Edit::Reserve { epoch: 2 }).expect("the next");
        let before = sketch.clone();
        for (vb, epoch) in [(7, 2), (8, 1), (8, 3), (8, 0)] {
            let purged = Purged::default();
            assert!(
                sketch.apply(&Edit::Adopt { vb, epoch, purged }).is_err(),
                "{vb}, {epoch}"
            );
            assert_eq!(sketch, before);
        }
        let adopt = |vb| Edit::Adopt {
            vb,
            epoch: 2,
            purged: purged(5),
        };
        sketch.apply(&adopt(8)).expect("reserved");
        assert!(sketch.vbuckets[&8].lineage.contains(2, u64::MAX));
        assert_eq!(sketch.vbuckets[&8].purged, purged(5));
        assert!(sketch.apply(&adopt(9)).is_err(), "twice");
    }

    #[test]
    fn a_segment_is_retired_for_one_use() {
        let mut sketch = sketch();
        sketch
            .apply(&Edit::Retire(vec![Retired {
                segment: 3,
                generation: 9,
                bytes: 4096,
            }]))
            .expect("fine");
        assert_eq!(
            [sketch.valid_bytes(3, 9), sketch.valid_bytes(3, 10)],
            [Some(4096), None]
        );
        sketch.keep_retired(|segment, generation| (segment, generation) == (3, 10));
        assert_eq!(sketch.valid_bytes(3, 9), None);
    }
}
