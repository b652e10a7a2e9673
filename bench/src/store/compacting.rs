//! A compaction concurrent with commits: the delay of commits while a store's file is rewritten.
//!
//! Ours only. Every key is written once and overwritten once, so that half of the file is dead.
//! Then commits of 100 random overwrites are timed, first alone, then while another thread steps
//! the compaction, as long as that takes. Neither thread waits between its calls: both compete for
//! the device all the time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use lowtide_checkpoint::{FailoverLog, Item, Key, Seqno, State, VBucketState, VbUuid, Vbid};
use lowtide_persistence::couchstore::{CompactionConfig, CouchFile, Couchstore, CouchstoreConfig};
use lowtide_persistence::disk::OsDisk;
use lowtide_persistence::{
    Budget, CommitBatch, CompactionReport, CompactionRequest, Engine, JobProgress,
};

use super::storage;
use super::work::Work;
use crate::engines::{KEY_BYTES, VALUE_BYTES, Write};
use crate::table::Table;

const VB: Vbid = Vbid(0);
/// Items in a commit that fills the store.
const FILL: u64 = 1_000;
/// Items in a commit that is timed.
const BATCH: u64 = 100;
/// Bytes of a step's budget for each item of it.
const STEP_BYTES: u64 = 1 << 10;

#[derive(Args)]
pub struct Arguments {
    /// Distinct keys; a multiple of 1,000.
    #[arg(long, default_value_t = 200_000)]
    items: u64,
    /// Commits that are timed without a compaction.
    #[arg(long, default_value_t = 500)]
    commits: u64,
    /// Items in a step's budget, and also its KiB.
    #[arg(long, default_value_t = 64)]
    step_items: usize,
    /// KiB after which the compaction syncs its new file.
    #[arg(long, default_value_t = CompactionConfig::DEFAULT.sync_bytes >> 10)]
    sync_kib: u64,
    /// Directory for the data, removed afterwards.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target"))]
    dir: PathBuf,
}

pub fn run(arguments: &Arguments) {
    let &Arguments {
        items,
        commits,
        step_items,
        sync_kib,
        ref dir,
    } = arguments;
    let step = Budget::new(step_items, step_items as u64 * STEP_BYTES);
    std::fs::create_dir_all(dir).expect("can be made");
    let dir = dir.canonicalize().expect("made");
    println!(
        "{items} keys of {KEY_BYTES} B, random values of {VALUE_BYTES} B, one run, {step_items} items a step; {}",
        storage::file_system(&dir)
    );
    let dir = tempfile::Builder::new()
        .prefix("compaction-")
        .tempdir_in(dir)
        .expect("can be made");
    let compaction = CompactionConfig::DEFAULT.with_sync_bytes(sync_kib << 10);
    let config = CouchstoreConfig::DEFAULT.with_compaction(compaction);
    let (engine, _) = Couchstore::open(Arc::new(OsDisk::new()), dir.path(), config).expect("opens");
    engine.create(VB).expect("new");
    let mut work = Work::new(items);
    for _ in 0..2 * items / FILL {
        let _took = commit(&engine, &work.next(FILL));
    }

    let idle: Vec<Duration> = (0..commits)
        .map(|_| commit(&engine, &work.next(BATCH)))
        .collect();
    let mut beside = Vec::new();
    let (report, took, longest) = std::thread::scope(|scope| {
        let compaction = scope.spawn(|| compact(&engine, step));
        while !compaction.is_finished() {
            beside.push(commit(&engine, &work.next(BATCH)));
        }
        compaction.join().expect("compacts")
    });
    engine.close().expect("closes");
    let made_of = made_of(dir.path(), items, &report);

    let columns = ["items/s", "p50 us", "p99 us", "max us", "commits"];
    let title = "commits of 100 random overwrites, alone and beside a compaction";
    let mut table = Table::new(title, columns.map(str::to_owned).to_vec());
    let (alone, beside) = (figures(idle), figures(beside));
    let throughput = beside[0] / alone[0];
    table.row("alone", alone);
    table.row("beside", beside);
    table.print();

    let columns = [
        "throughput beside",
        "seconds",
        "longest step, us",
        "removing the old file, us",
        "catch-up rounds",
        "before, per byte",
        "after, per byte",
    ];
    let mut table = Table::new("the compaction", columns.map(str::to_owned).to_vec());
    let user_bytes = (items * (KEY_BYTES + VALUE_BYTES) as u64) as f64;
    let per_byte = |bytes: u64| bytes as f64 / user_bytes;
    let CompactionReport {
        catch_up_rounds,
        bytes_before,
        bytes_after,
        ..
    } = report;
    table.row(
        "couchstore",
        vec![
            throughput,
            took.as_secs_f64(),
            longest[0].as_secs_f64() * 1e6,
            longest[1].as_secs_f64() * 1e6,
            catch_up_rounds as f64,
            per_byte(bytes_before),
            per_byte(bytes_after),
        ],
    );
    table.print();

    let columns = ["bodies", "trees", "superseded bodies", "superseded nodes"];
    let mut table = Table::new(
        "the new file, per byte",
        columns.map(str::to_owned).to_vec(),
    );
    table.row("couchstore", made_of.map(per_byte).to_vec());
    table.print();
}

