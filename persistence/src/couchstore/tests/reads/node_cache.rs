//! E22. Stores with no cache, a tiny one and a large one give the same answers, whatever is done to
//! them and fails.

use lowtide_checkpoint::{Item, Seqno};
use proptest::prelude::*;

use crate::contract::{Budget, CompactionRequest, Engine, JobProgress, ScanLimit, Snapshot};
use crate::couchstore::config::CouchstoreConfig;
use crate::couchstore::engine::Couchstore;
use crate::couchstore::file::header_search;
use crate::couchstore::tests::model::batches::{Change, change, item};
use crate::couchstore::tests::reference_model::{self, Commit};
use crate::couchstore::tests::support::{self, VB, commit, contents, file, noise, open_with, set};
use crate::disk::{Access, Disk, Fault, FaultyDisk, MemoryDisk};

const BUDGETS: [usize; 3] = [0, 3000, 1 << 20];
/// Number of retries, so that nodes of different seqnos sometimes compress to the same length.
const RETRIES: u64 = 12;

#[derive(Clone, Debug)]
enum Step {
    /// Seqnos that begin this far behind the highest.
    Commit(u64, Vec<Change>),
    /// A commit after several that differ in their seqnos only and cannot be written. A node of one
    /// of them may have been at the position of another's.
    CommitAtLast(u64, Vec<Change>),
    /// To this many hundredths of the high seqno.
    Rollback(u64),
    Purge(u64),
    Compact,
    /// A failure of the n-th I/O from here.
    Fail(u64, Fault),
    Pin,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        Just(Fault::Eio),
        Just(Fault::EioPersisted),
        (0_u64..9000).prop_map(|bytes| Fault::Torn { bytes }),
    ];
    prop_oneof![
        8 => (1_u64..900, prop::collection::vec(change(160), 0..60)).prop_map(|(gap, batch)| Step::Commit(gap, batch)),
        2 => (1_u64..900, prop::collection::vec(change(160), 1..60)).prop_map(|(gap, batch)| Step::CommitAtLast(gap, batch)),
        2 => (0_u64..=100).prop_map(Step::Rollback),
        1 => (0_u64..=100).prop_map(Step::Purge),
        1 => Just(Step::Compact),
        4 => (1_u64..4, fault).prop_map(|(nth, fault)| Step::Fail(nth, fault)),
        1 => Just(Step::Pin),
        1 => Just(Step::Reopen),
    ]
}

struct Store {
    disk: FaultyDisk,
    budget_bytes: usize,
    engine: Option<Couchstore>,
    pinned: Vec<(Box<dyn Snapshot>, Commit)>,
}

impl Store {
    fn new(budget_bytes: usize) -> Self {
        let disk = FaultyDisk::new(MemoryDisk::new());
        let mut store = Self {
            disk,
            budget_bytes,
            engine: None,
            pinned: Vec::new(),
        };
        store.reopen();
        store.engine().create(VB).expect("created");
        let items: Vec<Item> = (1..200)
            .map(|n| set(n, &format!("key-{n:05}"), &noise(n as usize)))
            .collect();
        commit(store.engine(), VB, &items).expect("committed");
        store
    }

    fn engine(&self) -> &Couchstore {
        self.engine.as_ref().expect("open")
    }

    fn reopen(&mut self) {
        self.disk.clear_faults();
        self.engine = None;
        let config = CouchstoreConfig {
            cache_bytes: self.budget_bytes,
            ..CouchstoreConfig::default()
        };
        self.engine = Some(open_with(&self.disk, config).expect("opens").0);
    }

    /// Runs a step. Returns its result in words.
    fn run(&mut self, step: &Step) -> String {
        let now = reference_model::now(self.engine());
        match step {
            Step::Commit(gap, batch) => self.commit(now.high + gap, batch),
            Step::CommitAtLast(gap, batch) => {
                self.disk.clear_faults();
                let first = now.high + gap;
                let mut all = String::new();
                for seqno in first..first + RETRIES {
                    self.disk.fail_write(1, Fault::EioPersisted);
                    all += &self.commit(seqno, batch);
                }
                all + &self.commit(first + RETRIES, batch)
            }
            Step::Rollback(hundredths) => outcome(
                self.engine()
                    .rollback(VB, Seqno(now.high * hundredths / 100)),
            ),
            Step::Purge(hundredths) => {
                outcome(self.engine().purge(VB, Seqno(now.high * hundredths / 100)))
            }
            Step::Compact => self.compact(),
            Step::Fail(nth, fault) => {
                self.disk.fail_io(*nth, *fault);
                String::new()
            }
            Step::Pin => {
                self.pinned
                    .push((self.engine().snapshot(VB).expect("there"), now));
                String::new()
            }
            Step::Reopen => {
                self.reopen();
                String::new()
            }
        }
    }

    fn commit(&self, first: u64, batch: &[Change]) -> String {
        let items: Vec<Item> = (first..)
            .zip(batch)
            .map(|(seqno, change)| item(seqno, change))
            .collect();
        outcome(commit(self.engine(), VB, &items))
    }

