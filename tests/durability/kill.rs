//! SIGKILL in the middle of a run: the stores have every write that the trace says was
//! acknowledged, and exactly the documents of a recount of the source.
//!
//! A line of the trace is written after the event, so every whole line holds. The process may die
//! while it writes one: the last line, and no other, may be torn. Nothing here depends on time. The
//! run would take hours, the test reads until it has seen enough, and events until the kill only
//! add to what must be there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Stdio};

use dcp_sim::input::{Distribution, GeneratedSource};
use lowtide_checkpoint::{Item, Seqno, Vbid};
use serde_json::Value;
use support::cli::argument;
use support::history::Histories;
use support::stores::{StoredNode, read_cluster};
use tempfile::TempDir;

use super::DCP_SIM;

const NODES: usize = 3;
const VBUCKETS: u16 = 4;
/// Number of writes that no machine reaches before the kill.
const OPS: u64 = 1 << 40;
const KEYS: u64 = 200;
const VALUE_BYTES: usize = 100;
const SEED: u64 = 11;

/// Child process that is killed when the test ends.
struct Run(Child);

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(kind: Distribution, data: &Path, trace: &Path) -> Run {
    let numbers =
        [OPS, KEYS, VALUE_BYTES as u64, u64::from(VBUCKETS), SEED].map(|number| number.to_string());
    let [ops, keys, value_bytes, vbuckets, seed] = numbers.each_ref().map(String::as_str);
    let mut command = DCP_SIM.command(&[
        "run",
        "--workload",
        kind.name(),
        "--ops",
        ops,
        "--keys",
        keys,
        "--value-bytes",
        value_bytes,
        "--vbuckets",
        vbuckets,
        "--seed",
        seed,
        "--data",
        argument(data),
        "--trace",
        argument(trace),
    ]);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Run(child.expect("the program runs"))
}

/// Returns the lines of a trace that end.
fn whole_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|&byte| byte == b'\n')
        .filter(|line| line.ends_with(b"\n"))
}

fn is_persisted(line: &[u8]) -> bool {
    line.starts_with(br#"{"event":"persisted""#)
}

/// Reads the growing trace until it has `lines` lines about persisted seqnos.
fn await_persisted(run: &mut Run, trace: &Path, lines: usize) {
    let mut text = Vec::new();
    let mut file = None;
    while whole_lines(&text).filter(|line| is_persisted(line)).count() < lines {
        assert!(
            run.0.try_wait().expect("asked").is_none(),
            "the run has ended by itself"
        );
        if file.is_none() {
            file = File::open(trace).ok();
        }
        let read = file
            .as_mut()
            .map_or(0, |file| file.read_to_end(&mut text).expect("readable"));
        if read == 0 {
            std::thread::yield_now();
        }
    }
}

/// Returns the last acknowledged seqno of every copy.
fn acknowledged(trace: &Path) -> BTreeMap<(usize, Vbid), Seqno> {
    let text = std::fs::read(trace).expect("a trace");
    let mut acknowledged = BTreeMap::new();
    for line in whole_lines(&text).filter(|line| is_persisted(line)) {
        let event: Value = serde_json::from_slice(line).expect("a whole line is JSON");
        let number = |name: &str| event[name].as_u64().expect("a number");
        let vb = Vbid(u16::try_from(number("vb")).expect("a vBucket"));
        let node = usize::try_from(number("node")).expect("a node");
        let before = acknowledged.insert((node, vb), Seqno(number("seqno")));
        assert!(
            before < Some(Seqno(number("seqno"))),
            "acknowledged seqnos rise: {event}"
        );
    }
    acknowledged
}

fn check(kind: Distribution, trace: &Path, nodes: &[StoredNode]) {
    let acknowledged = acknowledged(trace);
    for (&(node, vb), &seqno) in &acknowledged {
        let high = nodes[node].get(&vb).map(|stored| stored.high);
        assert!(
            high >= Some(seqno),
            "node {node}, vBucket {vb}: {seqno} was acknowledged, {high:?} is there"
        );
    }
    let mut wanted: BTreeMap<Vbid, Seqno> = BTreeMap::new();
    for (&vb, stored) in nodes.iter().flatten() {
        // A replica in the middle of a snapshot is judged at the snapshot's end.
        let end = stored
            .state
            .as_ref()
            .map_or(stored.high, |state| state.snapshot_end);
        let high = wanted.entry(vb).or_default();
        *high = end.max(*high);
    }
    let mut histories = Histories::new(VBUCKETS);
    let source = GeneratedSource::new(kind, OPS, KEYS, VALUE_BYTES, SEED);
    histories.read_until(&mut source.expect("valid"), &wanted);
    let mut revisions: BTreeMap<(Vbid, Seqno), Item> = BTreeMap::new();
    for (number, node) in nodes.iter().enumerate() {
        assert_eq!(
            node.len(),
            usize::from(VBUCKETS),
            "node {number} has a copy of every vBucket"
        );
        for (&vb, stored) in node {
            let difference = histories.of(vb).expect("a vBucket").difference(stored);
            assert_eq!(difference, None, "node {number}, vBucket {vb}");
            if let (true, Some(state)) = (usize::from(vb.0) % NODES == number, &stored.state) {
                assert_eq!(
                    state.snapshot_end, stored.high,
                    "an active has no half snapshots, so it was exact"
                );
            }
            for item in stored.items.values() {
                let known = revisions
                    .entry((vb, item.seqno))
                    .or_insert_with(|| item.clone());
                assert_eq!(
                    known, item,
                    "vBucket {vb}: one seqno is one revision, CAS and all, on every node"
                );
            }
        }
    }
}

fn kill_after(kind: Distribution, persisted_lines: usize) {
    let home = TempDir::new().expect("a directory");
    let (data, trace) = (home.path().join("data"), home.path().join("trace"));
    let mut run = start(kind, &data, &trace);
    await_persisted(&mut run, &trace, persisted_lines);
    run.0.kill().expect("SIGKILL");
    let status = run.0.wait().expect("waited for");
    assert_eq!(status.signal(), Some(9), "it was killed, it did not end");
    let nodes = read_cluster(&data, NODES);
    check(kind, &trace, &nodes);
    assert!(
        acknowledged(&trace).len() >= persisted_lines.min(NODES),
        "something was acknowledged"
    );
}

/// Guards durability at the very first acknowledgements, when most copies are still empty.
#[test]
fn run_killed_at_the_first_acknowledgement_keeps_it() {
    kill_after(Distribution::Zipfian, 1);
}

/// Guards durability while replicas are in the middle of their snapshots.
#[test]
fn run_killed_early_keeps_what_was_acknowledged() {
    kill_after(Distribution::Uniform, 60);
}

/// Guards durability after many commits to each file, with keys that come and go.
#[test]
fn run_killed_later_keeps_what_was_acknowledged() {
    kill_after(Distribution::Zipfian, 400);
}
