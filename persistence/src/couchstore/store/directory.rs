//! A store's directory: which file is which vBucket's, making and removing files, clearing what was left over.
//!
//! Always: a file has its name only once its first header is durable, and of two revisions the higher counts; the lower goes
//! once the name of the higher is durable. So a vBucket is there as a whole or not at all, whenever the power fails. A file
//! that can't be read harms no other: its vBucket is there, and older revisions of it are kept until it is dropped, and go
//! before it does.

mod revisions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lowtide_checkpoint::Vbid;

use crate::contract::{EngineError, RecoveryReport};
use crate::couchstore::store_context::StoreContext;
use crate::couchstore::write::{Writer, tail_recovery};
use crate::damage::Damage;
use crate::disk::{Access, Disk, DiskErrorKind};
use crate::fault::{self, Fault};

use super::file_names::{self, Name};
use super::vbucket::VBucket;

/// What a vBucket's file was found to be.
#[derive(Clone, Debug)]
pub(crate) enum VBucketSlot {
    Open(Arc<VBucket>),
    Unreadable(Damage),
}

/// The files of a store. One change at a time.
#[derive(Debug)]
pub(crate) struct Directory {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    shared: Arc<StoreContext>,
    /// The newest revision every vBucket has had since the store was opened.
    revisions: BTreeMap<Vbid, u64>,
    /// Names of older revisions that may still be there.
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

    /// Opens every vBucket and clears the directory of what can't be one.
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
            // Whoever gave the newer its name may not have got as far: without a name that lasts it is nothing, and the older
            // all there is.
            self.sync()?;
        }
        for (vb, name) in older {
            match vbuckets.get(&vb) {
                Some(VBucketSlot::Open(_)) => {
                    leftovers.push((name, "a newer revision is there: removed"))
                }
                _ => {
                    let why = "a newer revision is there, but can't be read: kept";
                    report.repairs.push((self.path.join(name), why.to_owned()));
                }
            }
        }
        for (name, why) in leftovers {
            let path = self.path.join(name);
            self.disk.remove(&path)?;
            report.repairs.push((path, why.to_owned()));
        }
        // Names that were seen but not durable yet are from here on.
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

    /// Makes an empty vBucket.
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
            // Not there, or of no further use; opening the store removes it as well.
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
    /// [`EngineError::Disk`]: the file is still there, or the store is poisoned.
    pub(crate) fn remove(&mut self, vb: Vbid, vbucket: &VBucket) -> Result<(), EngineError> {
        self.settle(vb)?;
        let name = file_names::file(vb, self.revisions.get(&vb).copied().unwrap_or_default());
        vbucket.drop_with(|| self.remove_name(&name))?;
        self.sync()
    }

    /// Removes all revisions of a vBucket that can't be read.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: the newest revision is still there, or the store is poisoned.
    pub(crate) fn remove_unreadable(&self, vb: Vbid) -> Result<(), EngineError> {
        let newest = self.revisions.get(&vb).copied().unwrap_or_default();
        for name in self.disk.list(&self.path)? {
            if matches!(file_names::parse(&name), Name::File { vb: of, revision } if of == vb && revision != newest)
            {
                self.remove_name(&name)?;
            }
        }
        // Should the power fail, an older revision must not be what is left.
        self.sync()?;
        self.remove_name(&file_names::file(vb, newest))?;
        self.sync()
    }

    fn remove_name(&self, name: &str) -> Result<(), EngineError> {
        let path = self.path.join(name);
        let Err(error) = self.disk.remove(&path) else {
            return Ok(());
        };
        if error.kind == DiskErrorKind::TooManyFiles {
            // Its file could not be kept open, and has its name.
            return Err(error.into());
        }
        // A failed call may have been done all the same; without a name, writes to the file would be lost.
        match self.disk.list(&self.path) {
            Ok(names) if names.iter().any(|other| other == name) => Err(error.into()),
            Ok(_) => Ok(()),
            Err(_) => {
                self.shared.poison.set(&path);
                Err(error.into())
            }
        }
    }

    /// Makes names durable; poisons the store if that fails.
    fn sync(&self) -> Result<(), EngineError> {
        if fault::is(Fault::NamesAreNotSynced) {
            return Ok(());
        }
        self.shared.syncs.add(1);
        let synced = self.disk.sync_dir(&self.path);
        Ok(synced.inspect_err(|error| self.shared.poison.set_after(error, &self.path))?)
    }
}
