//! Random lives against a plain map: contents, pinned snapshots, rollbacks and purges, with
//! rewriting, power losses and reopenings in between; and after each the audit.

use std::collections::{BTreeMap, BTreeSet};

use lowtide_checkpoint::{Item, Namespace, Seqno};
use proptest::prelude::*;

use super::support::{
    A, B, Contents, IMAGES, SMALL, apply, audit, commit, contents, contents_of, delete, due, dump,
    fork, hide_images, highs, noise, numbered, open_with, run, set,
};
use crate::contract::{CompactionRequest, Engine, RolledBack, Snapshot};
use crate::disk::{Keep, MemoryDisk};
use crate::logstor::{Logstor, LogstorConfig};

#[derive(Clone, Debug)]
enum Act {
    Commit {
        vb: bool,
        keys: Keys,
    },
    Pin {
        vb: bool,
    },
    Release {
        which: usize,
    },
    RollBack {
        vb: bool,
        which: usize,
    },
    Purge {
        vb: bool,
        share: u8,
    },
    Separate,
    Compact {
        vb: bool,
        steps: usize,
    },
    Upkeep,
    Image {
        steps: usize,
    },
    Recreate {
        vb: bool,
    },
    Crash {
        seed: u64,
    },
    Close,
    /// A crash, and what is done before the index is in memory.
    Early {
        seed: u64,
        steps: Vec<Early>,
    },
}

#[derive(Clone, Debug)]
enum Early {
    Get { vb: bool, key: u8 },
    Commit { vb: bool, keys: Keys },
    Load { vb: bool },
    Crash { seed: u64 },
}

/// Key, whether it is deleted, and the value's length.
type Keys = Vec<(u8, bool, u16)>;

fn keys() -> impl Strategy<Value = Keys> {
    let bytes = prop_oneof![8 => 0_u16..300, 4 => 2000_u16..9000, 1 => Just(u16::MAX)];
    prop::collection::vec((0_u8..24, any::<bool>(), bytes), 0..8)
}

fn early() -> impl Strategy<Value = Vec<Early>> {
    let step = prop_oneof![
        6 => (any::<bool>(), 0_u8..24).prop_map(|(vb, key)| Early::Get { vb, key }),
        4 => (any::<bool>(), keys()).prop_map(|(vb, keys)| Early::Commit { vb, keys }),
        1 => any::<bool>().prop_map(|vb| Early::Load { vb }),
        1 => any::<u64>().prop_map(|seed| Early::Crash { seed }),
    ];
    prop::collection::vec(step, 0..12)
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        20 => (any::<bool>(), keys()).prop_map(|(vb, keys)| Act::Commit { vb, keys }),
        3 => any::<bool>().prop_map(|vb| Act::Pin { vb }),
        2 => (0_usize..8).prop_map(|which| Act::Release { which }),
        2 => (any::<bool>(), 0_usize..8).prop_map(|(vb, which)| Act::RollBack { vb, which }),
        3 => (any::<bool>(), any::<u8>()).prop_map(|(vb, share)| Act::Purge { vb, share }),
        2 => Just(Act::Separate),
        4 => (any::<bool>(), 0_usize..12).prop_map(|(vb, steps)| Act::Compact { vb, steps }),
        1 => Just(Act::Upkeep),
        4 => (0_usize..6).prop_map(|steps| Act::Image { steps }),
        1 => any::<bool>().prop_map(|vb| Act::Recreate { vb }),
        2 => any::<u64>().prop_map(|seed| Act::Crash { seed }),
        1 => Just(Act::Close),
        3 => (any::<u64>(), early()).prop_map(|(seed, steps)| Act::Early { seed, steps }),
    ];
    prop::collection::vec(act, 1..60)
}

fn batch(high: u64, keys: &Keys) -> Vec<Item> {
    let item = |(n, (key, is_deletion, len)): (u64, &(u8, bool, u16))| {
        let seqno = high + 1 + n;
        // Some are larger than a segment.
        let len = if *len == u16::MAX {
            70_000
        } else {
            usize::from(*len)
        };
        numbered(
            *key,
            if *is_deletion {
                delete(seqno, "")
            } else {
                set(seqno, "", &noise(seqno, len))
            },
        )
    };
    (0..).zip(keys).map(item).collect()
}

/// A pinned snapshot, and what it showed when it was taken; its vBucket's incarnation.
type Pinned = (bool, u64, Box<dyn Snapshot>, Contents);

struct World {
    disk: MemoryDisk,
    config: LogstorConfig,
    engine: Logstor,
    now: BTreeMap<bool, Contents>,
    incarnations: BTreeMap<bool, u64>,
    pinned: Vec<Pinned>,
    /// Tombstones that were purged from what there is now.
    purged: BTreeMap<bool, BTreeSet<u64>>,
    /// A rollback makes counts larger than they need be, until the store is opened again.
    exact: bool,
}

const fn id(vb: bool) -> lowtide_checkpoint::Vbid {
    if vb { A } else { B }
}

