//! Power loss and failures at every single I/O of commits before, beside and after compactions.

use std::collections::BTreeMap;

use checkpoint::{Item, Seqno};

use crate::couchstore::{CommitMode, CompactionConfig, Couchstore, CouchstoreConfig};
use crate::disk::{Disk, DiskOperation, Fault, FaultyDisk, Keep, MemoryDisk};
use crate::{Budget, CompactionRequest, Engine, EngineError, Job, Progress};

use super::super::crash::{Contents, apply, noise};
use super::super::support::{VB, commit, contents, delete, dir, open_with, set};
use super::compact;

/// Synced often and sorted in little memory, so that there is something to fail on the way.
const CONFIG: CouchstoreConfig = CouchstoreConfig {
    commit: CommitMode::OneSync,
    compaction: CompactionConfig { sync_bytes: 1500, sort_bytes: 2000, ..CompactionConfig::DEFAULT },
};
const TWO_PHASE: CouchstoreConfig = CouchstoreConfig { commit: CommitMode::TwoPhase, ..CONFIG };
const BUDGET: Budget = Budget { items: 5, bytes: 6000 };

/// What is done, in order. A compaction's steps are done with commits between them until it ends.
#[derive(Clone, Debug)]
enum Event {
    Commit(Vec<Item>),
    /// With all commits up to the next compaction beside it, one after every few steps.
    Compact {
        purge: bool,
    },
    /// Steps of the compaction up to a point.
    Until(&'static str),
}

fn script() -> Vec<Event> {
    let many = |from: u64, to: u64| {
        let items =
            (from..to).map(|seqno| set(seqno, &format!("key-{}", seqno % 23), &noise(seqno as usize * 7)));
        Event::Commit(items.collect())
    };
    vec![
        Event::Commit(vec![set(1, "a", b"1"), set(2, "b", b"2"), set(3, "c", &noise(5000))]),
        Event::Commit(vec![set(4, "a", b"4"), delete(5, "b")]),
        many(6, 30),
        Event::Compact { purge: false },
        Event::Commit(vec![set(30, "b", b"back"), delete(31, "key-7"), set(32, "a", &noise(4000))]),
        many(33, 37),
        Event::Commit(vec![delete(40, "a")]),
        Event::Compact { purge: true },
        Event::Until("compact-copied"),
        Event::Commit(vec![set(45, "z", b""), set(46, "c", b"{}")]),
        Event::Until("compact-caught-up"),
        Event::Commit(vec![delete(47, "z")]),
        Event::Until("compact-before-rename"),
        many(48, 51),
        Event::Until("compact-after-rename"),
        Event::Commit(vec![set(51, "last", b"1"), delete(52, "key-3")]),
    ]
}

/// What the vBucket holds while something is done that may have been done already when it fails.
#[derive(Clone, Debug, Default)]
struct Expected {
    contents: Contents,
    /// What a commit in flight would add.
    in_flight: Vec<Item>,
    /// What a compaction in flight would purge.
    purging: Vec<u64>,
    /// The point reached last, and rounds caught up with.
    point: &'static str,
    rounds: u64,
}

impl Expected {
    /// Whether the vBucket holds what it may.
    fn allows(&self, found: &Contents) -> bool {
        let purged = |contents: &Contents| -> Contents {
            contents
                .iter()
                .filter(|(seqno, _)| !self.purging.contains(seqno))
                .map(|(&seqno, item)| (seqno, item.clone()))
                .collect()
        };
        let with = apply(&self.contents, &self.in_flight);
        [&self.contents, &with, &purged(&self.contents), &purged(&with)].contains(&found)
    }

    /// Purges what a job beginning now would.
    fn begin_purge(&mut self) {
        let last = self.contents.keys().last().copied();
        let tombstones = self.contents.iter().filter(|(_, item)| item.deleted).map(|(&seqno, _)| seqno);
        self.purging = tombstones.filter(|seqno| Some(*seqno) != last).collect();
    }

