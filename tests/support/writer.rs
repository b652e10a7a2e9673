//! The process that is killed: it writes to a store on real files until then, and reports each
//! action.
//!
//! Arguments: the store's directory, a seed. It never ends by itself.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::{Item, Seqno};
use lowtide_persistence::couchstore::Couchstore;
use lowtide_persistence::disk::OsDisk;
use lowtide_persistence::{Budget, CommitBatch, Engine, EngineError, Job, JobProgress, RolledBack};
use support::killing::{self, Act, CONFIG, VBS};

/// Budget so small that a compaction runs concurrently with many commits.
const STEP: Budget = Budget::new(12, 8 << 10);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, dir, seed] = &arguments[..] else {
        panic!("a directory and a seed")
    };
    let mut state: u64 = seed.parse().expect("a number");
    let (engine, _) =
        Couchstore::open(Arc::new(OsDisk::new()), Path::new(dir), CONFIG).expect("opens");
    let mut job = None;
    loop {
        let vb = VBS[killing::draw(&mut state, 2) as usize];
        let act = Act::draw(&mut state, vb, engine.info(vb).expect("there").high.0);
        say(&format!("do {act}"));
        match run(&engine, act).expect("nothing fails") {
            Some(seqno) => say(&format!("did {seqno}")),
            None => say("not possible"),
        }
        job = step(&engine, job);
    }
}

/// Prints a line, whole and at once.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())
        .expect("the parent reads");
    out.flush().expect("the parent reads");
}

/// Runs an action; returns the seqno of its result, or `None` if it was not possible.
fn run(engine: &Couchstore, act: Act) -> Result<Option<u64>, EngineError> {
    match act {
        Act::Commit { vb, high, seed } => {
            let items = killing::items(high, seed);
            let refs: Vec<&Item> = items.iter().collect();
            let state = killing::state(high + items.len() as u64);
            let batch = CommitBatch::new(vb, &refs, &state).with_timestamp(1);
            let committed = engine.commit(&[batch]).pop().expect("one result a batch")?;
            Ok(Some(committed.high.0))
        }
        Act::Purge { vb, upto } => Ok(Some(engine.purge(vb, Seqno(upto))?.0)),
        Act::Rollback { vb, to } => match engine.rollback(vb, Seqno(to))? {
            RolledBack::Done { high } => Ok(Some(high.0)),
            RolledBack::NeedsReset { .. } => Ok(None),
        },
    }
}

/// Runs a step of the current compaction, or begins the one that is due.
fn step(engine: &Couchstore, job: Option<Box<dyn Job>>) -> Option<Box<dyn Job>> {
    let mut job = job.or_else(|| engine.maintenance())?;
    match job.step(STEP) {
        Ok(JobProgress::Done(_)) | Err(EngineError::Aborted { .. }) => None,
        Ok(_) => Some(job),
        Err(error) => panic!("{error}"),
    }
}