impl World {
    fn new(config: LogstorConfig) -> Self {
        let disk = MemoryDisk::new();
        let (engine, _) = open_with(&disk, config).expect("opens");
        let now = [true, false].map(|vb| {
            engine.create(id(vb)).expect("created");
            (vb, Contents::new())
        });
        let incarnations = [(true, 0), (false, 0)].into();
        let (pinned, purged) = (Vec::new(), BTreeMap::new());
        Self {
            disk,
            config,
            engine,
            now: now.into(),
            incarnations,
            pinned,
            purged,
            exact: true,
        }
    }

    fn reopen(&mut self) {
        self.pinned.clear();
        // The lock is free once the old one is gone.
        let placeholder = open_with(&MemoryDisk::new(), SMALL).expect("opens").0;
        drop(std::mem::replace(&mut self.engine, placeholder));
        let open = || {
            let (engine, report) = open_with(&self.disk, self.config).expect("opens");
            (engine, report)
        };
        let (engine, report) = open();
        assert_eq!(report.repairs, []);
        let with_image = dump(&engine);
        drop(engine);
        hide_images(&self.disk, true);
        let (engine, report) = open();
        assert!(report.notes[0].contains("there is none"), "{report:?}");
        assert_eq!(
            dump(&engine),
            with_image,
            "what a scan of everything finds, and what it finds with an image"
        );
        drop(engine);
        hide_images(&self.disk, false);
        self.engine = open().0;
        self.exact = true;
    }

