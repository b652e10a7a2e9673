//! Power loss at every I/O of commits before, during and after compactions.

use lowtide_checkpoint::{Item, Seqno};

use crate::contract::{
    Budget, CompactionRequest, Engine, EngineError, EnginePoint, Job, JobProgress,
};
use crate::couchstore::config::{CommitMode, CompactionConfig, CouchstoreConfig};
use crate::couchstore::tests::support::{
    Contents, VB, apply, commit, contents, delete, noise, open_with, set,
};
use crate::disk::{FaultyDisk, MemoryDisk, PowerLoss};

use super::{compact, names};

/// Frequent syncs and little memory for sorting, so that many I/Os can fail.
pub(super) const CONFIG: CouchstoreConfig = CouchstoreConfig {
    compaction: CompactionConfig {
        sync_bytes: 1500,
        sort_bytes: 2000,
        ..CompactionConfig::DEFAULT
    },
    ..CouchstoreConfig::DEFAULT
};
pub(super) const TWO_PHASE: CouchstoreConfig = CouchstoreConfig {
    commit: CommitMode::TwoPhase,
    ..CONFIG
};
pub(super) const BUDGET: Budget = Budget {
    items: 5,
    bytes: 6000,
};

/// The events of the script, in order. A compaction's steps alternate with commits until it ends.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Commit(Vec<Item>),
    /// All commits up to the next compaction run during this one, one after every few steps.
    Compact {
        purge: bool,
    },
    /// Steps of the compaction up to a point.
    Until(EnginePoint),
    /// A purge up to this seqno. All tombstones that it removes are below.
    Purge(u64),
}

pub(super) fn script() -> Vec<Event> {
    let many = |from: u64, to: u64| {
        let items = (from..to).map(|seqno| {
            set(
                seqno,
                &format!("key-{}", seqno % 23),
                &noise(seqno as usize * 7),
            )
        });
        Event::Commit(items.collect())
    };
    vec![
        Event::Commit(vec![
            set(1, "a", b"1"),
            set(2, "b", b"2"),
            set(3, "c", &noise(5000)),
        ]),
        Event::Commit(vec![set(4, "a", b"4"), delete(5, "b")]),
        many(6, 30),
        Event::Compact { purge: false },
        // While rows are copied.
        Event::Purge(29),
        Event::Commit(vec![
            set(30, "b", b"back"),
            delete(31, "key-7"),
            set(32, "a", &noise(4000)),
        ]),
        many(33, 37),
        Event::Commit(vec![delete(40, "a")]),
        Event::Compact { purge: true },
        Event::Until(EnginePoint::CompactCopied),
        Event::Commit(vec![set(45, "z", b""), set(46, "c", b"{}")]),
        Event::Purge(45),
        Event::Until(EnginePoint::CompactCaughtUp),
        Event::Commit(vec![delete(47, "z")]),
        Event::Until(EnginePoint::CompactBeforeRename),
        many(48, 51),
        Event::Purge(50),
        Event::Until(EnginePoint::CompactAfterRename),
        Event::Commit(vec![set(51, "last", b"1"), delete(52, "key-3")]),
    ]
}

/// The expected content, and the operation in flight, which may be done when it fails.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    pub(super) contents: Contents,
    /// Items of the commit in flight.
    in_flight: Vec<Item>,
    /// Seqnos that the purge in flight removes.
    pub(super) taking_out: Vec<u64>,
    /// Seqnos that the compaction in flight purges.
    pub(super) purging: Vec<u64>,
    /// Last point that the compaction reached.
    pub(super) point: Option<EnginePoint>,
    rounds: u64,
}

impl Expected {
    /// Returns whether the vBucket may have this content.
    fn allows(&self, found: &Contents) -> bool {
        let purged = |contents: &Contents| -> Contents {
            contents
                .iter()
                .filter(|(seqno, _)| !self.purging.contains(seqno))
                .map(|(&seqno, item)| (seqno, item.clone()))
                .collect()
        };
        let with = apply(&self.contents, &self.in_flight);
        let mut without = self.contents.clone();
        without.retain(|seqno, _| !self.taking_out.contains(seqno));
        [&self.contents, &with, &without]
            .into_iter()
            .any(|all| found == all || *found == purged(all))
    }

    /// Begins a purge up to a seqno.
    pub(super) fn begin_taking_out(&mut self, upto: u64) {
        let last = self.contents.keys().last().copied();
        let tombstones = self
            .contents
            .iter()
            .filter(|(_, item)| item.deleted)
            .map(|(&seqno, _)| seqno);
        self.taking_out = tombstones
            .filter(|&seqno| seqno <= upto && Some(seqno) != last)
            .collect();
    }

    /// Ends the purge.
    pub(super) fn end_taking_out(&mut self) {
        let taking_out = std::mem::take(&mut self.taking_out);
        self.contents.retain(|seqno, _| !taking_out.contains(seqno));
    }

    /// Begins the purge of a job that starts now.
    pub(super) fn begin_purge(&mut self) {
        let last = self.contents.keys().last().copied();
        let tombstones = self
            .contents
            .iter()
            .filter(|(_, item)| item.deleted)
            .map(|(&seqno, _)| seqno);
        self.purging = tombstones.filter(|seqno| Some(*seqno) != last).collect();
    }

