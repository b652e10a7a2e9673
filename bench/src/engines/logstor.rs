//! Logstor on the real disk: segments of 1 MiB in files of 64 MiB, its defaults, and the same cache
//! as every engine that asks for one.
//!
//! Its upkeep runs on a thread of its own as long as the store is open, as in the peers that
//! compact. It is opened with threads to read on, which a host has: the device answers several
//! reads at once.
//!
//! A new store has files of 256 MiB made before the first commit, as a deployment does that knows
//! its budget. That is enough for 200,000 items, however often they are overwritten. Without them
//! upkeep would make a file of zeros from time to time, a little ahead of need, and the first
//! commits' bytes would be written twice. The peers' files grow as they are written, so nothing is
//! written twice. They have no such setting, except that LMDB's map has a fixed size, which takes
//! no space.

use std::path::Path;
use std::sync::Arc;

use lowtide_persistence::disk::OsDisk;
use lowtide_persistence::logstor::{Logstor, LogstorConfig};
use lowtide_persistence::{Budget, Engine, Executor, JobProgress, Task};

use super::{Store, memory, ours};

const PREPARED_BYTES: u64 = 256 << 20;

/// Executor that starts a thread for each task.
#[derive(Debug)]
struct Threads;

impl Executor for Threads {
    fn run(&self, tasks: Vec<Task<'_>>) {
        std::thread::scope(|scope| tasks.into_iter().for_each(|task| drop(scope.spawn(task))));
    }
}

pub fn with(dir: &Path, then: &mut dyn FnMut(&mut dyn Store)) {
    let cache_bytes = memory().cache_bytes;
    let config = LogstorConfig::new([1, 2])
        .with_cache_bytes(cache_bytes)
        .with_prepared_bytes(PREPARED_BYTES);
    let (engine, _) =
        Logstor::open_with(Arc::new(OsDisk::new()), dir, config, &Threads).expect("opens");
    if engine.vbuckets().is_empty() {
        while let Some(mut job) = engine.maintenance() {
            while !matches!(job.step(Budget::NONE).expect("works"), JobProgress::Done(_)) {}
        }
    }
    ours::with(Arc::new(engine), true, then);
}