    fn end_purge(&mut self) {
        let purging = std::mem::take(&mut self.purging);
        self.contents.retain(|seqno, _| !purging.contains(seqno));
    }
}

/// Runs the script until something fails, telling what may be there then.
fn run(
    disk: &FaultyDisk,
    config: CouchstoreConfig,
    expected: &mut Option<Expected>,
) -> Result<(), EngineError> {
    let (engine, _) = open_with(disk, config)?;
    engine.create(VB)?;
    let expected = expected.insert(Expected::default());
    let mut job: Option<Box<dyn Job>> = None;
    for event in script() {
        match event {
            Event::Until(point) => {
                while job.is_some() && expected.point != point {
                    work(&mut job, expected)?;
                }
            }
            Event::Commit(items) => {
                if expected.point.is_empty() {
                    (0..4).try_for_each(|_| work(&mut job, expected))?;
                }
                expected.in_flight = items;
                commit(&engine, VB, &expected.in_flight)?;
                expected.contents = apply(&expected.contents, &std::mem::take(&mut expected.in_flight));
            }
            Event::Compact { purge } => {
                while job.is_some() {
                    work(&mut job, expected)?;
                }
                expected.point = "";
                let purge_upto = purge.then_some(Seqno::MAX);
                job = Some(
                    engine.compact(VB, CompactionRequest { purge_upto, ..CompactionRequest::default() })?,
                );
                if purge {
                    expected.begin_purge();
                }
            }
        }
    }
    while job.is_some() {
        work(&mut job, expected)?;
    }
    engine.close()
}

/// One step of a job, if there is one.
fn work(job: &mut Option<Box<dyn Job>>, expected: &mut Expected) -> Result<(), EngineError> {
    let Some(running) = job else { return Ok(()) };
    match running.step(BUDGET)? {
        Progress::Working { .. } => {}
        Progress::Reached(point) => {
            expected.point = point;
            if point == "compact-after-rename" {
                expected.end_purge();
            }
        }
        Progress::Done(report) => {
            expected.rounds += report.catch_up_rounds;
            *job = None;
        }
    }
    Ok(())
}

fn names(disk: &FaultyDisk) -> Vec<String> {
    disk.list(&dir()).expect("listed")
}

/// After any failure and reopening: only what may be there, in one file; and it stays so, and can be gone on with.
fn check_after(disk: &FaultyDisk, config: CouchstoreConfig, expected: Option<&Expected>, what: &str) {
    let reopen = || open_with(disk, config).unwrap_or_else(|error| panic!("{what}: {error}"));
    let (engine, _) = reopen();
    let Some(expected) = expected else {
        assert!(engine.vbuckets().is_empty() || contents(&engine, VB).is_empty(), "{what}");
        return;
    };
    let found = contents(&engine, VB);
    assert!(expected.allows(&found), "{what}: found {:?}, expected {expected:?}", found.keys());
    assert_eq!(names(disk).len(), 1, "{what}: {:?}", names(disk));
    drop(engine);
    disk.crash(Keep::None);
    let (engine, report) = reopen();
    assert_eq!(report.repairs, [], "{what}: repaired once");
    assert_eq!(contents(&engine, VB), found, "{what}: what was shown is durable");
    commit(&engine, VB, &[set(1000, "more", b"1")]).expect("committed");
    let found = contents(&engine, VB);
    compact(&engine, VB, CompactionRequest::default());
    assert_eq!(contents(&engine, VB), found, "{what}: compacted again");
}

fn keeps() -> impl Iterator<Item = Keep> {
    [Keep::None, Keep::All].into_iter().chain((0..16).map(|seed| Keep::Random { seed }))
}

/// Without faults: how many I/Os there are, and that the script does what it is for.
fn rehearse(config: CouchstoreConfig) -> u64 {
    let disk = FaultyDisk::new(MemoryDisk::new());
    let mut expected = None;
    run(&disk, config, &mut expected).expect("no failure");
    let ios = disk.io_count();
    assert_eq!(names(&disk), ["7.couch.3"], "two compactions");
    let (engine, _) = open_with(&disk, config).expect("opens");
    let found = contents(&engine, VB);
    let expected = expected.expect("it ran");
    assert_eq!(found, expected.contents);
    assert!(expected.rounds >= 3, "one held up commits: {}", expected.rounds);
    assert!(
        !found.contains_key(&31) && found.contains_key(&40),
        "a tombstone was purged, the highest was not"
    );
    ios
}

fn power_loss(config: CouchstoreConfig) -> usize {
    let mut cases = 0;
    for nth in 1..=rehearse(config) {
        for keep in keeps() {
            let what = format!("power off at {nth}, {keep:?}");
            let disk = FaultyDisk::new(MemoryDisk::new());
            disk.power_off_at_io(nth);
            let mut expected = None;
            assert!(run(&disk, config, &mut expected).is_err(), "{what}");
            disk.crash(keep);
            check_after(&disk, config, expected.as_ref(), &what);
            cases += 1;
        }
    }
    cases
}

#[test]
fn power_loss_at_any_io_leaves_one_file_or_the_other_whole() {
    let cases = power_loss(CONFIG);
    assert!(cases >= 1500, "{cases}");
}

#[test]
fn power_loss_at_any_io_leaves_one_file_or_the_other_whole_with_two_syncs() {
    let cases = power_loss(TWO_PHASE);
    assert!(cases >= 1500, "{cases}");
}

/// Runs the script to its end whatever fails: a failed commit is tried again, after reopening if need be; a compaction
/// that failed is begun anew.
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
        assert_eq!(contents(self.engine(), VB), self.expected.contents, "{}", self.what);
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

