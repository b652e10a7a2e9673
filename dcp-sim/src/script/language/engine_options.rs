//! Which engine a world has, and its settings: a line's words go in, an engine on a disk comes out.

use std::path::Path;
use std::sync::Arc;

use lowtide_persistence::couchstore::{CommitMode, Couchstore, CouchstoreConfig, FormatVersion};
use lowtide_persistence::disk::Disk;
use lowtide_persistence::logstor::{CommitObserver, Logstor, LogstorConfig};
use lowtide_persistence::{Engine, EngineError};

use super::arguments::{Arguments, one_of};

/// Where on its disk the store is.
const DIRECTORY: &str = "/store";

/// `engine`: which one, and the seed of what is random on its disk.
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

/// Takes an engine's settings.
type Take = fn(&mut Arguments<'_>) -> Result<Choice, String>;

/// An open store, as every engine is driven and as only one can be.
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

    /// Opens the store. The observer is told of points inside commits, where an engine has them.
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
    Ok(Choice::Couchstore(CouchstoreConfig {
        commit,
        version,
        ..CouchstoreConfig::default()
    }))
}

/// Sizes that make no sense are a mistake, where a library would take the nearest that does.
fn logstor(arguments: &mut Arguments<'_>) -> Result<Choice, String> {
    let default = LogstorConfig::DEFAULT;
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
        return Err("`segment-bytes=` is from 65536 to 67108864".to_owned());
    }
    if file_bytes < least || disk_bytes < 32 * least {
        return Err("a file has at least one segment, the disk at least 32".to_owned());
    }
    Ok(Choice::Logstor(LogstorConfig {
        segment_bytes,
        file_bytes,
        disk_bytes,
        image_bytes,
        ..default
    }))
}