    fn compact(&self) -> String {
        let mut job = match self.engine().compact(VB, CompactionRequest::default()) {
            Ok(job) => job,
            Err(error) => return error.kind().to_owned(),
        };
        loop {
            match job.step(Budget::NONE) {
                Ok(JobProgress::Done(report)) => return format!("{report:?}"),
                Ok(_) => {}
                Err(error) => return error.kind().to_owned(),
            }
        }
    }

    /// Returns the vBucket's content. Checks that pinned snapshots are unchanged, and the budget.
    fn shown(&self) -> Commit {
        for (snapshot, then) in &self.pinned {
            assert_eq!(reference_model::of(&**snapshot), *then);
        }
        let shown = reference_model::now(self.engine());
        let snapshot = self.engine().snapshot(VB).expect("there");
        for (&seqno, item) in &shown.rows {
            let limit = ScanLimit {
                items: 1,
                ..ScanLimit::NONE
            };
            let slice = snapshot
                .scan(Seqno(seqno), Seqno(seqno), limit)
                .expect("readable");
            assert_eq!(slice.items, std::slice::from_ref(item));
        }
        assert!(self.engine().stats()["cache-bytes"] <= self.budget_bytes as u64);
        shown
    }
}

fn outcome<T: std::fmt::Debug>(result: Result<T, crate::contract::EngineError>) -> String {
    result.map_or_else(|error| error.kind().to_owned(), |done| format!("{done:?}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_the_same_with_any_cache(steps in prop::collection::vec(step(), 1..24)) {
        let mut stores = BUDGETS.map(Store::new);
        stores.iter().for_each(|store| drop(store.shown()));
        // A later step may leave nothing worth caching.
        prop_assert!(stores[2].engine().stats()["cache-bytes"] > 0);
        for step in &steps {
            let outcomes = stores.each_mut().map(|store| store.run(step));
            prop_assert!(outcomes.iter().all(|other| *other == outcomes[0]), "{step:?}: {outcomes:?}");
            if outcomes[0] == "poisoned" {
                stores.iter_mut().for_each(Store::reopen);
            }
            let [plain, tiny, large] = stores.each_ref().map(Store::shown);
            prop_assert_eq!(&plain, &tiny);
            prop_assert_eq!(&plain, &large);
        }
    }
}

#[test]
fn nodes_of_a_failed_commit_are_not_cached() {
    let batch = |from: u64| -> Vec<Item> {
        (0..150)
            .map(|n| set(from + n, &format!("key-{n:05}"), &noise(40)))
            .collect()
    };
    let faults = [Fault::EioPersisted, Fault::Eio, Fault::Torn { bytes: 9000 }];
    // Some of this many nodes compress to the same length.
    for (fault, from) in faults
        .into_iter()
        .flat_map(|fault| (5..60).map(move |n| (fault, n * 0x100 + 1)))
    {
        let disk = FaultyDisk::new(MemoryDisk::new());
        let (engine, _) = open_with(&disk, CouchstoreConfig::default()).expect("opens");
        engine.create(VB).expect("created");
        commit(&engine, VB, &batch(1)).expect("committed");
        disk.fail_write(1, fault);
        assert!(commit(&engine, VB, &batch(0x401)).is_err());
        // The batch differs from the failed one in one byte of its seqnos, so its nodes get the
        // positions of that one's.
        commit(&engine, VB, &batch(from)).expect("committed");
        let found = contents(&engine, VB);
        assert_eq!(
            found.keys().copied().collect::<Vec<_>>(),
            (from..from + 150).collect::<Vec<_>>()
        );
        let snapshot = engine.snapshot(VB).expect("there");
        for seqno in from..from + 150 {
            let slice = snapshot
                .scan(Seqno(seqno), Seqno(seqno), ScanLimit::NONE)
                .expect("readable");
            assert_eq!(slice.items.len(), 1, "{seqno}");
        }
    }
}

#[test]
fn second_read_finds_the_nodes_in_memory() {
    let store = Store::new(1 << 20);
    let misses = || {
        reference_model::now(store.engine());
        store.engine().stats()["cache-misses"]
    };
    let first = misses();
    let by_key = store.engine().stats()["cache-hits"];
    // Scans read leaves from the file each time.
    assert!(misses() - first < first && by_key > 0);
}

#[test]
fn damage_hidden_by_the_cache_is_refused_by_compaction() {
    let store = Store::new(1 << 20);
    reference_model::now(store.engine());
    let file = store
        .disk
        .memory()
        .open(&file(), Access::ReadWrite)
        .expect("there");
    let view = header_search::newest(file, &support::file()).expect("opens");
    let root = view.header.by_seqno.expect("not empty").position;
    // In the node's chunk, but not at a block's type.
    let at = root + 12 + u64::from((root + 12).is_multiple_of(4096));
    let byte = view.source.read_raw(at, 1).expect("read")[0];
    view.source.file.write_at(&[&[!byte]], at).expect("written");
    let snapshot = store.engine().snapshot(VB).expect("there");
    assert!(
        snapshot.scan(Seqno(0), Seqno::MAX, ScanLimit::NONE).is_ok(),
        "memory has the node"
    );
    assert!(
        !store.engine().check(VB).expect("readable").is_empty(),
        "a check reads the file"
    );
    assert_eq!(store.compact(), "corrupt");
}