    /// What is done early, beside a store that has loaded everything first; in the end both are the
    /// same.
    fn early(&mut self, seed: u64, steps: &[Early]) {
        self.pinned.clear();
        let kill = |disk: &MemoryDisk, engine: &mut Logstor, seed: u64| {
            let placeholder = open_with(&MemoryDisk::new(), SMALL).expect("opens").0;
            drop(std::mem::replace(engine, placeholder));
            disk.crash(Keep::Random { seed });
            *engine = open_with(disk, self.config).expect("opens").0;
        };
        kill(&self.disk, &mut self.engine, seed);
        let other_disk = fork(&self.disk);
        let mut other = open_with(&other_disk, self.config).expect("opens").0;
        other.store.registry.load_all().expect("readable");
        let mut ends: BTreeMap<bool, u64> = [true, false]
            .map(|vb| (vb, other.info(id(vb)).expect("there").high.0))
            .into();
        let mut has_rewritten = false;
        for step in steps {
            match step {
                Early::Get { vb, key } => {
                    let key = numbered(*key, delete(1, "")).key;
                    let found = self
                        .engine
                        .get(id(*vb), Namespace::Committed, &key)
                        .expect("readable");
                    assert_eq!(
                        found.as_ref(),
                        self.now[vb].values().find(|item| item.key == key)
                    );
                }
                Early::Commit { vb, keys } => {
                    let batch = batch(ends[vb], keys);
                    ends.entry(*vb)
                        .and_modify(|high| *high += batch.len() as u64);
                    for engine in [&self.engine, &other] {
                        commit(engine, id(*vb), &batch).expect("committed");
                        let counters = &engine.store.context.counters;
                        has_rewritten |= counters.records_rewritten.get() > 0;
                        has_rewritten |= counters.segments_compacted.get() > 0;
                    }
                    let next = apply(&self.now[vb], &batch);
                    self.now.insert(*vb, next);
                }
                Early::Load { vb } => drop(self.engine.info(id(*vb)).expect("readable")),
                Early::Crash { seed } => {
                    kill(&self.disk, &mut self.engine, *seed);
                    kill(&other_disk, &mut other, *seed);
                    other.store.registry.load_all().expect("readable");
                }
            }
        }
        // Where room is short one has rewritten what the other has only loaded.
        if !has_rewritten {
            assert_eq!(
                dump(&self.engine),
                dump(&other),
                "early, and when everything was loaded"
            );
        }
        self.exact = true;
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Early { seed, steps } => self.early(*seed, steps),
            Act::Commit { vb, keys } => {
                let high = self.engine.info(id(*vb)).expect("there").high.0;
                let batch = batch(high, keys);
                commit(&self.engine, id(*vb), &batch).expect("committed");
                let next = apply(&self.now[vb], &batch);
                self.now.insert(*vb, next);
            }
            Act::Pin { vb } => {
                let snapshot = self.engine.snapshot(id(*vb)).expect("there");
                self.pinned
                    .push((*vb, self.incarnations[vb], snapshot, self.now[vb].clone()));
            }
            Act::Release { which } if *which < self.pinned.len() => {
                drop(self.pinned.swap_remove(*which))
            }
            Act::RollBack { vb, which } if *which < self.pinned.len() => {
                self.roll_back(*vb, *which)
            }
            Act::Purge { vb, share } => {
                let high = self.engine.info(id(*vb)).expect("there").high.0;
                let upto = high * u64::from(*share) / 200;
                let before = self.engine.info(id(*vb)).expect("there").purge.0;
                let purged = self.engine.purge(id(*vb), Seqno(upto)).expect("purged").0;
                let contents = self.now.get_mut(vb).expect("there");
                let due = due(contents, upto, high);
                due.iter().for_each(|seqno| drop(contents.remove(seqno)));
                assert_eq!(purged, due.last().copied().unwrap_or(0).max(before));
                self.purged.entry(*vb).or_default().extend(due);
            }
            Act::Separate => drop(run(self.engine.separate().expect("begun")).expect("done")),
            Act::Compact { vb, steps } => {
                let mut job = self
                    .engine
                    .compact(id(*vb), CompactionRequest::default())
                    .expect("begun");
                if *steps == 0 {
                    run(job).expect("done");
                } else {
                    for _ in 0..*steps {
                        job.step(super::support::STEP).expect("no failure");
                    }
                }
            }
            Act::Upkeep => {
                if let Some(job) = self.engine.maintenance() {
                    run(job).expect("done");
                }
            }
            Act::Image { steps } => {
                let Some(mut job) = self.engine.maintenance.image_job() else {
                    return;
                };
                if *steps == 0 {
                    run(job).expect("done");
                } else {
                    for _ in 0..*steps {
                        job.step(super::support::STEP).expect("no failure");
                    }
                }
            }
            Act::Recreate { vb } => {
                self.engine.drop_vbucket(id(*vb)).expect("dropped");
                self.engine.create(id(*vb)).expect("created");
                self.now.insert(*vb, Contents::new());
                self.purged.remove(vb);
                *self.incarnations.get_mut(vb).expect("there") += 1;
            }
            Act::Crash { seed } => {
                self.disk.crash(Keep::Random { seed: *seed });
                self.reopen();
            }
            Act::Close => {
                self.engine.close().expect("closed");
                self.reopen();
            }
            Act::Release { .. } | Act::RollBack { .. } => {}
        }
    }

    fn roll_back(&mut self, vb: bool, which: usize) {
        let (of, incarnation, snapshot, _) = &self.pinned[which];
        if *of != vb || *incarnation != self.incarnations[&vb] {
            return;
        }
        let to = snapshot.high();
        let before = self.engine.info(id(vb)).expect("there");
        match self.engine.rollback(id(vb), to).expect("answered") {
            RolledBack::Done { high } if to >= before.high => assert_eq!(high, before.high),
            RolledBack::Done { high } => {
                assert_eq!(high, to);
                // Several snapshots may have that seqno, of branches that differ: it is what one of
                // them showed, less what was purged since. A purge may have passed a tombstone
                // whose key had come again by then.
                let now = contents_of(&*self.engine.snapshot(id(vb)).expect("there"));
                let purged = self.purged.remove(&vb).unwrap_or_default();
                let fits = self.pinned.iter().any(|(of, incarnation, pinned, shown)| {
                    let passed = due(shown, before.purge.0, high.0);
                    let is_gone = |seqno: &u64| !now.contains_key(seqno);
                    let mut expected = shown.clone();
                    expected.retain(|seqno, _| !passed.contains(seqno) || !is_gone(seqno));
                    let is_purged = passed.intersection(&purged).all(is_gone);
                    let is_of_life = *of == vb && *incarnation == self.incarnations[&vb];
                    is_of_life && pinned.high() == to && is_purged && expected == now
                });
                assert!(fits, "back to {to}");
                self.purged.insert(
                    vb,
                    purged
                        .into_iter()
                        .filter(|seqno| *seqno < high.0 && !now.contains_key(seqno))
                        .collect(),
                );
                self.now.insert(vb, now);
                self.exact = false;
            }
            // Its branch may have been given up before that.
            RolledBack::NeedsReset { lowest } => assert!(lowest > to),
        }
    }

    fn check(&self) {
        for (&vb, expected) in &self.now {
            assert_eq!(contents(&self.engine, id(vb)), *expected);
            let known: BTreeMap<u32, u64> = self
                .engine
                .store
                .registry
                .loaded(id(vb))
                .expect("there")
                .high_seqnos()
                .iter()
                .collect();
            assert_eq!(
                known,
                highs(expected),
                "no purge takes a collection's highest seqno"
            );
        }
        for (_, _, snapshot, expected) in &self.pinned {
            assert_eq!(contents_of(&**snapshot), *expected, "a pinned snapshot");
        }
        audit(&self.engine, self.exact);
    }
}

fn play(config: LogstorConfig, acts: &[Act]) {
    let mut world = World::new(config);
    for act in acts {
        world.act(act);
        world.check();
    }
    world.disk.crash(Keep::None);
    world.reopen();
    world.check();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_engine_is_a_map(acts in acts()) {
        play(SMALL, &acts);
    }

    #[test]
    fn the_engine_is_a_map_also_where_space_is_short(acts in acts()) {
        play(LogstorConfig { file_bytes: 64 << 10, disk_bytes: 34 * (64 << 10), ..SMALL }, &acts);
    }

    #[test]
    fn the_engine_is_a_map_with_images_at_every_opportunity(acts in acts()) {
        play(IMAGES, &acts);
    }
}
