//! A failure at every I/O of commits before, during and after compactions, with the script of power
//! loss.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Item, Seqno};

use crate::contract::{CompactionRequest, Engine, EngineError, EnginePoint, Job, JobProgress};
use crate::couchstore::config::CouchstoreConfig;
use crate::couchstore::engine::Couchstore;
use crate::couchstore::tests::support::{VB, apply, commit, contents, open_with};
use crate::disk::{DiskOperation, Fault, FaultyDisk, MemoryDisk, PowerLoss};

use super::names;
use super::power::{BUDGET, CONFIG, Event, Expected, TWO_PHASE, check_after, rehearse, script};

/// Runs the script to its end in spite of failures. A failed commit is repeated, after reopening if
/// necessary, and a failed compaction is started again.
struct Stubborn<'a> {
    disk: &'a FaultyDisk,
    config: CouchstoreConfig,
    engine: Option<Couchstore>,
    job: Option<(Box<dyn Job>, bool)>,
    expected: Expected,
    failed_jobs: usize,
    what: &'a str,
}

impl Stubborn<'_> {
    fn reopen(&mut self) {
        self.job = None;
        self.engine = None;
        let engine = (0..3).find_map(|_| open_with(self.disk, self.config).ok());
        self.engine = Some(engine.expect("opens at last").0);
    }

    fn engine(&self) -> &Couchstore {
        self.engine.as_ref().expect("open")
    }

    fn is_poisoned(&self) -> bool {
        matches!(self.engine().create(VB), Err(EngineError::Poisoned { .. }))
    }

    fn check(&self) {
        assert_eq!(
            contents(self.engine(), VB),
            self.expected.contents,
            "{}",
            self.what
        );
    }

    fn commit(&mut self, items: &[Item]) {
        while let Err(error) = commit(self.engine(), VB, items) {
            self.check();
            if matches!(error, EngineError::Poisoned { .. }) || self.is_poisoned() {
                self.reopen();
                if contents(self.engine(), VB) == apply(&self.expected.contents, items) {
                    break;
                }
                self.check();
            }
        }
        self.expected.contents = apply(&self.expected.contents, items);
        self.check();
    }

    fn purge(&mut self, upto: u64) {
        self.expected.begin_taking_out(upto);
        while let Err(error) = self.engine().purge(VB, Seqno(upto)) {
            if matches!(error, EngineError::Poisoned { .. }) || self.is_poisoned() {
                self.reopen();
                if !contents(self.engine(), VB)
                    .keys()
                    .any(|seqno| self.expected.taking_out.contains(seqno))
                {
                    break;
                }
            }
            self.check();
        }
        self.expected.end_taking_out();
        self.check();
    }

    fn work(&mut self) {
        let Some((mut job, purge)) = self.job.take() else {
            return;
        };
        match job.step(BUDGET) {
            Ok(JobProgress::Reached(point)) => {
                self.expected.point = Some(point);
                if point == EnginePoint::CompactAfterRename {
                    self.expected.end_purge();
                }
                self.job = Some((job, purge));
            }
            Ok(JobProgress::Done(_)) => {}
            // Damage done by such a step would show at the next commit.
            Ok(JobProgress::Working { .. } | JobProgress::Ahead) => {
                return self.job = Some((job, purge));
            }
            Err(error) => self.failed(purge, &error),
        }
        self.check();
    }

    fn failed(&mut self, purge: bool, error: &EngineError) {
        self.failed_jobs += 1;
        let what = self.what;
        let leftovers = || {
            names(self.disk)
                .into_iter()
                .filter(|name| name.contains("compact"))
                .count()
        };
        if self.is_poisoned() {
            let of_directory = matches!(error, EngineError::Disk(error) if error.operation == DiskOperation::SyncDir);
            assert!(
                of_directory,
                "{what}: {error}: the target's failures are not the store's"
            );
            self.check();
            self.reopen();
            // The rename was done: the new file is found.
            self.expected.end_purge();
            return;
        }
        assert_eq!(leftovers(), 0, "{what}: {error}");
        if names(self.disk).len() > 1 {
            // Only the removal of the old file can have failed.
            assert_eq!(
                self.expected.point,
                Some(EnginePoint::CompactAfterRename),
                "{what}: {error}"
            );
            self.check();
            return;
        }
        self.expected.purging.clear();
        self.begin(purge);
    }

    fn begin(&mut self, purge: bool) {
        let purge_upto = purge.then_some(Seqno::MAX);
        let request = CompactionRequest {
            purge_upto,
            ..CompactionRequest::default()
        };
        self.job = Some((self.engine().compact(VB, request).expect("begun"), purge));
        self.expected.point = None;
        if purge {
            self.expected.begin_purge();
        }
    }

    fn run(&mut self) {
        self.reopen();
        while self.engine().vbuckets().is_empty() {
            if let Err(EngineError::Poisoned { .. }) = self.engine().create(VB) {
                self.reopen();
            }
        }
        for event in script() {
            match event {
                Event::Commit(items) => {
                    if self.expected.point.is_none() {
                        (0..4).for_each(|_| self.work());
                    }
                    self.commit(&items);
                }
                Event::Purge(upto) => {
                    if self.expected.point.is_none() {
                        (0..4).for_each(|_| self.work());
                    }
                    self.purge(upto);
                }
                Event::Until(point) => {
                    while self.job.is_some() && self.expected.point != Some(point) {
                        self.work();
                    }
                }
                Event::Compact { purge } => {
                    while self.job.is_some() {
                        self.work();
                    }
                    self.begin(purge);
                }
            }
        }
        while self.job.is_some() {
            self.work();
        }
    }
}

fn any_failure(config: CouchstoreConfig) {
    let faults = [
        Fault::Eio,
        Fault::Enospc,
        Fault::Torn { bytes: 1 },
        Fault::Torn { bytes: 5200 },
        Fault::EioPersisted,
    ];
    let mut met: BTreeMap<bool, usize> = BTreeMap::new();
    for (nth, fault) in (1..=rehearse(config)).flat_map(|nth| faults.map(|fault| (nth, fault))) {
        for keep in [PowerLoss::DropUnsynced, PowerLoss::Random { seed: nth }] {
            let what = format!("{fault:?} at {nth}, {keep:?}");
            let disk = FaultyDisk::new(MemoryDisk::new());
            disk.fail_io(nth, fault);
            let mut stubborn = Stubborn {
                disk: &disk,
                config,
                engine: None,
                job: None,
                expected: Expected::default(),
                failed_jobs: 0,
                what: &what,
            };
            stubborn.run();
            *met.entry(stubborn.failed_jobs > 0).or_default() += 1;
            let expected = stubborn.expected.clone();
            drop(stubborn);
            disk.clear_faults();
            disk.crash(keep);
            check_after(&disk, config, Some(&expected), &what);
        }
    }
    assert!(
        met[&true] >= 300 && met.values().sum::<usize>() >= 700,
        "{met:?}"
    );
}

#[test]
fn any_failure_leaves_the_vbucket_serving() {
    any_failure(CONFIG);
}

#[test]
fn any_failure_leaves_the_vbucket_serving_with_two_syncs() {
    any_failure(TWO_PHASE);
}
