//! The couchstore engine: one append-only file per vBucket, in the format of Couchbase's own library.
//!
//! In go batches, out come files that the vendor's tools read, and the other way round (format versions 11 to 14,
//! unencrypted; new files are version 14). Two copy-on-write b-trees index documents by key and by seqno, a third
//! holds local documents; a commit appends bodies, changed nodes and a header, and is durable after one sync. What
//! always holds is said where it is kept:
//!
//! | file | keeps |
//! |---|---|
//! | `writer` | nothing acknowledged is overwritten; failed commits are cut off |
//! | `recover` | what was acknowledged comes back, nothing else does |
//! | `find` | damage under an activated header is an error |
//! | `btree_modify` | trees have the vendor's shape |
//! | `btree_read` | damaged trees end in errors |
//! | `vbucket` | readers see whole, durable commits and never wait |
//! | `directory` | a vBucket is there as a whole or not at all |
//! | `check`, `survey` | damage anywhere is told, and the work goes on beside it |
//! | `document`, `rev_meta`, `vbstate` | items and states as the vendor stores them |

mod appender;
mod block;
mod btree_modify;
mod btree_read;
mod by_id;
mod by_seqno;
mod check;
mod checksum;
mod chunk;
mod couch_file;
mod directory;
mod doc_info;
mod document;
mod extents;
mod fields;
mod find;
mod header;
mod headers;
mod layout;
mod listing;
mod names;
mod node;
mod pointer;
mod read;
mod recover;
mod reduce;
mod rev_meta;
mod salvage;
mod shared;
mod snappy;
mod snapshot;
mod source;
mod survey;
mod tip;
mod vbstate;
mod vbucket;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use checkpoint::Vbid;
use parking_lot::{Mutex, RwLock};

use crate::disk::{Disk, DiskLock};
use crate::{Batch, Committed, Engine, EngineError, RecoveryReport, Snapshot, VBucketInfo};

pub use self::btree_read::NodeShape;
pub use self::check::{CheckObserver, CheckReport, Finding, FindingKind, Severity, check_file};
pub use self::couch_file::{CouchFile, HeaderInfo};
pub use self::doc_info::DocInfo;
pub use self::layout::{Cell, Layout, TreeLayout, Use};
pub use self::listing::{StoreFile, StoreListing, list_store, name_of_store_file};
pub use self::reduce::Tree;
pub use self::salvage::{Loss, SalvageObserver, Salvaged, salvage};

use self::directory::Directory;
use self::shared::Shared;
use self::snapshot::CouchSnapshot;
use self::vbucket::VBucket;

/// How a commit becomes durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommitMode {
    /// One sync; the header is activated after it, and that becomes durable with the next. Should the power fail
    /// before, the vendor's tools may miss the last commit until this engine has opened the file again. Commits over
    /// 4 MiB, and files older than version 14, take two syncs all the same.
    #[default]
    OneSync,
    /// Two syncs, as the vendor does: each acknowledged commit is there for the vendor's tools, too.
    TwoPhase,
}

/// How a store is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CouchstoreConfig {
    /// How a commit becomes durable. *Default*: [`CommitMode::OneSync`].
    pub commit: CommitMode,
}

/// A store of many vBuckets, each in a file of its own.
#[derive(Debug)]
pub struct Couchstore {
    shared: Arc<Shared>,
    vbuckets: RwLock<BTreeMap<Vbid, Arc<VBucket>>>,
    /// `None` once the store is closed. Taken before `vbuckets`.
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    directory: Directory,
    /// Held, not used.
    _lock: Box<dyn DiskLock>,
}

