//! One item for each of many vBuckets: the time that one commit of all saves over one commit for
//! each. Ours.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use lowtide_checkpoint::{Item, VBucketState, Vbid};
use lowtide_persistence::couchstore::{Couchstore, CouchstoreConfig};
use lowtide_persistence::disk::OsDisk;
use lowtide_persistence::logstor::{Logstor, LogstorConfig};
use lowtide_persistence::{CommitBatch, Engine};

use super::work::Work;
use super::{median, storage};
use crate::engines::ours;
use crate::table::Table;

#[derive(Args)]
pub struct Arguments {
    #[arg(long, default_value_t = 1_024)]
    vbuckets: u16,
    /// Runs; each figure is their median.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Directory for the data, removed afterwards.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target"))]
    dir: PathBuf,
}

type Open = fn(&Path) -> Box<dyn Engine>;

const ENGINES: [(&str, Open); 2] = [("logstor", logstor), ("couchstore", couchstore)];

fn logstor(dir: &Path) -> Box<dyn Engine> {
    Box::new(
        Logstor::open(Arc::new(OsDisk::new()), dir, LogstorConfig::new([1, 2]))
            .expect("opens")
            .0,
    )
}

fn couchstore(dir: &Path) -> Box<dyn Engine> {
    Box::new(
        Couchstore::open(Arc::new(OsDisk::new()), dir, CouchstoreConfig::default())
            .expect("opens")
            .0,
    )
}

pub fn run(arguments: &Arguments) {
    let &Arguments {
        vbuckets,
        runs,
        ref dir,
    } = arguments;
    let dir = storage::made(dir);
    println!(
        "{vbuckets} vBuckets, medians of {runs}; {}",
        storage::file_system(&dir)
    );
    let columns = ["one commit, items/s", "a commit each, items/s", "times"];
    let mut table = Table::new(
        "one item for each vBucket",
        columns.map(str::to_owned).to_vec(),
    );
    for (name, open) in ENGINES {
        let lives: Vec<[f64; 2]> = (0..runs).map(|_| life(open, &dir, vbuckets)).collect();
        let [together, apart] =
            [0, 1].map(|column| median(lives.iter().map(|life| life[column]).collect()));
        table.row(name, vec![together, apart, together / apart]);
    }
    table.print();
}

/// Returns items a second, in one commit and in one for each. The second of two rounds counts, so
/// that the files exist.
fn life(open: Open, dir: &Path, vbuckets: u16) -> [f64; 2] {
    let dir = storage::new_dir(dir);
    let engine = open(dir.path());
    (0..vbuckets).for_each(|vb| engine.create(Vbid(vb)).expect("new"));
    let mut work = Work::new(u64::from(vbuckets));
    let mut rates = [0.0; 2];
    for _ in 0..2 {
        for (rate, at_once) in rates.iter_mut().zip([usize::from(vbuckets), 1]) {
            *rate = committed(
                &*engine,
                &work
                    .next(vbuckets.into())
                    .iter()
                    .map(ours::item)
                    .collect::<Vec<_>>(),
                at_once,
            );
        }
    }
    engine.close().expect("closes");
    rates
}

fn committed(engine: &dyn Engine, items: &[Item], at_once: usize) -> f64 {
    let states: Vec<VBucketState> = items
        .iter()
        .map(|item| VBucketState {
            snapshot_end: item.seqno,
            ..ours::state()
        })
        .collect();
    let single: Vec<[&Item; 1]> = items.iter().map(|item| [item]).collect();
    let parts = (0..).zip(&single).zip(&states);
    let batches: Vec<CommitBatch<'_>> = parts
        .map(|((vb, items), state)| CommitBatch::new(Vbid(vb), items, state).with_timestamp(1))
        .collect();
    let started = Instant::now();
    for batches in batches.chunks(at_once) {
        engine
            .commit(batches)
            .into_iter()
            .for_each(|result| assert!(result.is_ok()));
    }
    items.len() as f64 / started.elapsed().as_secs_f64()
}
