//! A store and its model: plain maps of the contents that the store must show.

use std::collections::{BTreeMap, BTreeSet};

use lowtide_checkpoint::Seqno;

use super::action::{Action, batch};
use crate::contract::{CompactionRequest, Engine, RolledBack, Snapshot};
use crate::disk::{MemoryDisk, PowerLoss};
use crate::logstor::tests::support::{
    A, B, Contents, SMALL, STEP, apply, audit, commit, contents, contents_of, due, dump,
    hide_images, highs, open_with, run,
};
use crate::logstor::{Logstor, LogstorConfig};

/// A pinned snapshot.
pub(super) struct Pinned {
    vb: bool,
    /// The number of its branch.
    branch: u64,
    snapshot: Box<dyn Snapshot>,
    contents: Contents,
}

pub(super) struct World {
    pub(super) disk: MemoryDisk,
    pub(super) config: LogstorConfig,
    pub(super) engine: Logstor,
    pub(super) now: BTreeMap<bool, Contents>,
    /// The branches of each vBucket that is there now, by number, oldest first, with the highest
    /// seqno up to which what was committed on it is there. Numbers are never used again.
    branches: BTreeMap<bool, BTreeMap<u64, u64>>,
    next_branch: u64,
    pub(super) pinned: Vec<Pinned>,
    /// Tombstones that were purged from the current contents.
    purged: BTreeMap<bool, BTreeSet<u64>>,
    /// Whether counts are exact. A rollback makes them too large until the store is opened again.
    pub(super) exact: bool,
}

pub(super) const fn id(vb: bool) -> lowtide_checkpoint::Vbid {
    if vb { A } else { B }
}

impl World {
    pub(super) fn new(config: LogstorConfig) -> Self {
        let disk = MemoryDisk::new();
        let (engine, _) = open_with(&disk, config).expect("opens");
        let now = [true, false].map(|vb| {
            engine.create(id(vb)).expect("created");
            (vb, Contents::new())
        });
        let branches = [
            (true, [(0, u64::MAX)].into()),
            (false, [(1, u64::MAX)].into()),
        ]
        .into();
        let (pinned, purged) = (Vec::new(), BTreeMap::new());
        Self {
            disk,
            config,
            engine,
            now: now.into(),
            branches,
            next_branch: 2,
            pinned,
            purged,
            exact: true,
        }
    }

