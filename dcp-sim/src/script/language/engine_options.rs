//! Engine of a world, with its settings: parsed from a line's words, opened on a disk.

use std::path::Path;
use std::sync::Arc;

use lowtide_persistence::couchstore::{CommitMode, Couchstore, CouchstoreConfig, FormatVersion};
use lowtide_persistence::disk::Disk;
use lowtide_persistence::logstor::{CommitObserver, Logstor, LogstorConfig};
use lowtide_persistence::{Engine, EngineError};

use super::arguments::{Arguments, one_of};
use crate::published_key::PUBLISHED_HASH_KEY;

/// Directory of the store on its disk.
const DIRECTORY: &str = "/store";

/// Options of `engine`: the engine, and the seed of its disk's random decisions.
#[derive(Clone, Debug)]
pub(in crate::script) struct EngineOptions {
    engine: Choice,
    pub(in crate::script) seed: u64,
}

#[derive(Clone, Debug)]
enum Choice {
    Couchstore(CouchstoreConfig),
    Logstor(LogstorConfig),
}

/// Parser of an engine's settings.
type Take = fn(&mut Arguments<'_>) -> Result<Choice, String>;

/// An open store, with the access that only one engine offers.
#[derive(Debug)]
pub(in crate::script) enum Store {
    Plain(Box<dyn Engine>),
    Log(Logstor),
}

impl Store {
    pub(in crate::script) fn engine(&self) -> &dyn Engine {
        match self {
            Self::Plain(engine) => &**engine,
            Self::Log(store) => store,
        }
    }
}

impl EngineOptions {
    pub(in crate::script) fn take(arguments: &mut Arguments<'_>) -> Result<Self, String> {
        let engines: [(&str, Take); 2] = [("couchstore", couchstore), ("logstor", logstor)];
        let take = one_of(
            "the engine",
            arguments.required("the engine's name")?,
            &engines,
        )?;
        Ok(Self {
            engine: take(arguments)?,
            seed: arguments.number("seed")?.unwrap_or(1),
        })
    }

    /// Opens the store. An engine with points inside commits reports them to the observer.
    pub(in crate::script) fn open(
        &self,
        disk: Arc<dyn Disk>,
        observer: &Arc<dyn CommitObserver>,
    ) -> Result<Store, EngineError> {
        let directory = Path::new(DIRECTORY);
        match self.engine {
            Choice::Couchstore(config) => Ok(Store::Plain(Box::new(
                Couchstore::open(disk, directory, config)?.0,
            ))),
            Choice::Logstor(config) => {
                let (store, _report) = Logstor::open(disk, directory, config)?;
                store.observe(Arc::clone(observer));
                Ok(Store::Log(store))
            }
        }
    }
}

fn couchstore(arguments: &mut Arguments<'_>) -> Result<Choice, String> {
    let modes = [
        ("one-sync", CommitMode::OneSync),
        ("two-phase", CommitMode::TwoPhase),
    ];
    let versions = [
        ("12", FormatVersion::V12),
        ("13", FormatVersion::V13),
        ("14", FormatVersion::V14),
    ];
    let commit = arguments.choice("commit", &modes)?.unwrap_or_default();
    let version = arguments.choice("version", &versions)?.unwrap_or_default();
    let config = CouchstoreConfig::DEFAULT
        .with_commit(commit)
        .with_version(version);
    Ok(Choice::Couchstore(config))
}

/// Parses logstor's settings. Invalid sizes are an error here, though the library would take the
/// nearest valid ones.
fn logstor(arguments: &mut Arguments<'_>) -> Result<Choice, String> {
    let default = LogstorConfig::new(PUBLISHED_HASH_KEY);
    let segment_bytes = arguments
        .number("segment-bytes")?
        .unwrap_or(default.segment_bytes);
    let least = u64::from(segment_bytes);
    let file_bytes = arguments
        .number("file-bytes")?
        .unwrap_or(default.file_bytes.max(least));
    let disk_bytes = arguments
        .number("disk-bytes")?
        .unwrap_or(default.disk_bytes);
    let image_bytes = arguments
        .number("image-bytes")?
        .unwrap_or(default.image_bytes);
    if !(65_536..=64 << 20).contains(&segment_bytes) {
        return Err("`segment-bytes=` must be from 65536 to 67108864".to_owned());
    }
    if file_bytes < least || disk_bytes < 32 * least {
        return Err(
            "`file-bytes=` must be at least one segment, `disk-bytes=` at least 32".to_owned(),
        );
    }
    Ok(Choice::Logstor(
        default
            .with_segment_bytes(segment_bytes)
            .with_file_bytes(file_bytes)
            .with_disk_bytes(disk_bytes)
            .with_image_bytes(image_bytes),
    ))
}