    pub(super) fn end_purge(&mut self) {
        let purging = std::mem::take(&mut self.purging);
        self.contents.retain(|seqno, _| !purging.contains(seqno));
    }
}

/// Runs the script until a failure, and keeps track of the expected content.
pub(super) fn run(
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
                while job.is_some() && expected.point != Some(point) {
                    work(&mut job, expected)?;
                }
            }
            Event::Commit(items) => {
                if expected.point.is_none() {
                    (0..4).try_for_each(|_| work(&mut job, expected))?;
                }
                expected.in_flight = items;
                commit(&engine, VB, &expected.in_flight)?;
                expected.contents =
                    apply(&expected.contents, &std::mem::take(&mut expected.in_flight));
            }
            Event::Purge(upto) => {
                if expected.point.is_none() {
                    (0..4).try_for_each(|_| work(&mut job, expected))?;
                }
                expected.begin_taking_out(upto);
                assert!(
                    job.is_some() && !expected.taking_out.is_empty(),
                    "it takes something out beside a job"
                );
                engine.purge(VB, Seqno(upto))?;
                expected.end_taking_out();
            }
            Event::Compact { purge } => {
                while job.is_some() {
                    work(&mut job, expected)?;
                }
                expected.point = None;
                let purge_upto = purge.then_some(Seqno::MAX);
                job = Some(engine.compact(
                    VB,
                    CompactionRequest {
                        purge_upto,
                        ..CompactionRequest::default()
                    },
                )?);
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

/// Runs one step of a job, if there is one.
fn work(job: &mut Option<Box<dyn Job>>, expected: &mut Expected) -> Result<(), EngineError> {
    let Some(running) = job else { return Ok(()) };
    match running.step(BUDGET)? {
        JobProgress::Working { .. } | JobProgress::Ahead => {}
        JobProgress::Reached(point) => {
            expected.point = Some(point);
            if point == EnginePoint::CompactAfterRename {
                expected.end_purge();
            }
        }
        JobProgress::Done(report) => {
            expected.rounds += report.catch_up_rounds;
            *job = None;
        }
    }
    Ok(())
}

/// Checks the store after a failure and reopening: it has only expected content, in one file, keeps
/// it, and takes commits.
pub(super) fn check_after(
    disk: &FaultyDisk,
    config: CouchstoreConfig,
    expected: Option<&Expected>,
    what: &str,
) {
    let reopen = || open_with(disk, config).unwrap_or_else(|error| panic!("{what}: {error}"));
    let (engine, _) = reopen();
    let Some(expected) = expected else {
        assert!(
            engine.vbuckets().is_empty() || contents(&engine, VB).is_empty(),
            "{what}"
        );
        return;
    };
    let found = contents(&engine, VB);
    assert!(
        expected.allows(&found),
        "{what}: found {:?}, expected {expected:?}",
        found.keys()
    );
    assert_eq!(names(disk).len(), 1, "{what}: {:?}", names(disk));
    drop(engine);
    disk.crash(PowerLoss::DropUnsynced);
    let (engine, report) = reopen();
    assert_eq!(report.repairs, [], "{what}: repaired once");
    assert_eq!(
        contents(&engine, VB),
        found,
        "{what}: what was shown is durable"
    );
    commit(&engine, VB, &[set(1000, "more", b"1")]).expect("committed");
    let found = contents(&engine, VB);
    compact(&engine, VB, CompactionRequest::default());
    assert_eq!(contents(&engine, VB), found, "{what}: compacted again");
}

pub(super) fn keeps(seeds: u64) -> impl Iterator<Item = PowerLoss> {
    [PowerLoss::DropUnsynced, PowerLoss::KeepUnsynced]
        .into_iter()
        .chain((0..seeds).map(|seed| PowerLoss::Random { seed }))
}

/// Runs the script without faults. Returns its number of I/Os, and checks that it reaches all that
/// it is for.
pub(super) fn rehearse(config: CouchstoreConfig) -> u64 {
    let disk = FaultyDisk::new(MemoryDisk::new());
    let mut expected = None;
    run(&disk, config, &mut expected).expect("no failure");
    let ios = disk.io_count();
    assert_eq!(names(&disk), ["7.couch.3"], "two compactions");
    let (engine, _) = open_with(&disk, config).expect("opens");
    let found = contents(&engine, VB);
    let expected = expected.expect("it ran");
    assert_eq!(found, expected.contents);
    assert!(
        expected.rounds >= 3,
        "one held up commits: {}",
        expected.rounds
    );
    let tombstones: Vec<u64> = found
        .values()
        .filter(|item| item.deleted)
        .map(|item| item.seqno.0)
        .collect();
    assert_eq!(
        tombstones,
        [52],
        "what was purged by a compaction, and beside one"
    );
    assert_eq!(engine.info(VB).expect("there").purge, Seqno(47));
    ios
}

fn power_loss(config: CouchstoreConfig, seeds: u64) -> usize {
    let mut cases = 0;
    for nth in 1..=rehearse(config) {
        for keep in keeps(seeds) {
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
    let cases = power_loss(CONFIG, 38);
    assert!(cases >= 3000, "{cases}");
}

#[test]
fn power_loss_at_any_io_leaves_one_file_or_the_other_whole_with_two_syncs() {
    let cases = power_loss(TWO_PHASE, 18);
    assert!(cases >= 1700, "{cases}");
}
