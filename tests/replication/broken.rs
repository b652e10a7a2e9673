//! Worlds broken on purpose: what the checks are for, they must notice.

use std::path::PathBuf;

use bytes::Bytes;
use dcp_sim::input::{Change, ChangeBatch, Distribution, GeneratedSource, InputError, Source};
use dcp_sim::node::{Document, Documents, NodeConfig};
use dcp_sim::sim::{
    ClusterConfig, Observer, Progress, Report, Silent, SimError, Storage, Trace, Verdict, World,
};
use lowtide_checkpoint::{Cas, Item, Key, Seqno};
use tempfile::TempDir;

use super::pair::{Pair, write_some};

fn source() -> Box<GeneratedSource> {
    Box::new(GeneratedSource::new(Distribution::Uniform, 120, 30, 80, 1).expect("valid"))
}

fn cluster() -> ClusterConfig {
    ClusterConfig {
        nodes: 2,
        replicas: 1,
        vbuckets: 2,
        ..ClusterConfig::default()
    }
}

fn broken(report: &Report) -> Vec<&'static str> {
    let broken = report.verdicts.iter().filter(|verdict| !verdict.holds());
    broken.map(|verdict| verdict.invariant).collect()
}

/// Puts an older copy of a vBucket's file in the place of the newest, just before the cluster is judged.
struct Restorer {
    file: PathBuf,
    copy: PathBuf,
    copy_at: u64,
}