impl Couchstore {
    /// Opens the store in `dir`, which is made if need be, and repairs what a crash left behind.
    ///
    /// # Errors
    /// [`EngineError::Disk`], of kind `Locked` if the store is open elsewhere; [`EngineError::Corrupt`] or
    /// [`EngineError::Unsupported`] if a vBucket's file can't be read.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: CouchstoreConfig,
    ) -> Result<(Self, RecoveryReport), EngineError> {
        disk.create_dir(dir)?;
        let lock = disk.lock(dir)?;
        let shared = Arc::new(Shared::new(config));
        let mut directory = Directory::new(disk, dir, Arc::clone(&shared));
        let (vbuckets, report) = directory.open()?;
        let open = Mutex::new(Some(Open { directory, _lock: lock }));
        Ok((Self { shared, vbuckets: RwLock::new(vbuckets), open }, report))
    }

    fn vbucket(&self, vb: Vbid) -> Result<Arc<VBucket>, EngineError> {
        self.vbuckets.read().get(&vb).cloned().ok_or(EngineError::UnknownVBucket { vb })
    }
}

fn closed() -> EngineError {
    EngineError::InvalidArgument("the store is closed".to_owned())
}

impl Engine for Couchstore {
    fn name(&self) -> &'static str {
        "couchstore"
    }

    fn create(&self, vb: Vbid) -> Result<(), EngineError> {
        let mut open = self.open.lock();
        let open = open.as_mut().ok_or_else(closed)?;
        self.shared.check_poison()?;
        if self.vbuckets.read().contains_key(&vb) {
            return Err(EngineError::VBucketExists { vb });
        }
        let vbucket = open.directory.create(vb)?;
        self.vbuckets.write().insert(vb, vbucket);
        Ok(())
    }

    fn drop_vbucket(&self, vb: Vbid) -> Result<(), EngineError> {
        let open = self.open.lock();
        let open = open.as_ref().ok_or_else(closed)?;
        self.shared.check_poison()?;
        let vbucket = self.vbucket(vb)?;
        let removed = open.directory.remove(vb, &vbucket);
        if vbucket.is_dropped() {
            self.vbuckets.write().remove(&vb);
        }
        removed
    }

    fn vbuckets(&self) -> Vec<Vbid> {
        self.vbuckets.read().keys().copied().collect()
    }

    fn commit(&self, batches: &[Batch<'_>]) -> Vec<Result<Committed, EngineError>> {
        batches.iter().map(|batch| self.vbucket(batch.vb)?.commit(batch)).collect()
    }

    fn snapshot(&self, vb: Vbid) -> Result<Box<dyn Snapshot>, EngineError> {
        Ok(Box::new(CouchSnapshot(self.vbucket(vb)?.published())))
    }

    fn info(&self, vb: Vbid) -> Result<VBucketInfo, EngineError> {
        Ok(self.vbucket(vb)?.published().tip.info())
    }

    fn check(&self, vb: Vbid) -> Result<Vec<String>, EngineError> {
        let mut found: Vec<Finding> = Vec::new();
        check::check_tip(&self.vbucket(vb)?.published().tip, &mut found)?;
        Ok(found.iter().map(Finding::to_string).collect())
    }

    fn stats(&self) -> BTreeMap<&'static str, u64> {
        let vbuckets = self.vbuckets.read();
        let sum = |bytes: fn(&tip::Tip) -> u64| {
            vbuckets.values().fold(0_u64, |sum, vbucket| sum.saturating_add(bytes(&vbucket.published().tip)))
        };
        BTreeMap::from([
            ("bytes-written", self.shared.written_bytes.get()),
            ("commits", self.shared.commits.get()),
            ("documents-written", self.shared.documents.get()),
            ("file-bytes", sum(tip::Tip::file_bytes)),
            ("live-bytes", sum(tip::Tip::live_bytes)),
            ("syncs", self.shared.syncs.get()),
            ("vbuckets", vbuckets.len() as u64),
        ])
    }

    fn close(&self) -> Result<(), EngineError> {
        let Some(_open) = self.open.lock().take() else { return Ok(()) };
        let vbuckets = std::mem::take(&mut *self.vbuckets.write());
        // Every file gets its chance; the first failure is told.
        vbuckets.values().map(|vbucket| vbucket.close()).fold(Ok(()), Result::and)
    }
}
