//! Logstor, on the real disk: segments of 1 MiB in files of 64 MiB, as it comes, and a cache as for everyone who asks. Its upkeep
//! is done as long as the store is open, as the peers that compact do theirs: by a thread of its own.

use std::path::Path;
use std::sync::Arc;

use persistence::disk::OsDisk;
use persistence::logstor::{Logstor, LogstorConfig};

use super::{CACHE_BYTES, Store, ours};

pub fn with(dir: &Path, then: &mut dyn FnMut(&mut dyn Store)) {
    let config = LogstorConfig { cache_bytes: CACHE_BYTES, ..LogstorConfig::default() };
    let (engine, _) = Logstor::open(Arc::new(OsDisk::new()), dir, config).expect("opens");
    ours::with(Arc::new(engine), true, then);
}
