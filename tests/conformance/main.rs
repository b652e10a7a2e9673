//! Every storage engine keeps the promises of `persistence::Engine` (E1 to E10), on the same suite.

use std::path::Path;
use std::sync::Arc;

use persistence::couchstore::{CommitMode, Couchstore, CouchstoreConfig, FormatVersion};
use persistence::disk::Disk;
use persistence::logstor::{Logstor, LogstorConfig};
use persistence::{Engine, Executor};
use support::conformance;

fn couchstore(config: CouchstoreConfig) {
    conformance::run(&|disk: Arc<dyn Disk>, executor: Arc<dyn Executor>| {
        let (engine, _report) = Couchstore::open(disk, Path::new("/store"), config)?;
        Ok(Box::new(engine.with_executor(executor)) as Box<dyn Engine>)
    });
}

#[test]
fn couchstore_with_one_sync() {
    couchstore(CouchstoreConfig { commit: CommitMode::OneSync, ..CouchstoreConfig::default() });
}

#[test]
fn couchstore_with_two_syncs() {
    couchstore(CouchstoreConfig { commit: CommitMode::TwoPhase, ..CouchstoreConfig::default() });
}

#[test]
fn couchstore_in_older_versions() {
    for version in [FormatVersion::V12, FormatVersion::V13] {
        couchstore(CouchstoreConfig { version, ..CouchstoreConfig::default() });
    }
}

/// Segments small enough that a history needs several, and files that several need.
#[test]
fn logstor() {
    let config = LogstorConfig { segment_bytes: 64 << 10, file_bytes: 128 << 10, ..LogstorConfig::DEFAULT };
    conformance::run(&|disk: Arc<dyn Disk>, _executor: Arc<dyn Executor>| {
        Ok(Box::new(Logstor::open(disk, Path::new("/store"), config)?.0) as Box<dyn Engine>)
    });
}
