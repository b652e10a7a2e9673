//! Every storage engine keeps the promises of `persistence::Engine` (E1 to E10), on the same suite.

use std::path::Path;
use std::sync::Arc;

use persistence::couchstore::{CommitMode, Couchstore, CouchstoreConfig};
use persistence::disk::Disk;
use persistence::{Engine, Executor};
use support::conformance;

fn couchstore(commit: CommitMode) {
    let config = CouchstoreConfig { commit, ..CouchstoreConfig::default() };
    conformance::run(&|disk: Arc<dyn Disk>, executor: Arc<dyn Executor>| {
        let (engine, _report) = Couchstore::open(disk, Path::new("/store"), config)?;
        Ok(Box::new(engine.with_executor(executor)) as Box<dyn Engine>)
    });
}

#[test]
fn couchstore_with_one_sync() {
    couchstore(CommitMode::OneSync);
}

#[test]
fn couchstore_with_two_syncs() {
    couchstore(CommitMode::TwoPhase);
}
