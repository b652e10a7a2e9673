//! Conformance of every storage engine: the promises of `lowtide_persistence::Engine` (E1 to E10),
//! checked by one suite.

mod log_format;

use std::path::Path;
use std::sync::Arc;

use lowtide_persistence::couchstore::{CommitMode, Couchstore, CouchstoreConfig, FormatVersion};
use lowtide_persistence::disk::Disk;
use lowtide_persistence::logstor::{Logstor, LogstorConfig};
use lowtide_persistence::{Engine, Executor};
use support::conformance;

fn couchstore(config: CouchstoreConfig) {
    conformance::run(&|disk: Arc<dyn Disk>, executor: Arc<dyn Executor>| {
        let (engine, _report) = Couchstore::open(disk, Path::new("/store"), config)?;
        Ok(Box::new(engine.with_executor(executor)) as Box<dyn Engine>)
    });
}

#[test]
fn couchstore_with_one_sync_conforms() {
    couchstore(CouchstoreConfig::DEFAULT.with_commit(CommitMode::OneSync));
}

#[test]
fn couchstore_with_two_syncs_conforms() {
    couchstore(CouchstoreConfig::DEFAULT.with_commit(CommitMode::TwoPhase));
}

#[test]
fn couchstore_in_older_versions_conforms() {
    for version in [FormatVersion::V12, FormatVersion::V13] {
        couchstore(CouchstoreConfig::DEFAULT.with_version(version));
    }
}

/// Segments are small enough that a history needs several, and files several of them.
const SMALL: LogstorConfig = LogstorConfig::new([1, 2])
    .with_segment_bytes(64 << 10)
    .with_file_bytes(128 << 10);

#[test]
fn logstor() {
    log(SMALL);
}

/// Every close writes an image, and every open uses one.
#[test]
fn logstor_with_index_images_conforms() {
    log(SMALL.with_image_bytes(0).with_image_percent(u32::MAX));
}

fn log(config: LogstorConfig) {
    conformance::run(&|disk: Arc<dyn Disk>, executor: Arc<dyn Executor>| {
        let (store, _report) = Logstor::open_with(disk, Path::new("/store"), config, &*executor)?;
        Ok(Box::new(store) as Box<dyn Engine>)
    });
}
