//! Every storage engine keeps the promises of `persistence::Engine` (E1 to E6), on the same suite.

use std::path::Path;
use std::sync::Arc;

use persistence::Engine;
use persistence::couchstore::{CommitMode, Couchstore, CouchstoreConfig};
use persistence::disk::Disk;
use support::conformance;

fn couchstore(commit: CommitMode) {
    conformance::run(&|disk: Arc<dyn Disk>| {
        let (engine, _report) = Couchstore::open(
            disk,
            Path::new("/store"),
            CouchstoreConfig { commit, ..CouchstoreConfig::default() },
        )?;
        Ok(Box::new(engine) as Box<dyn Engine>)
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
