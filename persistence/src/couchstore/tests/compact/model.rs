//! Random batches and purges between the steps of a compaction, against a plain map: contents,
//! figures, pinned snapshots, and the content after reopening.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Item, Operation, Seqno, VBucketState};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use crate::contract::{
    Budget, CommitBatch, CompactionRequest, Engine, EnginePoint, Job, JobProgress, ScanLimit,
    Snapshot,
};
use crate::couchstore::config::{CompactionConfig, CouchstoreConfig};
use crate::couchstore::engine::Couchstore;
use crate::couchstore::tests::model::batches::{Change, Model, by_seqno, change, item};
use crate::couchstore::tests::reference_model::{is_tombstone, last_of_collections};
use crate::couchstore::tests::support::{VB, contents, dir, open_with, state};
use crate::disk::{Disk, MemoryDisk};

/// Little memory for sorting, so that rows go through temporary files.
const CONFIG: CouchstoreConfig = CouchstoreConfig {
    compaction: CompactionConfig {
        sort_bytes: 5000,
        ..CompactionConfig::DEFAULT
    },
    ..CouchstoreConfig::DEFAULT
};

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Change>),
    /// Purges up to this many hundredths of the high seqno.
    Begin(Option<u64>),
    Work(usize),
    /// Up to this many hundredths of the high seqno.
    Purge(u64),
    Abort,
    Pin,
    Reopen,
}

fn step(keys: u16) -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(change(keys), 0..12).prop_map(Step::Commit),
        3 => prop::option::of(0_u64..130).prop_map(Step::Begin),
        12 => prop_oneof![Just(1), 1_usize..20, Just(usize::MAX)].prop_map(Step::Work),
        2 => (0_u64..130).prop_map(Step::Purge),
        1 => Just(Step::Abort),
        1 => Just(Step::Pin),
        1 => Just(Step::Reopen),
    ]
}

/// The store and its expected content.
struct World {
    disk: MemoryDisk,
    engine: Option<Couchstore>,
    seqno: u64,
    completed: u64,
    purge: u64,
    model: Model,
    job: Option<Running>,
    pinned: Vec<(Box<dyn Snapshot>, BTreeMap<u64, Item>)>,
    compactions: u64,
    /// Purges that removed something while a job was running.
    purged_beside: u64,
}

struct Running {
    job: Box<dyn Job>,
    /// Seqnos that it removes, and the highest tombstone of those.
    gives_up: Vec<u64>,
    purged: u64,
}

impl World {
    fn engine(&self) -> &Couchstore {
        self.engine.as_ref().expect("open")
    }

    fn commit(&mut self, batch: &[Change]) {
        let items: Vec<Item> = batch
            .iter()
            .map(|change| {
                self.seqno += 1;
                item(self.seqno, change)
            })
            .collect();
        // Older prepares are complete.
        self.completed = self.seqno / 2;
        let refs: Vec<&Item> = items.iter().collect();
        let state = VBucketState {
            high_completed_seqno: Seqno(self.completed),
            ..state(self.seqno)
        };
        let batch = CommitBatch {
            vb: VB,
            items: &refs,
            state: &state,
            timestamp: self.seqno,
        };
        let committed = self
            .engine()
            .commit(&[batch])
            .pop()
            .expect("one")
            .expect("committed");
        assert_eq!(committed.high, Seqno(self.seqno));
        for item in items {
            self.model.insert(
                (
                    item.operation.namespace().expect("stored"),
                    item.key.clone(),
                ),
                item,
            );
        }
    }

    fn begin(&mut self, upto: Option<u64>) {
        let upto = upto.map(|hundredths| self.seqno * hundredths / 100);
        let request = CompactionRequest {
            purge_upto: upto.map(Seqno),
            ..CompactionRequest::default()
        };
        let job = self.engine().compact(VB, request);
        if self.job.is_some() {
            assert_eq!(
                job.expect_err("one at a time").kind(),
                "compaction-in-progress"
            );
            return;
        }
        let mut running = Running {
            job: job.expect("begun"),
            gives_up: Vec::new(),
            purged: 0,
        };
        // The job copies the commit that its first step finds.
        self.work_on(&mut running, 0);
        let last = last_of_collections(self.model.values());
        for item in self
            .model
            .values()
            .filter(|item| item.seqno.0 != self.seqno)
        {
            let seqno = item.seqno.0;
            if is_tombstone(item) {
                if upto.is_some_and(|upto| seqno <= upto) && !last.contains(&seqno) {
                    running.purged = running.purged.max(seqno);
                    running.gives_up.push(seqno);
                }
            } else if item.operation == Operation::Prepare && seqno <= self.completed {
                running.gives_up.push(seqno);
            }
        }
        self.job = Some(running);
    }

