//! Which engine a world has, and its settings: a line's words go in, an engine on a disk comes out.

use std::path::Path;
use std::sync::Arc;

use persistence::couchstore::{CommitMode, Couchstore, CouchstoreConfig, FormatVersion};
use persistence::disk::Disk;
use persistence::{Engine, EngineError};

use super::arguments::{Arguments, one_of};

/// Where on its disk the store is.
const DIRECTORY: &str = "/store";

/// `engine`: which one, and the seed of what is random on its disk.
#[derive(Clone, Debug)]
pub(super) struct EngineOptions {
    engine: Choice,
    pub(super) seed: u64,
}

#[derive(Clone, Debug)]
enum Choice {
    Couchstore(CouchstoreConfig),
}

impl EngineOptions {
    pub(super) fn take(arguments: &mut Arguments<'_>) -> Result<Self, String> {
        let take =
            one_of("the engine", arguments.required("the engine's name")?, &[("couchstore", couchstore)])?;
        Ok(Self { engine: take(arguments)?, seed: arguments.number("seed")?.unwrap_or(1) })
    }

    /// Opens the store.
    pub(super) fn open(&self, disk: Arc<dyn Disk>) -> Result<Box<dyn Engine>, EngineError> {
        let directory = Path::new(DIRECTORY);
        match self.engine {
            Choice::Couchstore(config) => Ok(Box::new(Couchstore::open(disk, directory, config)?.0)),
        }
    }
}

fn couchstore(arguments: &mut Arguments<'_>) -> Result<Choice, String> {
    let modes = [("one-sync", CommitMode::OneSync), ("two-phase", CommitMode::TwoPhase)];
    let versions = [("12", FormatVersion::V12), ("13", FormatVersion::V13), ("14", FormatVersion::V14)];
    let commit = arguments.choice("commit", &modes)?.unwrap_or_default();
    let version = arguments.choice("version", &versions)?.unwrap_or_default();
    Ok(Choice::Couchstore(CouchstoreConfig { commit, version, ..CouchstoreConfig::default() }))
}
