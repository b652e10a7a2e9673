//! The directory of a store: which file belongs to which vBucket, creating and removing files,
//! clearing leftovers.
//!
//! # Invariants
//!
//! - A file gets its name only once its first header is durable. Of two revisions the higher
//!   counts, and the lower is removed once the name of the higher is durable. So a vBucket exists
//!   as a whole or not at all, whenever the power fails.
//! - A file that cannot be read harms no other. Its vBucket exists, and its older revisions are
//!   kept until it is dropped, and are removed before it.

mod revisions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lowtide_checkpoint::Vbid;
use lowtide_checkpoint::internal::Invariant as _;

use crate::contract::{EngineError, RecoveryReport};
use crate::couchstore::store_context::StoreContext;
use crate::couchstore::write::{Writer, tail_recovery};
use crate::disk::{Access, Disk, DiskErrorKind};
use crate::failure::Damage;
use crate::fault::{self, Fault};

use super::file_names::{self, Name};
use super::vbucket::VBucket;

/// A vBucket, open or unreadable.
#[derive(Clone, Debug)]
pub(crate) enum VBucketSlot {
    Open(Arc<VBucket>),
    Unreadable(Damage),
}

/// The files of a store. One change runs at a time.
#[derive(Debug)]
pub(crate) struct Directory {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    shared: Arc<StoreContext>,
    /// The newest revision that each vBucket has had since the store was opened.
    revisions: BTreeMap<Vbid, u64>,
    /// Names of older revisions that may still exist.
    superseded: Vec<revisions::Superseded>,
}

impl Directory {
    pub(crate) fn new(disk: Arc<dyn Disk>, path: &Path, shared: Arc<StoreContext>) -> Self {
        Self {
            disk,
            path: path.to_path_buf(),
            shared,
            revisions: BTreeMap::new(),
            superseded: Vec::new(),
        }
    }