    /// Runs one step. Returns whether there is more to do.
    fn work_on(&mut self, running: &mut Running, items: usize) -> bool {
        match running
            .job
            .step(Budget {
                items,
                bytes: u64::MAX,
            })
            .expect("no failure")
        {
            JobProgress::Reached(EnginePoint::CompactAfterRename) => {
                self.model
                    .retain(|_, item| !running.gives_up.contains(&item.seqno.0));
                self.purge = self.purge.max(running.purged);
                self.compactions += 1;
                true
            }
            JobProgress::Done(_) => false,
            _ => true,
        }
    }

    fn purge(&mut self, upto: u64) {
        let last = last_of_collections(self.model.values());
        let (seqno, mut highest) = (self.seqno, 0);
        self.model.retain(|_, item| {
            let at = item.seqno.0;
            let is_purged = is_tombstone(item) && at <= upto && at != seqno && !last.contains(&at);
            if is_purged {
                highest = highest.max(at);
            }
            !is_purged
        });
        self.purge = self.purge.max(highest);
        assert_eq!(
            self.engine().purge(VB, Seqno(upto)).expect("purged"),
            Seqno(self.purge)
        );
        self.purged_beside += u64::from(highest > 0 && self.job.is_some());
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Commit(batch) => self.commit(batch),
            Step::Begin(upto) => self.begin(*upto),
            Step::Work(items) => {
                if let Some(mut running) = self.job.take() {
                    self.job = self.work_on(&mut running, *items).then_some(running);
                }
            }
            Step::Purge(hundredths) => self.purge(self.seqno * hundredths / 100),
            Step::Abort => self.job = None,
            Step::Pin => {
                let snapshot = self.engine().snapshot(VB).expect("there");
                self.pinned.push((snapshot, by_seqno(&self.model)));
            }
            Step::Reopen => self.reopen(),
        }
        self.check();
    }

    /// Reopens without closing: an acknowledged commit must be complete in the file.
    fn reopen(&mut self) {
        self.engine = None;
        self.engine = Some(open_with(&self.disk, CONFIG).expect("opens").0);
        self.job = None;
        assert_eq!(self.disk.list(&dir()).expect("listed").len(), 1);
    }

    fn check(&self) {
        let expected = by_seqno(&self.model);
        assert_eq!(contents(self.engine(), VB), expected);
        let info = self.engine().info(VB).expect("there");
        assert_eq!(
            (info.high, info.purge),
            (Seqno(self.seqno), Seqno(self.purge))
        );
        let snapshot = self.engine().snapshot(VB).expect("there");
        let completed = snapshot
            .state()
            .map_or(Seqno(0), |state| state.high_completed_seqno);
        assert_eq!(completed, Seqno(self.completed));
    }
}

/// Returns the number of completed compactions, and of purges that removed something during one.
fn check(steps: &[Step]) -> (u64, u64) {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, CONFIG).expect("opens");
    engine.create(VB).expect("created");
    let mut world = World {
        disk,
        engine: Some(engine),
        seqno: 0,
        completed: 0,
        purge: 0,
        model: Model::new(),
        job: None,
        pinned: Vec::new(),
        compactions: 0,
        purged_beside: 0,
    };
    steps.iter().for_each(|step| world.run(step));
    world.reopen();
    world.check();
    for (snapshot, expected) in &world.pinned {
        let slice = snapshot
            .scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)
            .expect("readable");
        assert!(
            slice.items.iter().eq(expected.values()),
            "a pinned snapshot has changed"
        );
    }
    (world.compactions, world.purged_beside)
}

/// Makes a runner with the same cases in every run, so that the number of completed compactions is
/// fixed.
fn runner(cases: u32) -> TestRunner {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

#[test]
fn compaction_of_few_keys_matches_the_map() {
    let (compactions, purged_beside) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    runner(160)
        .run(&prop::collection::vec(step(12), 1..80), |steps| {
            let (ended, purged) = check(&steps);
            compactions.set(compactions.get() + ended);
            purged_beside.set(purged_beside.get() + purged);
            Ok(())
        })
        .expect("no counterexample");
    assert!(
        compactions.get() > 50 && purged_beside.get() > 50,
        "{compactions:?}, {purged_beside:?}"
    );
}

#[test]
fn compaction_of_many_keys_matches_the_map() {
    let strategy = prop::collection::vec(
        prop_oneof![
            3 => prop::collection::vec(change(3000), 0..300).prop_map(Step::Commit),
            4 => step(3000),
        ],
        1..20,
    );
    runner(24)
        .run(&strategy, |steps| {
            check(&steps);
            Ok(())
        })
        .expect("no counterexample");
}