    pub(super) fn reopen(&mut self) {
        self.pinned.clear();
        // The directory's lock is free once the old store is dropped.
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

    pub(super) fn apply(&mut self, action: &Action) {
        match action {
            Action::Unloaded { seed, steps } => self.run_unloaded(*seed, steps),
            Action::Commit { vb, keys } => {
                let high = self.engine.info(id(*vb)).expect("there").high.0;
                let batch = batch(high, keys);
                commit(&self.engine, id(*vb), &batch).expect("committed");
                let next = apply(&self.now[vb], &batch);
                self.now.insert(*vb, next);
            }
            Action::Pin { vb } => {
                let (branch, _) = self.branches[vb].last_key_value().expect("one at least");
                self.pinned.push(Pinned {
                    vb: *vb,
                    branch: *branch,
                    snapshot: self.engine.snapshot(id(*vb)).expect("there"),
                    contents: self.now[vb].clone(),
                });
            }
            Action::Release { which } if *which < self.pinned.len() => {
                drop(self.pinned.swap_remove(*which))
            }
            Action::RollBack { vb, which } if *which < self.pinned.len() => {
                self.roll_back(*vb, *which)
            }
            Action::Purge { vb, share } => {
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
            Action::Separate => drop(run(self.engine.separate().expect("begun")).expect("done")),
            Action::Compact { vb, steps } => {
                let mut job = self
                    .engine
                    .compact(id(*vb), CompactionRequest::default())
                    .expect("begun");
                if *steps == 0 {
                    run(job).expect("done");
                } else {
                    for _ in 0..*steps {
                        job.step(STEP).expect("no failure");
                    }
                }
            }
            Action::Upkeep => {
                if let Some(job) = self.engine.maintenance() {
                    run(job).expect("done");
                }
            }
            Action::Image { steps } => {
                let Some(mut job) = self.engine.maintenance.image_job() else {
                    return;
                };
                if *steps == 0 {
                    run(job).expect("done");
                } else {
                    for _ in 0..*steps {
                        job.step(STEP).expect("no failure");
                    }
                }
            }
            Action::Recreate { vb } => {
                self.engine.drop_vbucket(id(*vb)).expect("dropped");
                self.engine.create(id(*vb)).expect("created");
                self.now.insert(*vb, Contents::new());
                self.purged.remove(vb);
                self.branches.insert(*vb, BTreeMap::new());
                self.begin_branch(*vb);
            }
            Action::Crash { seed } => {
                self.disk.crash(PowerLoss::Random { seed: *seed });
                self.reopen();
            }
            Action::Close => {
                self.engine.close().expect("closed");
                self.reopen();
            }
            Action::Release { .. } | Action::RollBack { .. } => {}
        }
    }

    fn begin_branch(&mut self, vb: bool) {
        let branches = self.branches.get_mut(&vb).expect("there");
        branches.insert(self.next_branch, u64::MAX);
        self.next_branch += 1;
    }

    fn roll_back(&mut self, vb: bool, which: usize) {
        let to = self.pinned[which].snapshot.high();
        let before = self.engine.info(id(vb)).expect("there");
        let is_there = |pinned: &&Pinned| {
            let shared = self.branches[&vb].get(&pinned.branch);
            pinned.vb == vb && shared.is_some_and(|shared| pinned.snapshot.high().0 <= *shared)
        };
        let there = || self.pinned.iter().filter(is_there);
        let newest = there().map(|pinned| pinned.snapshot.high());
        let newest = newest.filter(|high| *high <= to).max();
        match self.engine.rollback(id(vb), to).expect("answered") {
            RolledBack::Done { high } if to >= before.high => assert_eq!(high, before.high),
            RolledBack::Done { high } => {
                assert_eq!(Some(high), newest, "back to {to}");
                // Several snapshots may have that seqno, before a purge and after it. The contents
                // are those of one of them, less the tombstones purged since. A purge may have
                // passed a tombstone whose key had come again by then.
                let now = contents_of(&*self.engine.snapshot(id(vb)).expect("there"));
                let purged = self.purged.get(&vb).cloned().unwrap_or_default();
                let fits = there().any(|pinned| {
                    let passed = due(&pinned.contents, before.purge.0, high.0);
                    let is_gone = |seqno: &u64| !now.contains_key(seqno);
                    let mut expected = pinned.contents.clone();
                    expected.retain(|seqno, _| !passed.contains(seqno) || !is_gone(seqno));
                    let is_purged = passed.intersection(&purged).all(is_gone);
                    pinned.snapshot.high() == high && is_purged && expected == now
                });
                assert!(fits, "back to {to}");
                let is_still_purged = |seqno: &u64| *seqno < high.0 && !now.contains_key(seqno);
                let purged = purged.into_iter().filter(is_still_purged).collect();
                self.purged.insert(vb, purged);
                self.now.insert(vb, now);
                let branches = self.branches.get_mut(&vb).expect("there");
                branches
                    .values_mut()
                    .for_each(|shared| *shared = high.0.min(*shared));
                self.begin_branch(vb);
                self.exact = false;
            }
            RolledBack::NeedsReset { lowest } => {
                assert_eq!(newest, None, "back to {to}");
                let lowest_there = there().map(|pinned| pinned.snapshot.high()).min();
                assert_eq!(lowest, lowest_there.unwrap_or(before.high).min(before.high));
            }
        }
    }

    pub(super) fn check(&self) {
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
        for pinned in &self.pinned {
            let shown = contents_of(&*pinned.snapshot);
            assert_eq!(shown, pinned.contents, "a pinned snapshot");
        }
        audit(&self.engine, self.exact);
    }
}
