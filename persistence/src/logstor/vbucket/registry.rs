//! The vBuckets of a store: those that serve, those being imported, and retired ones that are still
//! read.
//!
//! It knows no job and no store. A round of rewriting holds the registry, so nothing that the store
//! holds leads back to the store (L45).

mod loading;
mod quarantine;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use lowtide_checkpoint::Vbid;
use lowtide_checkpoint::internal::Invariant;

use super::vbucket_index::{Ancestors, InitialState, VBucketIndex};
use crate::contract::EngineError;
use crate::logstor::log::Log;
use crate::sync::{Mutex, RwLock, ranks};

/// vBuckets by the epochs of their records.
pub(in crate::logstor) type ByEpoch = BTreeMap<u32, Vec<Arc<VBucketIndex>>>;

/// The vBuckets of one store.
#[derive(Debug)]
pub(in crate::logstor) struct Registry {
    pub(in crate::logstor) log: Arc<Log>,
    pub(in crate::logstor) vbuckets: RwLock<BTreeMap<Vbid, Arc<VBucketIndex>>>,
    /// vBuckets that are being imported; without an index before the first piece.
    pub(in crate::logstor) importing: Mutex<BTreeMap<Vbid, Option<Arc<VBucketIndex>>>>,
    /// Indexes that are not written any more, and may still be read.
    retired: Mutex<Vec<Weak<VBucketIndex>>>,
    /// Written by a rollback, so that no record moves while it determines their locations.
    pub(in crate::logstor) relocating: RwLock<()>,
    /// Segments with records of unreadable vBuckets, which are claimed.
    quarantined: Mutex<BTreeMap<Vbid, BTreeSet<u32>>>,
    /// Every vBucket is loaded that can be.
    is_fully_loaded: AtomicBool,
}

impl Registry {
    pub(in crate::logstor) fn new(
        log: Arc<Log>,
        vbuckets: BTreeMap<Vbid, Arc<VBucketIndex>>,
    ) -> Self {
        Self {
            log,
            vbuckets: RwLock::new(ranks::REGISTRY, vbuckets),
            importing: Mutex::new(ranks::IMPORTING, BTreeMap::new()),
            retired: Mutex::new(ranks::RETIRED, Vec::new()),
            relocating: RwLock::new(ranks::RELOCATING, ()),
            quarantined: Mutex::new(ranks::QUARANTINED, BTreeMap::new()),
            is_fully_loaded: AtomicBool::new(false),
        }
    }

    /// Returns a vBucket, loaded or not.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`].
    pub(in crate::logstor) fn get(&self, vb: Vbid) -> Result<Arc<VBucketIndex>, EngineError> {
        self.vbuckets
            .read()
            .get(&vb)
            .cloned()
            .ok_or(EngineError::UnknownVBucket { vb })
    }

    /// Returns a vBucket, loaded.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`], [`EngineError::Disk`] or [`EngineError::Corrupt`].
    pub(in crate::logstor) fn loaded(&self, vb: Vbid) -> Result<Arc<VBucketIndex>, EngineError> {
        let vbucket = self.get(vb)?;
        self.load(&vbucket)?;
        Ok(vbucket)
    }

    /// Returns the index that commits to a vBucket go to, also during its import.
    pub(in crate::logstor) fn writable(&self, vb: Vbid) -> Option<Arc<VBucketIndex>> {
        let vbucket = self.vbuckets.read().get(&vb).cloned();
        vbucket.or_else(|| self.importing.lock().get(&vb).cloned().flatten())
    }

    pub(in crate::logstor) fn contains(&self, vb: Vbid) -> bool {
        self.vbuckets.read().contains_key(&vb) || self.importing.lock().contains_key(&vb)
    }

    /// Installs the index of a vBucket as the manifest has it now. `before` is the index it was
    /// rolled back from, and the seqno it was rolled back to.
    ///
    /// # Errors
    /// [`EngineError::Internal`] if the manifest does not have the vBucket.
    pub(in crate::logstor) fn install(
        &self,
        vb: Vbid,
        before: Option<(&Arc<VBucketIndex>, u64)>,
        initial: InitialState,
    ) -> Result<(), EngineError> {
        let manifest = self.log.manifest.lock();
        let entry = manifest.catalog().vbuckets.get(&vb.0).cloned();
        drop(manifest);
        let entry = entry
            .invariant("L6", "an edit that was made is in the catalog")
            .map_err(|violation| self.log.context.internal(violation))?;
        let ancestors = before.map_or_else(Ancestors::default, |(vbucket, high)| {
            vbucket.ancestors_of_branch(high)
        });
        let log = Arc::clone(&self.log);
        let vbucket = Arc::new(VBucketIndex::new(
            vb,
            entry.lineage,
            log,
            ancestors,
            initial,
        ));
        let mut vbuckets = self.vbuckets.write();
        if let Some(old) = vbuckets.insert(vb, vbucket) {
            self.retire(&old);
        }
        Ok(())
    }

    /// Removes a vBucket that the manifest has no more.
    pub(in crate::logstor) fn remove(&self, vbucket: &Arc<VBucketIndex>) {
        let mut vbuckets = self.vbuckets.write();
        vbuckets.remove(&vbucket.vb);
        self.retire(vbucket);
        drop(vbuckets);
        self.release_quarantine(vbucket.vb);
    }

    /// Called under the lock of `vbuckets`, so that [`Registry::by_epoch`] finds the index in one
    /// of them.
    fn retire(&self, vbucket: &Arc<VBucketIndex>) {
        self.retired.lock().push(Arc::downgrade(vbucket));
    }

    /// Returns all indexes, retired ones included, by the epochs of their records.
    pub(in crate::logstor) fn by_epoch(&self) -> ByEpoch {
        let mut by_epoch = ByEpoch::new();
        let vbuckets = self.vbuckets.read();
        let mut all: Vec<_> = vbuckets.values().cloned().collect();
        // Under the same lock: one that was imported is in one of them.
        all.extend(self.importing.lock().values().flatten().cloned());
        drop(vbuckets);
        let mut retired = self.retired.lock();
        retired.retain(|vbucket| vbucket.strong_count() > 0);
        all.extend(retired.iter().filter_map(Weak::upgrade));
        drop(retired);
        for vbucket in all {
            for epoch in vbucket.lineage.epochs() {
                by_epoch
                    .entry(epoch)
                    .or_default()
                    .push(Arc::clone(&vbucket));
            }
        }
        by_epoch
    }

    /// Forgets all vBuckets, when the store is closed.
    pub(in crate::logstor) fn clear(&self) {
        self.vbuckets.write().clear();
    }
}
