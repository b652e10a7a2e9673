//! The part of an import that changes the store: a vBucket is built under a reserved epoch, and
//! adopted when it is complete.
//!
//! # Invariants (L36)
//!
//! Records under an epoch that no vBucket has do not exist (L7). The epoch is reserved by an edit
//! of its own before, and is never used again, whatever becomes of the import.

use std::sync::Arc;

use lowtide_checkpoint::Vbid;

use super::Store;
use crate::contract::EngineError;
use crate::logstor::format::PurgedTombstones;
use crate::logstor::log::{Lineage, ManifestEdit};
use crate::logstor::vbucket::{Ancestors, InitialState, VBucketIndex};

impl Store {
    /// Reserves a vBucket for an import.
    ///
    /// # Errors
    /// [`EngineError::VBucketExists`], also while it is being imported; [`EngineError::Poisoned`].
    pub(in crate::logstor) fn begin_import(&self, vb: Vbid) -> Result<(), EngineError> {
        self.context.check_writable()?;
        let vbuckets = self.registry.vbuckets.read();
        let mut importing = self.registry.importing.lock();
        if vbuckets.contains_key(&vb) || importing.contains_key(&vb) {
            return Err(EngineError::VBucketExists { vb });
        }
        importing.insert(vb, None);
        Ok(())
    }

    /// Creates the index of a vBucket that is being imported, under a reserved epoch.
    ///
    /// # Errors
    /// Errors of an edit of the manifest.
    pub(in crate::logstor) fn create_hidden(
        &self,
        vb: Vbid,
        purged: &PurgedTombstones,
    ) -> Result<Arc<VBucketIndex>, EngineError> {
        let epoch = self.commits.with_commits_paused(|_| {
            let epoch = self.log.manifest.lock().catalog().next_epoch();
            self.log
                .edit(&ManifestEdit::Reserve { epoch })
                .map(|()| epoch)
        })?;
        let initial = InitialState {
            purged: Arc::new(purged.clone()),
            ..InitialState::default()
        };
        let log = Arc::clone(&self.log);
        let vbucket = Arc::new(VBucketIndex::new(
            vb,
            Lineage::of(epoch),
            log,
            Ancestors::default(),
            initial,
        ));
        let mut importing = self.registry.importing.lock();
        importing.insert(vb, Some(Arc::clone(&vbucket)));
        Ok(vbucket)
    }

    /// Adopts a vBucket that is complete.
    ///
    /// # Errors
    /// Errors of an edit of the manifest.
    pub(in crate::logstor) fn adopt(
        &self,
        vbucket: &Arc<VBucketIndex>,
        purged: &PurgedTombstones,
    ) -> Result<(), EngineError> {
        let vb = vbucket.vb;
        self.commits.with_commits_paused(|_| {
            self.log.edit(&ManifestEdit::Adopt {
                vb: vb.0,
                epoch: vbucket.epoch(),
                purged: purged.clone(),
            })?;
            // Under one lock, so that rewriting finds it in one of them.
            let mut vbuckets = self.registry.vbuckets.write();
            vbuckets.insert(vb, Arc::clone(vbucket));
            self.registry.importing.lock().remove(&vb);
            Ok(())
        })
    }

    /// Ends an import that failed or was dropped.
    pub(in crate::logstor) fn end_import(&self, vb: Vbid) {
        let vbucket = self.registry.importing.lock().remove(&vb);
        // The index releases its records outside the lock.
        drop(vbucket);
    }
}
