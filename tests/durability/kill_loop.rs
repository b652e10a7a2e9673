//! SIGKILL again and again, of a process that commits, compacts, purges and rolls back on real
//! files.
//!
//! What always holds: acknowledged changes are there, a change in flight is there as a whole or not
//! at all, and the next process continues from that.
//!
//! The moment of the kill is drawn as a number of actions: it depends on chance, not on a clock.
//! The actions follow from the seed, which a failure reports.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use lowtide_checkpoint::{Seqno, Vbid};
use lowtide_persistence::couchstore::Couchstore;
use lowtide_persistence::disk::OsDisk;
use lowtide_persistence::{Engine, ScanLimit};
use support::killing::{self, Act, CONFIG, Contents, Expected, VBS, read_lines};
use tempfile::TempDir;

/// Maximum number of actions before the kill.
const DONE_MAX: u64 = 120;

/// Runs the writer until it has reported `done` actions; returns all whole lines that it wrote
/// until its death.
fn run_and_kill(dir: &Path, seed: u64, done: u64) -> Vec<String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_store-writer"))
        .args([
            dir.to_str().expect("a temporary directory"),
            &seed.to_string(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut lines = Vec::new();
    let mut left = done;
    loop {
        let mut line = String::new();
        let read = out.read_line(&mut line).expect("readable");
        if read == 0 || !line.ends_with('\n') {
            break;
        }
        left -= u64::from(left > 0 && line.starts_with("did"));
        lines.push(line.trim_end().to_owned());
        if left == 0 {
            // Each later line kills it again, which is no error.
            child.kill().expect("SIGKILL");
        }
    }
    let status = child.wait().expect("waited for");
    assert_eq!(status.signal(), Some(9), "it was killed, it did not end");
    lines
}

fn open(dir: &Path) -> Couchstore {
    let (engine, report) = Couchstore::open(Arc::new(OsDisk::new()), dir, CONFIG).expect("opens");
    assert_eq!(report.unreadable, []);
    engine
}

fn contents(engine: &Couchstore, vb: Vbid) -> (u64, Contents) {
    assert_eq!(engine.check(vb).expect("readable"), [""; 0], "vBucket {vb}");
    let snapshot = engine.snapshot(vb).expect("there");
    let slice = snapshot
        .scan(Seqno::ZERO, Seqno::MAX, ScanLimit::NONE)
        .expect("readable");
    let items = slice.items.into_iter().map(|item| (item.seqno.0, item));
    (snapshot.high().0, items.collect())
}

/// Totals of the rounds.
#[derive(Debug, Default)]
struct Tally {
    done: usize,
    in_flight: usize,
    in_flight_and_there: usize,
    rolled_back: usize,
    purged: usize,
    compacted: bool,
}

fn rounds(rounds: u64, seed: u64) -> Tally {
    let home = TempDir::new().expect("a directory");
    let dir = home.path().join("store");
    let engine = open(&dir);
    VBS.iter().for_each(|&vb| engine.create(vb).expect("new"));
    drop(engine);
    let mut expected: BTreeMap<Vbid, Expected> = VBS.map(|vb| (vb, Expected::default())).into();
    let mut state = seed;
    let mut tally = Tally::default();
    for round in 0..rounds {
        let child_seed = killing::draw(&mut state, u64::MAX);
        let lines = run_and_kill(&dir, child_seed, 1 + killing::draw(&mut state, DONE_MAX));
        let (done, in_flight) = read_lines(&lines);
        for &(act, result) in &done {
            let vb = expected.get_mut(&act.vb()).expect("one of both");
            *vb = vb.after(act, result);
            tally.rolled_back += usize::from(matches!(act, Act::Rollback { .. }));
            tally.purged += usize::from(matches!(act, Act::Purge { .. }));
        }
        tally.done += done.len();
        tally.in_flight += usize::from(in_flight.is_some());
        let engine = open(&dir);
        for vb in VBS {
            let (high, found) = contents(&engine, vb);
            let possible = expected[&vb].possible(in_flight.filter(|act| act.vb() == vb));
            let is = possible
                .iter()
                .rposition(|possible| possible.is(high, &found));
            let what = format!("seed {seed}, round {round}, vBucket {vb}, in flight {in_flight:?}");
            let is = is.unwrap_or_else(|| panic!("{what}: {high} is nothing that was done"));
            tally.in_flight_and_there += usize::from(is > 0);
            expected.insert(vb, possible[is].clone());
        }
        // Files that were never compacted are all of revision 1.
        tally.compacted |= !dir.join("0.couch.1").exists();
    }
    tally
}

/// Guards acknowledged changes against the death of their process at any moment.
#[test]
fn writer_killed_again_and_again_keeps_what_was_acknowledged() {
    let tally = rounds(12, 1);
    assert!(
        tally.compacted && tally.rolled_back > 0 && tally.purged > 0,
        "{tally:?}"
    );
}

/// Same as the test above, for long.
#[test]
#[ignore = "takes minutes"]
fn writer_killed_five_hundred_times_keeps_what_was_acknowledged() {
    let tally = rounds(500, 2);
    println!("{tally:?}");
    assert!(
        tally.in_flight_and_there > 0 && tally.in_flight_and_there < tally.in_flight,
        "{tally:?}"
    );
}
