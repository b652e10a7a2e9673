//! Couchstore on the real disk, with the same cache for decoded nodes as every engine that asks for
//! one. Its file is compacted only where compaction is measured.

use std::path::Path;
use std::sync::Arc;

use lowtide_persistence::couchstore::{CommitMode, Couchstore, CouchstoreConfig};
use lowtide_persistence::disk::OsDisk;

use super::{Store, memory, ours};

pub fn one_sync(dir: &Path, then: &mut dyn FnMut(&mut dyn Store)) {
    with(dir, CommitMode::OneSync, then);
}

pub fn two_phase(dir: &Path, then: &mut dyn FnMut(&mut dyn Store)) {
    with(dir, CommitMode::TwoPhase, then);
}

fn with(dir: &Path, commit: CommitMode, then: &mut dyn FnMut(&mut dyn Store)) {
    let config = CouchstoreConfig::DEFAULT
        .with_commit(commit)
        .with_cache_bytes(memory().cache_bytes);
    let (engine, _) = Couchstore::open(Arc::new(OsDisk::new()), dir, config).expect("opens");
    ours::with(Arc::new(engine), false, then);
}
