//! Whole worlds with a lost commit, a flipped bit, a failing proof, source or trace: each is
//! reported.

use std::path::PathBuf;

use bytes::Bytes;
use dcp_sim::input::{Change, ChangeBatch, Distribution, GeneratedSource, InputError, Source};
use dcp_sim::sim::{
    ClusterConfig, InvariantVerdict, Observer, Report, RunProgress, Silent, SimError, Storage,
    Trace, World,
};
use tempfile::TempDir;

fn source() -> Box<GeneratedSource> {
    Box::new(GeneratedSource::new(Distribution::Uniform, 120, 30, 80, 1).expect("valid"))
}

fn cluster() -> ClusterConfig {
    ClusterConfig::default().with_size(2, 1, 2)
}

fn broken(report: &Report) -> Vec<&'static str> {
    let broken = report.verdicts.iter().filter(|verdict| !verdict.holds());
    broken.map(|verdict| verdict.invariant).collect()
}

/// Observer that replaces the newest file of a vBucket by an older copy, just before the cluster is
/// judged.
struct Restorer {
    file: PathBuf,
    copy: PathBuf,
    copy_at: u64,
}

impl Observer for Restorer {
    fn progress(&mut self, progress: &RunProgress) {
        if progress.is_settling {
            std::fs::rename(&self.copy, &self.file).expect("put back");
        } else if progress.batches == self.copy_at {
            std::fs::copy(&self.file, &self.copy).expect("copied");
        }
    }
}

fn run_restoring(node: usize, copy_at: u64) -> Report {
    let home = TempDir::new().expect("a directory");
    let data = home.path().join("data");
    let file = data.join(format!("node-{node}")).join("0.couch.1");
    let mut restorer = Restorer {
        file,
        copy: home.path().join("copy"),
        copy_at,
    };
    let world = World::new(cluster(), &Storage::Directory(data), source()).expect("a cluster");
    world.run(&mut restorer, None).expect("it comes to its end")
}

/// Guards W4: a store that lost its last commits is found, on an active and on a replica, and
/// reported exactly.
#[test]
fn store_that_lost_commits_breaks_w4() {
    for node in [0, 1] {
        let report = run_restoring(node, 60);
        assert!(!report.is_clean());
        assert_eq!(broken(&report), ["W4"]);
        let verdict = report
            .verdicts
            .iter()
            .find(|verdict| verdict.invariant == "W4")
            .expect("judged");
        assert_eq!(
            verdict.violations, 1,
            "one vBucket of one node: {verdict:?}"
        );
        let told = verdict.told.first().expect("told");
        assert!(
            told.starts_with(&format!("node {node}, vBucket 0: key ")),
            "{told}"
        );
    }
}

/// Observer that flips a bit of a vBucket's file, just before the cluster is judged.
struct Damager {
    file: PathBuf,
    /// Position: in the newest header, or in the last byte written before it.
    in_header: bool,
}

impl Observer for Damager {
    fn progress(&mut self, progress: &RunProgress) {
        if progress.is_settling {
            let mut bytes = std::fs::read(&self.file).expect("there");
            let header = (0..bytes.len())
                .step_by(4_096)
                .rfind(|&at| bytes[at] == 1)
                .expect("a header");
            let before = bytes[..header]
                .iter()
                .rposition(|&byte| byte != 0)
                .expect("a commit");
            bytes[if self.in_header { header + 20 } else { before }] ^= 0x40;
            std::fs::write(&self.file, bytes).expect("written");
        }
    }
}

/// Guards that damage on disk is an error, in the header of the last commit and in its data, and
/// never a clean report.
#[test]
fn damage_on_disk_is_an_error() {
    for in_header in [true, false] {
        let home = TempDir::new().expect("a directory");
        let data = home.path().join("data");
        let mut damager = Damager {
            file: data.join("node-1/0.couch.1"),
            in_header,
        };
        let world = World::new(cluster(), &Storage::Directory(data), source()).expect("a cluster");
        let error = world.run(&mut damager, None).expect_err("it can't be read");
        let SimError::Engine { node: 1, source } = error else {
            panic!("{error}")
        };
        assert_eq!(
            source.kind(),
            "corrupt",
            "in the header: {in_header}, {source}"
        );
    }
}

/// Guards the proof's place in the report: it is called, sees all documents, and its verdict
/// counts.
#[test]
fn proof_that_fails_is_a_violation() {
    let run = |violation: Option<&str>| {
        let mut seen = 0;
        let mut proof = |documents: &std::collections::BTreeMap<&[u8], &Bytes>| {
            seen += documents.len() as u64;
            let mut verdict = InvariantVerdict::new("W7", "a proof from outside");
            verdict.check(violation.map(str::to_owned));
            Ok(verdict)
        };
        let world = World::new(cluster(), &Storage::Memory, source()).expect("a cluster");
        let report = world
            .run(&mut Silent, Some(&mut proof))
            .expect("it comes to its end");
        assert_eq!(seen, report.figures.documents);
        report
    };
    assert!(run(None).is_clean());
    assert_eq!(broken(&run(Some("no"))), ["W7"]);
}

/// Source that fails, or writes an item that no store takes, after some good batches.
struct Faulty {
    left: u64,
    change: Option<Change>,
}

impl Source for Faulty {
    fn next_batch(&mut self) -> Result<Option<ChangeBatch>, InputError> {
        let change = match (self.left, self.change.take()) {
            (0, None) => return Err(InputError::InvalidArgument("no more of this".into())),
            (0, Some(change)) => change,
            (left, later) => {
                (self.left, self.change) = (left - 1, later);
                Change {
                    key: Bytes::from(format!("{left}")),
                    value: Some(Bytes::from_static(b"x")),
                }
            }
        };
        Ok(Some(ChangeBatch {
            label: "made up".into(),
            changes: vec![change],
        }))
    }

    fn batches_total(&self) -> Option<u64> {
        None
    }

    fn describe(&self) -> String {
        "a source that fails".into()
    }
}

/// Guards that a run that could not continue returns no report.
#[test]
fn run_that_cannot_continue_is_an_error() {
    let run = |change| {
        let source = Box::new(Faulty { left: 20, change });
        let world = World::new(cluster(), &Storage::Memory, source).expect("a cluster");
        world.run(&mut Silent, None).expect_err("it can't go on")
    };
    assert!(matches!(run(None), SimError::Input(_)));
    // The key is longer than its length field, so the file format can't hold it.
    let key = Bytes::from(vec![b'k'; 4_094]);
    let error = run(Some(Change {
        key,
        value: Some(Bytes::new()),
    }));
    assert!(
        matches!(error, SimError::TooLarge { what: "key", .. }),
        "{error}"
    );
}

/// Guards that a trace which can't be written ends the run, because its readers rely on it.
#[test]
fn trace_that_cannot_be_written_is_an_error() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self
                .0
                .checked_sub(bytes.len())
                .ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let world = World::new(cluster(), &Storage::Memory, source()).expect("a cluster");
    let world = world.with_trace(Trace::to(Box::new(Full(1_000))));
    assert!(matches!(
        world.run(&mut Silent, None),
        Err(SimError::Trace(_))
    ));
}
