//! Compaction: the rows it keeps and those it removes, concurrent with commits, snapshots, drops
//! and failures.

mod failures;
mod files;
mod history;
mod jobs;
mod model;
mod power;
mod purge;
mod reopening;
mod shapes;
mod single;
mod upkeep;
mod versions;

use lowtide_checkpoint::{Item, Vbid};

use crate::contract::{
    Budget, CompactionReport, CompactionRequest, Engine, EngineError, EnginePoint, Job, JobProgress,
};
use crate::couchstore::engine::Couchstore;
use crate::disk::Disk;

use super::support::{VB, commit, dir, noise, open, set};

/// Few enough items a step that every stage takes several.
const SMALL: Budget = Budget {
    items: 3,
    bytes: 4096,
};

/// Runs to the next named point, or to the end.
fn to_next_point(job: &mut dyn Job, budget: Budget) -> Result<JobProgress, EngineError> {
    loop {
        match job.step(budget)? {
            JobProgress::Working { .. } => {}
            progress => return Ok(progress),
        }
    }
}

/// Runs to a point.
fn to_point(job: &mut dyn Job, point: EnginePoint) {
    loop {
        match to_next_point(job, SMALL).expect("no failure") {
            JobProgress::Reached(reached) if reached == point => return,
            JobProgress::Reached(_) => {}
            progress => panic!("no {point}: {progress:?}"),
        }
    }
}

/// Runs to the end.
fn to_end(job: &mut dyn Job, budget: Budget) -> Result<CompactionReport, EngineError> {
    loop {
        if let JobProgress::Done(report) = to_next_point(job, budget)? {
            return Ok(report);
        }
    }
}

fn begin(engine: &dyn Engine) -> Box<dyn Job> {
    engine
        .compact(VB, CompactionRequest::default())
        .expect("begun")
}

fn compact(engine: &dyn Engine, vb: Vbid, request: CompactionRequest) -> CompactionReport {
    to_end(&mut *engine.compact(vb, request).expect("begun"), SMALL).expect("no failure")
}

/// Compacts a vBucket at once.
pub(crate) fn compact_to_end(
    engine: &dyn Engine,
    vb: Vbid,
    request: CompactionRequest,
) -> Result<CompactionReport, EngineError> {
    to_end(&mut *engine.compact(vb, request)?, Budget::NONE)
}

fn names(disk: &dyn Disk) -> Vec<String> {
    disk.list(&dir()).expect("listed")
}

fn batch(from: u64) -> Vec<Item> {
    (from..from + 20)
        .map(|seqno| set(seqno, &format!("key-{}", seqno % 30), &noise(200)))
        .collect()
}

fn store(disk: &(impl Disk + Clone + 'static)) -> Couchstore {
    let (engine, _) = open(disk).expect("opens");
    engine.create(VB).expect("created");
    for from in [1, 21, 41] {
        commit(&engine, VB, &batch(from)).expect("committed");
    }
    engine
}

const POINTS: [EnginePoint; 4] = [
    EnginePoint::CompactCopied,
    EnginePoint::CompactCaughtUp,
    EnginePoint::CompactBeforeRename,
    EnginePoint::CompactAfterRename,
];
