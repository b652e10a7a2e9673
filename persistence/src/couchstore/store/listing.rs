//! The listing of a directory: the files of vBuckets, recognized by name alone. Nothing is opened,
//! locked or changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lowtide_checkpoint::Vbid;

use crate::contract::EngineError;
use crate::disk::Disk;
use crate::shared::StoreOwner;

use super::file_names::{self, Name};

/// A vBucket's file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreFile {
    /// The vBucket.
    pub vb: Vbid,
    /// Revision of the file. Each compaction makes the next one.
    pub revision: u64,
    /// Path of the file.
    pub path: PathBuf,
}

/// The files of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreListing {
    /// The newest file of each vBucket, ascending.
    pub files: Vec<StoreFile>,
    /// Other files, each with the reason that it does not count.
    pub others: Vec<(PathBuf, &'static str)>,
}

/// Lists a store's directory, ours or a real server's.
///
/// # Errors
/// [`EngineError::ForeignStore`] if another engine's files are in it; [`EngineError::Disk`].
pub fn list_store(disk: &dyn Disk, dir: &Path) -> Result<StoreListing, EngineError> {
    StoreOwner::Couchstore.require(disk, dir)?;
    let mut newest: BTreeMap<Vbid, u64> = BTreeMap::new();
    let mut others = Vec::new();
    for name in disk.list(dir)? {
        let why = match file_names::parse(&name) {
            Name::File { vb, revision } => match newest.insert(vb, revision) {
                None => continue,
                Some(other) => {
                    newest.insert(vb, revision.max(other));
                    others.push((
                        dir.join(file_names::file(vb, revision.min(other))),
                        "an older revision",
                    ));
                    continue;
                }
            },
            Name::Leftover => "left over from an interrupted operation",
            Name::Ignored => "the vendor's own",
            Name::Other => "not a vBucket's file",
        };
        others.push((dir.join(name), why));
    }
    let files = newest.into_iter().map(|(vb, revision)| {
        let path = dir.join(file_names::file(vb, revision));
        StoreFile { vb, revision, path }
    });
    Ok(StoreListing {
        files: files.collect(),
        others,
    })
}

/// Returns the vBucket and revision in a file's name, if it is that of a vBucket's file.
#[must_use]
pub fn name_of_store_file(path: &Path) -> Option<(Vbid, u64)> {
    match file_names::parse(path.file_name()?.to_str()?) {
        Name::File { vb, revision } => Some((vb, revision)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::disk::MemoryDisk;

    use super::*;

    #[test]
    fn newest_file_of_each_vbucket_counts() {
        let (disk, dir) = (MemoryDisk::new(), Path::new("/data"));
        disk.create_dir(dir).expect("made");
        for name in [
            "7.couch.9",
            "7.couch.10",
            "3.couch.1",
            "3.couch.2.compact",
            "master.couch.1",
            "notes",
        ] {
            disk.create(&dir.join(name)).expect("new");
        }
        let listing = list_store(&disk, dir).expect("listed");
        let files: Vec<_> = listing
            .files
            .iter()
            .map(|file| (file.vb.0, file.revision))
            .collect();
        assert_eq!(files, [(3, 1), (7, 10)]);
        let others: Vec<_> = listing
            .others
            .iter()
            .map(|(path, why)| (path.to_str(), *why))
            .collect();
        assert_eq!(
            others,
            [
                (
                    Some("/data/3.couch.2.compact"),
                    "left over from an interrupted operation"
                ),
                (Some("/data/7.couch.9"), "an older revision"),
                (Some("/data/master.couch.1"), "the vendor's own"),
                (Some("/data/notes"), "not a vBucket's file"),
            ]
        );
        assert_eq!(
            name_of_store_file(Path::new("/data/7.couch.10")),
            Some((Vbid(7), 10))
        );
        assert_eq!(name_of_store_file(Path::new("/data/notes")), None);
    }
}