/// Returns the bytes of the new file as the compaction left it: those that are reachable, and those
/// that were superseded while it ran. All bodies are of one size; the trees' size is read from the
/// file later, after a few more commits.
fn made_of(dir: &Path, items: u64, report: &CompactionReport) -> [u64; 4] {
    let entry = std::fs::read_dir(dir)
        .expect("listed")
        .map(|entry| entry.expect("listed").path());
    let path = entry
        .into_iter()
        .find(|path| path.to_string_lossy().contains(".couch."))
        .expect("one");
    let header = CouchFile::open_read_only(&OsDisk::new(), &path)
        .expect("readable")
        .header();
    let trees = header.by_seqno_bytes + header.by_id_bytes + header.local_bytes;
    let bodies = header.live_bytes - trees;
    let superseded = (report.items_copied - items) * (bodies / items);
    let nodes = report
        .bytes_after
        .saturating_sub(bodies + trees + superseded);
    [bodies, trees, superseded, nodes]
}

/// Compacts; returns the time it took, the longest step, and the last one, which removes the old
/// file.
fn compact(engine: &Couchstore, budget: Budget) -> (CompactionReport, Duration, [Duration; 2]) {
    let started = Instant::now();
    let mut job = engine
        .compact(VB, CompactionRequest::default())
        .expect("begins");
    let mut longest = Duration::ZERO;
    loop {
        let began = Instant::now();
        match job.step(budget).expect("works") {
            JobProgress::Done(report) => {
                return (report, started.elapsed(), [longest, began.elapsed()]);
            }
            _ => longest = longest.max(began.elapsed()),
        }
    }
}

/// Commits; returns the time it took, without the making of items.
fn commit(engine: &Couchstore, writes: &[Write]) -> Duration {
    let item = |write: &Write| Item {
        seqno: Seqno(write.seqno),
        ..Item::mutation(Key::new(&write.key), write.value.clone())
    };
    let items: Vec<Item> = writes.iter().map(item).collect();
    let items: Vec<&Item> = items.iter().collect();
    let snapshot_end = items.last().expect("not empty").seqno;
    let log = FailoverLog::new(VbUuid(1));
    let state = VBucketState {
        snapshot_end,
        ..VBucketState::new(State::Active, log)
    };
    let batch = CommitBatch::new(VB, &items, &state).with_timestamp(1);
    let started = Instant::now();
    for result in engine.commit(&[batch]) {
        result.expect("commits");
    }
    started.elapsed()
}

/// Returns items a second, and the median, 99th percentile and maximum of a commit in microseconds,
/// and the number of commits.
fn figures(mut times: Vec<Duration>) -> Vec<f64> {
    let sum: Duration = times.iter().sum();
    times.sort_unstable();
    let micros = |at: usize| times[at].as_secs_f64() * 1e6;
    let last = times.len() - 1;
    let rate = (times.len() as u64 * BATCH) as f64 / sum.as_secs_f64();
    vec![
        rate,
        micros(last / 2),
        micros(last * 99 / 100),
        micros(last),
        times.len() as f64,
    ]
}
