//! Bringing the index into memory, and onto the disk: what was put off when the store opened, and what will spare work when
//! it opens again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use lowtide_checkpoint::Vbid;

use super::Store;
use crate::contract::EngineError;
use crate::logstor::branch::{Branch, Lookup};
use crate::logstor::fingerprint::Fingerprint;
use crate::logstor::index::Slot;
use crate::logstor::segment::Segment;

impl Store {
    pub(super) fn load(&self, branch: &Branch) -> Result<(), EngineError> {
        branch.load(|segments| self.set_aside(branch.vb, segments))
    }

    /// A key's newest record, and the segment that is in, held so that it can be read. A branch that is not loaded is only
    /// loaded if nothing else can tell.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`], [`EngineError::Disk`] or [`EngineError::Corrupt`].
    pub(in crate::logstor) fn newest(
        &self,
        vb: Vbid,
        of: Fingerprint,
    ) -> Result<Option<(Slot, Arc<Segment>)>, EngineError> {
        let branch = self.branch_as_it_is(vb)?;
        let mut found = branch.newest(of)?;
        while let Lookup::Unknown = found {
            self.load(&branch)?;
            found = branch.newest(of)?;
        }
        Ok(match found {
            Lookup::Found(slot, segment) => Some((slot, segment)),
            Lookup::Absent | Lookup::Unknown => None,
        })
    }

    /// Segments with records of a vBucket that can't be read are nobody's to rewrite or free (L25).
    pub(in crate::logstor) fn set_aside(&self, vb: Vbid, segments: BTreeSet<u32>) {
        for &id in &segments {
            self.log.segments.claim(id, true);
        }
        self.aside.lock().insert(vb, segments);
    }

    /// The vBucket is no more.
    pub(super) fn take_back(&self, vb: Vbid) {
        let mut aside = self.aside.lock();
        let segments = aside.remove(&vb).unwrap_or_default();
        for id in segments {
            if aside.values().all(|others| !others.contains(&id)) {
                self.log.segments.claim(id, false);
            }
        }
    }

    /// Loads a branch that is not loaded; whether there was one. One that can't be read is none.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(in crate::logstor) fn load_one(&self) -> Result<bool, EngineError> {
        self.load_next(|branch| self.load(branch))
    }

    /// As [`Store::load_one`], for a commit: if somebody is loading that branch it does not wait for him.
    ///
    /// # Errors
    /// As there.
    pub(in crate::logstor) fn load_one_beside(&self) -> Result<bool, EngineError> {
        self.load_next(|branch| branch.load_beside(|segments| self.set_aside(branch.vb, segments)))
    }

    fn load_next(
        &self,
        load: impl FnOnce(&Branch) -> Result<(), EngineError>,
    ) -> Result<bool, EngineError> {
        if self.is_whole.load(Ordering::Acquire) {
            return Ok(false);
        }
        let next = self
            .registry
            .branches
            .read()
            .values()
            .find(|branch| branch.is_unloaded())
            .cloned();
        match next.map(|branch| load(&branch)) {
            Some(Err(EngineError::Corrupt { .. }) | Ok(())) => Ok(true),
            Some(Err(error)) => Err(error),
            None => {
                self.is_whole.store(true, Ordering::Release);
                Ok(false)
            }
        }
    }

    /// Loads every branch: whoever frees segments must know every record that is needed (L23).
    ///
    /// # Errors
    /// As [`Store::load_one`].
    pub(in crate::logstor) fn load_all(&self) -> Result<(), EngineError> {
        while self.load_one()? {}
        Ok(())
    }

    /// How many branches are to be loaded.
    pub(in crate::logstor) fn unloaded(&self) -> usize {
        self.registry
            .branches
            .read()
            .values()
            .filter(|branch| branch.is_unloaded())
            .count()
    }
}