    /// Opens every vBucket and removes leftovers.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(crate) fn open(
        &mut self,
    ) -> Result<(BTreeMap<Vbid, VBucketSlot>, RecoveryReport), EngineError> {
        let mut report = RecoveryReport::default();
        let (mut leftovers, mut older) = (Vec::new(), Vec::new());
        for name in self.disk.list(&self.path)? {
            match file_names::parse(&name) {
                Name::File { vb, revision } => {
                    if let Some(other) = self.revisions.insert(vb, revision) {
                        self.revisions.insert(vb, revision.max(other));
                        older.push((vb, file_names::file(vb, revision.min(other))));
                    }
                }
                Name::Leftover => {
                    leftovers.push((name, "left over from an interrupted operation: removed"))
                }
                Name::Ignored => {}
                Name::Other => report.repairs.push((
                    self.path.join(name),
                    "not a file of this store: left alone".into(),
                )),
            }
        }
        let mut vbuckets = BTreeMap::new();
        for (&vb, &revision) in &self.revisions {
            let path = self.path.join(file_names::file(vb, revision));
            let slot = match self.open_file(vb, &path, &mut report) {
                Ok(vbucket) => VBucketSlot::Open(Arc::new(vbucket)),
                Err(error) => {
                    report.unreadable.push((vb, error.to_string()));
                    VBucketSlot::Unreadable(Damage::of_file(error)?)
                }
            };
            vbuckets.insert(vb, slot);
        }
        if !older.is_empty() && !fault::is(Fault::NewRevisionIsNotMadeDurable) {
            // The process that created the newer name may have ended before syncing it. Without a
            // durable name the newer file may vanish, and the older one is all there is.
            self.sync()?;
        }
        for (vb, name) in older {
            match vbuckets.get(&vb) {
                Some(VBucketSlot::Open(_)) => {
                    leftovers.push((name, "superseded by a newer revision: removed"))
                }
                _ => {
                    let why = "superseded by a newer revision that can't be read: kept";
                    report.repairs.push((self.path.join(name), why.to_owned()));
                }
            }
        }
        for (name, why) in leftovers {
            let path = self.path.join(name);
            self.disk.remove(&path)?;
            report.repairs.push((path, why.to_owned()));
        }
        // Names that were seen but not yet durable become durable.
        self.disk.sync_dir(&self.path)?;
        report.vbuckets = vbuckets.len();
        Ok((vbuckets, report))
    }

    fn open_file(
        &self,
        vb: Vbid,
        path: &Path,
        report: &mut RecoveryReport,
    ) -> Result<VBucket, EngineError> {
        let (view, repairs) = tail_recovery::open(self.disk.open(path, Access::ReadWrite)?, path)?;
        report.repairs.extend(
            repairs
                .into_iter()
                .map(|repair| (path.to_path_buf(), repair)),
        );
        VBucket::new(
            vb,
            Writer::new(view, Arc::clone(&self.shared)),
            Arc::clone(&self.shared),
        )
    }

    /// Creates an empty vBucket.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(crate) fn create(&mut self, vb: Vbid) -> Result<Arc<VBucket>, EngineError> {
        let revision = self.next_revision(vb)?;
        let path = self.path.join(file_names::file(vb, revision));
        let boot = self.path.join(file_names::boot(vb));
        match self.disk.remove(&boot) {
            Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let made = self.bootstrap(&boot, &path);
        let writer = made.inspect_err(|_| {
            // The file is missing or useless. Opening the store removes it as well.
            let _ = self.disk.remove(&boot);
        })?;
        self.sync()?;
        self.revisions.insert(vb, revision);
        Ok(Arc::new(VBucket::new(
            vb,
            writer,
            Arc::clone(&self.shared),
        )?))
    }

    fn bootstrap(&self, boot: &Path, path: &Path) -> Result<Writer, EngineError> {
        let writer = Writer::create(self.disk.create(boot)?, path, Arc::clone(&self.shared))?;
        self.disk.rename(boot, path)?;
        Ok(writer)
    }

    /// Removes a vBucket's file.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: the file still exists, or the store is poisoned.
    pub(crate) fn remove(&mut self, vb: Vbid, vbucket: &VBucket) -> Result<(), EngineError> {
        self.settle(vb)?;
        let name = file_names::file(vb, self.revision(vb)?);
        vbucket.drop_with(|| self.remove_name(&name))?;
        self.sync()
    }

    /// Removes all revisions of a vBucket that cannot be read.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: the newest revision still exists, or the store is poisoned.
    pub(crate) fn remove_unreadable(&self, vb: Vbid) -> Result<(), EngineError> {
        let newest = self.revision(vb)?;
        for name in self.disk.list(&self.path)? {
            if matches!(file_names::parse(&name), Name::File { vb: of, revision } if of == vb && revision != newest)
            {
                self.remove_name(&name)?;
            }
        }
        // After a power loss an older revision must not be the only one left.
        self.sync()?;
        self.remove_name(&file_names::file(vb, newest))?;
        self.sync()
    }

    /// Forgets a vBucket's file, as a bug would.
    #[cfg(test)]
    pub(crate) fn forget(&mut self, vb: Vbid) {
        self.revisions.remove(&vb);
    }

    /// Returns the revision of the file that counts.
    fn revision(&self, vb: Vbid) -> Result<u64, EngineError> {
        let revision = self.revisions.get(&vb).copied();
        revision
            .invariant("E35", "a vBucket has a file")
            .map_err(|violation| self.shared.internal(violation, &self.path))
    }

    fn remove_name(&self, name: &str) -> Result<(), EngineError> {
        let path = self.path.join(name);
        let Err(error) = self.disk.remove(&path) else {
            return Ok(());
        };
        if error.kind == DiskErrorKind::TooManyFiles {
            // The file could not be kept open, and still has its name.
            return Err(error.into());
        }
        // A failed call may have succeeded on the disk. Writes to a file without a name would be
        // lost.
        match self.disk.list(&self.path) {
            Ok(names) if names.iter().any(|other| other == name) => Err(error.into()),
            Ok(_) => Ok(()),
            Err(_) => {
                self.shared.poison.set(&path);
                Err(error.into())
            }
        }
    }

    /// Makes names durable. A failure poisons the store.
    fn sync(&self) -> Result<(), EngineError> {
        if fault::is(Fault::NamesAreNotSynced) {
            return Ok(());
        }
        self.shared.syncs.add(1);
        let synced = self.disk.sync_dir(&self.path);
        Ok(synced.inspect_err(|error| self.shared.poison.set_after(error, &self.path))?)
    }
}