impl Observer for Restorer {
    fn progress(&mut self, progress: &Progress) {
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

/// Guards W4: a store that forgot its last commits is found, on an active and on a replica, and told exactly.
#[test]
fn a_store_that_lost_commits_is_noticed() {
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

/// Flips a bit of a vBucket's file, just before the cluster is judged.
struct Damager {
    file: PathBuf,
    /// In the newest header, or in the last byte written before it.
    in_header: bool,
}

impl Observer for Damager {
    fn progress(&mut self, progress: &Progress) {
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

/// Guards that damage on disk is an error, in the header of the last commit and in its data, and never a clean report.
#[test]
fn damage_on_disk_is_noticed() {
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

/// Guards the proof's place in the report: it is asked for, sees the union, and its word counts.
#[test]
fn a_proof_that_fails_is_a_violation() {
    let run = |violation: Option<&str>| {
        let mut seen = 0;
        let mut proof = |documents: &std::collections::BTreeMap<&[u8], &Bytes>| {
            seen += documents.len() as u64;
            let mut verdict = Verdict::new("W7", "a proof from outside");
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

/// Fails, or writes what no store takes, after some good batches.
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

/// Guards that a run that could not go on is no report at all.
#[test]
fn what_cannot_go_on_is_an_error() {
    let run = |change| {
        let source = Box::new(Faulty { left: 20, change });
        let world = World::new(cluster(), &Storage::Memory, source).expect("a cluster");
        world.run(&mut Silent, None).expect_err("it can't go on")
    };
    assert!(matches!(run(None), SimError::Input(_)));
    // A key longer than its length field: the file format can't hold it.
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

/// Guards that a trace which can't be written ends the run: its readers take it for the truth.
#[test]
fn a_trace_that_cannot_be_written_is_an_error() {
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

/// Guards what W3 and W4 compare by: every field of a document counts, on both sides.
#[test]
fn every_difference_between_documents_counts() {
    let item = |key: &[u8], seqno| Item {
        seqno: Seqno(seqno),
        ..Item::mutation(Key::new(key), Bytes::from_static(b"v"))
    };
    let tombstone = Item {
        seqno: Seqno(3),
        ..Item::deletion(Key::new(b"gone"))
    };
    let items = [item(b"a", 1), item(b"b", 2), tombstone.clone()];
    let documents: Documents = items.iter().cloned().collect();
    type Change = (&'static [u8], fn(&mut Item));
    let changes: [Change; 6] = [
        (b"b", |item| item.seqno = Seqno(9)),
        (b"b", |item| item.cas = Cas(9)),
        (b"b", |item| item.rev_seqno = 9),
        (b"b", |item| item.value = Some(Bytes::from_static(b"w"))),
        (b"b", |item| item.value = Some(Bytes::new())),
        (b"gone", |item| {
            *item = Item {
                seqno: item.seqno,
                ..Item::mutation(item.key.clone(), Bytes::new())
            }
        }),
    ];
    for (key, change) in changes {
        let mut items = items.clone();
        change(
            items
                .iter_mut()
                .find(|item| item.key.user() == key)
                .expect("there"),
        );
        let changed: Documents = items.into_iter().collect();
        assert_eq!(documents.first_difference(&changed), Some(&Key::new(key)));
        assert_eq!(changed.first_difference(&documents), Some(&Key::new(key)));
    }
    let without_tombstone: Documents = items[..2].iter().cloned().collect();
    assert_eq!(
        documents.first_difference(&without_tombstone),
        Some(&Key::new(b"gone"))
    );
    assert_eq!(
        without_tombstone.first_difference(&documents),
        Some(&Key::new(b"gone"))
    );
    assert_eq!(documents.first_difference(&documents.clone()), None);
    assert_eq!(Document::of(&tombstone).value, None);
}

/// Guards the count of a verdict: all violations count, the first are told.
#[test]
fn a_verdict_counts_every_violation_and_tells_a_few() {
    let mut verdict = Verdict::new("W0", "nothing is odd");
    for number in 0..20 {
        verdict.check((number % 2 == 1).then(|| format!("{number}")));
    }
    assert_eq!(
        (verdict.checked, verdict.violations, verdict.holds()),
        (20, 10, false)
    );
    assert_eq!(verdict.told, ["1", "3", "5", "7", "9"]);
}

/// Where each frame on a wire ends: a header of 24 bytes, the body's length in its bytes 8 to 11.
fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut frames, mut rest) = (Vec::new(), bytes);
    while let Some(length) = rest.get(8..12) {
        let body = u32::from_be_bytes(length.try_into().expect("four")) as usize;
        let (frame, after) = rest.split_at(24 + body);
        frames.push(frame.to_vec());
        rest = after;
    }
    frames
}

/// A pair with one vBucket, everything the active wrote on its way to the replica.
fn on_the_way(
    tamper: impl FnOnce(&mut Vec<Vec<u8>>),
) -> (Pair, Result<(), dcp_sim::node::NodeError>) {
    let mut pair = Pair::new(1, &NodeConfig::default());
    pair.connect();
    pair.settle(&mut |below| below - 1).expect("connected");
    write_some(&mut pair, 1);
    pair.tamper(|bytes| {
        assert!(
            bytes.is_empty(),
            "nothing is sent before the sender is called"
        );
        bytes
    });
    assert!(pair.step(&mut |below| below - 1).expect("sent"));
    pair.tamper(|bytes| {
        let mut frames = frames(&bytes);
        tamper(&mut frames);
        frames.concat()
    });
    let settled = pair.settle(&mut |below| below - 1);
    (pair, settled)
}

/// Opcodes of DCP.
const MARKER: u8 = 0x56;
const ITEMS: [u8; 2] = [0x57, 0x58];

/// Guards the comparison of copies: whichever item is lost on the way, it is seen at rest.
#[test]
fn a_lost_item_is_seen_at_rest() {
    let (pair, settled) = on_the_way(|_| {});
    settled.expect("untouched");
    assert_eq!(pair.difference(), None);
    let mut items = 0;
    on_the_way(|frames| {
        items = frames
            .iter()
            .filter(|frame| ITEMS.contains(&frame[1]))
            .count()
    })
    .1
    .expect("untouched");
    assert!(items >= 4, "{items} items");
    for lost in 0..items {
        let (pair, settled) = on_the_way(|frames| {
            let mut seen = 0;
            frames.retain(|frame| {
                seen += usize::from(ITEMS.contains(&frame[1]));
                !(ITEMS.contains(&frame[1]) && seen == lost + 1)
            });
        });
        settled.expect(
            "a gap is no break of the rules: something newer may have replaced what is missing",
        );
        assert!(pair.difference().is_some(), "item {lost} of {items}");
    }
}

/// Guards the replica's own rules: an item twice, out of order, or without its marker is refused, and that ends the
/// connection; one of another stream is only left out.
#[test]
fn broken_rules_end_the_connection() {
    let is_item = |frame: &Vec<u8>| ITEMS.contains(&frame[1]);
    let twice = on_the_way(|frames| {
        let at = frames.iter().position(is_item).expect("an item");
        frames.insert(at, frames[at].clone());
    });
    let swapped = on_the_way(|frames| {
        let at = frames.iter().position(is_item).expect("an item");
        frames.swap(at, at + 1);
    });
    let unannounced = on_the_way(|frames| frames.retain(|frame| frame[1] != MARKER));
    let of_no_stream = on_the_way(|frames| {
        let item = frames
            .iter_mut()
            .find(|frame| is_item(frame))
            .expect("an item");
        item[12] ^= 0xff;
    });
    for (what, (_, settled)) in [
        ("twice", twice),
        ("swapped", swapped),
        ("unannounced", unannounced),
    ] {
        assert!(settled.is_err(), "{what}");
    }
    let (pair, settled) = of_no_stream;
    settled.expect("what crossed with the end of its stream is forgiven");
    assert!(pair.difference().is_some(), "it was not applied");
}
