//! Logstor, on the real disk: segments of 1 MiB in files of 64 MiB, as it comes, and a cache as for everyone who asks. Its upkeep
//! is done as long as the store is open, as the peers that compact do theirs: by a thread of its own. It is opened with threads
//! to read on, which a host has: the device answers several at once.

use std::path::Path;
use std::sync::Arc;

use persistence::disk::OsDisk;
use persistence::logstor::{Logstor, LogstorConfig};
use persistence::{Executor, Task};

use super::{CACHE_BYTES, Store, ours};

/// A thread for each task.
#[derive(Debug)]
struct Threads;

impl Executor for Threads {
    fn run(&self, tasks: Vec<Task<'_>>) {
        std::thread::scope(|scope| tasks.into_iter().for_each(|task| drop(scope.spawn(task))));
    }
}

pub fn with(dir: &Path, then: &mut dyn FnMut(&mut dyn Store)) {
    let config = LogstorConfig { cache_bytes: CACHE_BYTES, ..LogstorConfig::default() };
    let (engine, _) = Logstor::open_with(Arc::new(OsDisk::new()), dir, config, &Threads).expect("opens");
    ours::with(Arc::new(engine), true, then);
}
