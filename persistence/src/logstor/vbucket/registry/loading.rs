//! Loading of vBuckets, and gets that may do without it.
//!
//! # Invariants
//!
//! Segments are freed only after every vBucket is loaded that can be (L23): otherwise needed
//! records would be unknown.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lowtide_checkpoint::Vbid;

use super::super::vbucket_index::{Lookup, VBucketIndex};
use super::Registry;
use crate::contract::EngineError;
use crate::logstor::format::Fingerprint;
use crate::logstor::index::Slot;
use crate::logstor::log::Segment;

impl Registry {
    pub(super) fn load(&self, vbucket: &VBucketIndex) -> Result<(), EngineError> {
        vbucket.load(|segments| self.quarantine(vbucket.vb, segments))
    }

    /// Finds a key's newest record, and its segment, held so that it can be read. Loads the vBucket
    /// only if nothing else can tell.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`], [`EngineError::Disk`] or [`EngineError::Corrupt`].
    pub(in crate::logstor) fn newest(
        &self,
        vb: Vbid,
        of: Fingerprint,
    ) -> Result<Option<(Slot, Arc<Segment>)>, EngineError> {
        let vbucket = self.get(vb)?;
        let mut found = vbucket.newest(of)?;
        while let Lookup::Unknown = found {
            self.load(&vbucket)?;
            found = vbucket.newest(of)?;
        }
        Ok(match found {
            Lookup::Found(slot, segment) => Some((slot, segment)),
            Lookup::Absent | Lookup::Unknown => None,
        })
    }

    /// Loads a vBucket that is not loaded. Returns whether there was one. An unreadable one counts
    /// as loaded.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(in crate::logstor) fn load_one(&self) -> Result<bool, EngineError> {
        self.load_next(|vbucket| self.load(vbucket))
    }

    /// Same as [`Registry::load_one`], for a commit: it does not wait for another thread that loads
    /// the same vBucket.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(in crate::logstor) fn try_load_one(&self) -> Result<bool, EngineError> {
        self.load_next(|vbucket| vbucket.try_load(|segments| self.quarantine(vbucket.vb, segments)))
    }

    fn load_next(
        &self,
        load: impl FnOnce(&VBucketIndex) -> Result<(), EngineError>,
    ) -> Result<bool, EngineError> {
        if self.is_fully_loaded() {
            return Ok(false);
        }
        let vbuckets = self.vbuckets.read();
        let next = vbuckets.values().find(|vbucket| vbucket.is_lazy()).cloned();
        drop(vbuckets);
        match next.map(|vbucket| load(&vbucket)) {
            Some(Err(EngineError::Corrupt { .. }) | Ok(())) => Ok(true),
            Some(Err(error)) => Err(error),
            None => {
                self.is_fully_loaded.store(true, Ordering::Release);
                Ok(false)
            }
        }
    }

    /// Loads every vBucket.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(in crate::logstor) fn load_all(&self) -> Result<(), EngineError> {
        while self.load_one()? {}
        Ok(())
    }

    /// Returns whether every vBucket is loaded that can be.
    pub(in crate::logstor) fn is_fully_loaded(&self) -> bool {
        self.is_fully_loaded.load(Ordering::Acquire)
    }

    /// Returns the number of vBuckets that are left to load.
    pub(in crate::logstor) fn left_to_load(&self) -> usize {
        let vbuckets = self.vbuckets.read();
        vbuckets
            .values()
            .filter(|vbucket| vbucket.is_lazy())
            .count()
    }
}