    fn work(&mut self) {
        let Some((mut job, purge)) = self.job.take() else { return };
        match job.step(BUDGET) {
            Ok(Progress::Reached(point)) => {
                self.expected.point = point;
                if point == "compact-after-rename" {
                    self.expected.end_purge();
                }
                self.job = Some((job, purge));
            }
            Ok(Progress::Done(_)) => {}
            Ok(_) => self.job = Some((job, purge)),
            Err(error) => self.failed(purge, &error),
        }
        self.check();
    }

    fn failed(&mut self, purge: bool, error: &EngineError) {
        self.failed_jobs += 1;
        let what = self.what;
        let leftovers = || names(self.disk).into_iter().filter(|name| name.contains("compact")).count();
        if self.is_poisoned() {
            let of_directory =
                matches!(error, EngineError::Disk(error) if error.operation == DiskOperation::SyncDir);
            assert!(of_directory, "{what}: {error}: the target's failures are not the store's");
            self.check();
            self.reopen();
            // The rename was done: the new file is the one that is found.
            self.expected.end_purge();
            return;
        }
        assert_eq!(leftovers(), 0, "{what}: {error}");
        if names(self.disk).len() > 1 {
            // It was the old file that could not be removed.
            self.check();
            return;
        }
        self.expected.purging.clear();
        self.begin(purge);
    }

    fn begin(&mut self, purge: bool) {
        let purge_upto = purge.then_some(Seqno::MAX);
        let request = CompactionRequest { purge_upto, ..CompactionRequest::default() };
        self.job = Some((self.engine().compact(VB, request).expect("begun"), purge));
        self.expected.point = "";
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
                    if self.expected.point.is_empty() {
                        (0..4).for_each(|_| self.work());
                    }
                    self.commit(&items);
                }
                Event::Until(point) => {
                    while self.job.is_some() && self.expected.point != point {
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
        for keep in [Keep::None, Keep::Random { seed: nth }] {
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
    assert!(met[&true] >= 300 && met.values().sum::<usize>() >= 700, "{met:?}");
}

#[test]
fn any_failure_leaves_the_vbucket_serving() {
    any_failure(CONFIG);
}

#[test]
fn any_failure_leaves_the_vbucket_serving_with_two_syncs() {
    any_failure(TWO_PHASE);
}
