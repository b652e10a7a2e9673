//! The engine that owns a store directory, recognised by the names of its files (E32).
//!
//! No engine opens, or writes to, another engine's directory. Each engine's own module knows its
//! names exactly. This one knows only enough of both to tell them apart, because engines do not
//! know one another.

use std::path::Path;

use crate::contract::EngineError;
use crate::disk::{Disk, DiskResult};

/// The minimum number of digits in a log file's number. A name with fewer, such as `log-2024`, is
/// not a store's.
const LOG_DIGITS: usize = 8;

/// An engine that keeps stores in directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOwner {
    /// One file for each vBucket: `<vBucket>.couch.<revision>`.
    Couchstore,
    /// One log: `MANIFEST` and `log-<number>`.
    Logstor,
}

impl StoreOwner {
    /// Returns the engine's name on command lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Couchstore => "couchstore",
            Self::Logstor => "logstor",
        }
    }

    /// Returns the engine whose files have such names, if it is one of these.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let is_log = |number: &str| number.len() >= LOG_DIGITS && is_number(number);
        if name == "MANIFEST" || name.strip_prefix("log-").is_some_and(is_log) {
            return Some(Self::Logstor);
        }
        let (vb, revision) = name.split_once(".couch.")?;
        (is_number(vb) && is_number(revision)).then_some(Self::Couchstore)
    }

    /// Refuses a directory that contains another engine's files.
    ///
    /// # Errors
    /// [`EngineError::ForeignStore`]; [`EngineError::Disk`] if the directory can't be listed.
    pub fn require(self, disk: &dyn Disk, dir: &Path) -> Result<(), EngineError> {
        match foreign_file(self, &disk.list(dir)?) {
            None => Ok(()),
            Some((engine, file)) => Err(EngineError::ForeignStore {
                path: dir.to_path_buf(),
                engine: engine.name(),
                file,
            }),
        }
    }
}

/// Returns the engines whose files are in a directory, each with one of these files. Empty if the
/// directory is not a store.
///
/// # Errors
/// Any failure of the disk.
pub fn store_owners(disk: &dyn Disk, dir: &Path) -> DiskResult<Vec<(StoreOwner, String)>> {
    let names = disk.list(dir)?;
    let first = |owner| {
        let name = names
            .iter()
            .find(|name| StoreOwner::of_name(name) == Some(owner))?;
        Some((owner, name.clone()))
    };
    Ok([StoreOwner::Couchstore, StoreOwner::Logstor]
        .into_iter()
        .filter_map(first)
        .collect())
}

fn foreign_file(own: StoreOwner, names: &[String]) -> Option<(StoreOwner, String)> {
    names.iter().find_map(|name| {
        let owner = StoreOwner::of_name(name).filter(|&owner| owner != own)?;
        Some((owner, name.clone()))
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_identify_their_engine() {
        for name in ["7.couch.1", "1023.couch.18446744073709551615"] {
            assert_eq!(
                StoreOwner::of_name(name),
                Some(StoreOwner::Couchstore),
                "{name}"
            );
        }
        for name in ["MANIFEST", "log-00000000", "log-00000012"] {
            assert_eq!(
                StoreOwner::of_name(name),
                Some(StoreOwner::Logstor),
                "{name}"
            );
        }
        for name in [
            "notes.txt",
            "master.couch.1",
            "7.couch.x",
            "log-",
            "log-2024",
            "log-00000001.new",
            "MANIFEST.new",
            "LOCK",
            "",
        ] {
            assert_eq!(StoreOwner::of_name(name), None, "{name}");
        }
    }
}
