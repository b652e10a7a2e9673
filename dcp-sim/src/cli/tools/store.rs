//! Functions that the tools for stores share: the files of a path, their keys, and the failures of
//! opening them.
//!
//! Nothing here writes (T3).

use std::path::{Path, PathBuf};
use std::{fmt, fs};

use clap::Args;
use lowtide_checkpoint::Vbid;
use lowtide_persistence::couchstore::{CouchFile, Keyring, list_store, name_of_store_file};
use lowtide_persistence::disk::{DiskErrorKind, OsDisk};
use lowtide_persistence::{EngineError, StoreOwner};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::message;

/// Schema version of the tools' JSON. It rises when a field is removed or changes its meaning; new
/// fields may appear in between.
pub(in crate::cli) const SCHEMA: u32 = 1;

/// Source of the keys.
#[derive(Debug, Args)]
pub(in crate::cli) struct KeyArguments {
    /// Keys of encrypted files: {"keys": [{"id": "...", "key": "<32 bytes in base64>"}]}.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl KeyArguments {
    /// Reads the keys; an empty keyring without a file.
    pub(in crate::cli) fn read(&self) -> Result<Keyring, Failure> {
        let Some(path) = &self.key_file else {
            return Ok(Keyring::new());
        };
        let in_file = |exit, error: &dyn fmt::Display| {
            Failure::new(exit, &format!("{}: {error}", path.display()))
        };
        let text = fs::read(path)
            .map(Zeroizing::new)
            .map_err(|error| in_file(Exit::Io, &error))?;
        Keyring::from_json(&text).map_err(|error| in_file(Exit::Usage, &error))
    }
}

/// One file of a store.
#[derive(Clone, Debug, Serialize)]
pub(in crate::cli) struct Target {
    pub(in crate::cli) path: String,
    /// `None` if its name does not contain it.
    pub(in crate::cli) vb: Option<u16>,
    pub(in crate::cli) revision: Option<u64>,
}

impl Target {
    fn new(path: &Path, name: Option<(Vbid, u64)>) -> Self {
        let (vb, revision) = name.map(|(vb, revision)| (vb.0, revision)).unzip();
        Self {
            path: path.display().to_string(),
            vb,
            revision,
        }
    }

    pub(in crate::cli) fn path(&self) -> &Path {
        Path::new(&self.path)
    }

    /// Opens the file at its newest header.
    pub(in crate::cli) fn open(&self, keys: &Keyring) -> Result<CouchFile, Failure> {
        Ok(CouchFile::open_with_keys(
            &OsDisk::new(),
            self.path(),
            keys,
        )?)
    }
}

/// A file next to those of the store.
#[derive(Clone, Debug, Serialize)]
pub(in crate::cli) struct Other {
    pub(in crate::cli) path: String,
    pub(in crate::cli) why: &'static str,
}

/// Files of a path: one file, or a store's directory.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Targets {
    pub(in crate::cli) is_directory: bool,
    /// By vBucket.
    pub(in crate::cli) files: Vec<Target>,
    pub(in crate::cli) others: Vec<Other>,
}

impl Targets {
    /// Resolves a path. `vb` selects one vBucket of a directory.
    pub(in crate::cli) fn find(path: &Path, vb: Option<u16>) -> Result<Self, Failure> {
        if !fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
            refuse_log_file(path)?;
            let target = Target::new(path, name_of_store_file(path));
            if let Some(vb) = vb.filter(|&vb| target.vb != Some(vb)) {
                let error = format!("{} is not the file of vBucket {vb}", path.display());
                return Err(Failure::new(Exit::Usage, &error)
                    .with_hint("--vb chooses one of a directory's files".to_owned()));
            }
            return Ok(Self {
                is_directory: false,
                files: vec![target],
                others: Vec::new(),
            });
        }
        let listing = list_store(&OsDisk::new(), path)?;
        let mut files: Vec<Target> = listing
            .files
            .iter()
            .map(|file| Target::new(&file.path, Some((file.vb, file.revision))))
            .collect();
        if let Some(vb) = vb {
            files.retain(|file| file.vb == Some(vb));
        }
        if files.is_empty() {
            let what = vb.map_or("no vBucket's file".to_owned(), |vb| {
                format!("no file of vBucket {vb}")
            });
            let error = format!("{}: {what} is in this directory", path.display());
            return Err(Failure::new(Exit::Usage, &error).with_hint(inner_store(path)));
        }
        let others = listing.others.into_iter();
        let others = others.map(|(path, why)| Other {
            path: path.display().to_string(),
            why,
        });
        Ok(Self {
            is_directory: true,
            files,
            others: others.collect(),
        })
    }

    /// Reports skipped files.
    pub(in crate::cli) fn note_others(&self) {
        for other in &self.others {
            message!("note: {} is left out: {}", other.path, other.why);
        }
    }
}

/// Refuses a single file of a log store: only the whole directory is meaningful.
pub(in crate::cli) fn refuse_log_file(path: &Path) -> Result<(), Failure> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        // No engine has a file without a name, or with one that is not Unicode.
        .unwrap_or("");
    if StoreOwner::of_name(name) != Some(StoreOwner::Logstor) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Usage,
        &format!("{} is a file of a log store", path.display()),
    )
    .with_hint("a log store is read as a whole: name its directory".to_owned()))
}

/// Returns a hint for a simulated cluster, which keeps each node's store in a directory of its own.
fn inner_store(path: &Path) -> Option<String> {
    let node: PathBuf = path.join("node-0");
    node.is_dir().then(|| {
        format!(
            "each node has its store in a directory of its own, such as {}",
            node.display()
        )
    })
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let (exit, hint) = match &error {
            EngineError::Corrupt { .. } => (
                Exit::Corrupt,
                Some(
                    "`dcp-sim check` reports the damage, `dcp-sim recover` saves the readable part",
                ),
            ),
            EngineError::InUse { .. } => (
                Exit::Io,
                Some("a store cannot be examined while it is written to: try again"),
            ),
            EngineError::ForeignStore { .. } => (
                Exit::Usage,
                Some("a directory holds the store of one engine; nothing was written to it"),
            ),
            EngineError::NumbersUsedUp { .. } => (
                Exit::Usage,
                Some(
                    "`dcp-sim compact PATH --output` makes a new file or store with numbers of its own; no store may have the old one open",
                ),
            ),
            EngineError::Disk(error) if error.kind == DiskErrorKind::TooManyFiles => {
                (Exit::Io, Some("`ulimit -n` shows the limit of open files"))
            }
            EngineError::KeyMissing { .. } => {
                (Exit::Usage, Some("--key-file names a file with keys"))
            }
            EngineError::Unsupported { .. } | EngineError::KeyWrong { .. } => (Exit::Usage, None),
            _ => (Exit::Io, None),
        };
        Self::new(exit, &error).with_hint(hint.map(str::to_owned))
    }
}

/// Returns a name as text if JSON can represent it, and otherwise its hexadecimal digits.
pub(in crate::cli) fn text_or_hex(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(hex(bytes))),
    }
}

/// Returns two lower-case digits for each byte.
pub(in crate::cli) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a string never fails.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
