//! The branches of a store: what serves now, what is being imported, and what is past and still read. A lookup by epoch goes
//! in; the branches that may name a record of that epoch come out.
//!
//! Always: it knows no job and no store. A round of rewriting holds the registry and never the store, so that nothing that
//! the store holds leads back to it (L45).

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use lowtide_checkpoint::Vbid;

use crate::sync::{Mutex, RwLock};

use super::branch::Branch;
use super::log::Log;

/// Branches, by the epochs of their records.
pub(super) type ByEpoch = BTreeMap<u32, Vec<Arc<Branch>>>;

/// The branches of one store.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) log: Arc<Log>,
    pub(super) branches: RwLock<BTreeMap<Vbid, Arc<Branch>>>,
    /// vBuckets that are being imported; a branch once there is one.
    pub(super) importing: Mutex<BTreeMap<Vbid, Option<Arc<Branch>>>>,
    /// Branches that nobody writes any more, and somebody may still read.
    past: Mutex<Vec<Weak<Branch>>>,
    /// Held by a rollback, so that no record gets another place while it looks where they are.
    pub(super) relocating: RwLock<()>,
}

impl Registry {
    pub(super) fn new(log: Arc<Log>, branches: BTreeMap<Vbid, Arc<Branch>>) -> Self {
        Self {
            log,
            branches: RwLock::new(branches),
            importing: Mutex::default(),
            past: Mutex::default(),
            relocating: RwLock::new(()),
        }
    }

    /// The branches there are, by the epochs of their records.
    pub(super) fn by_epoch(&self) -> ByEpoch {
        let mut by_epoch = ByEpoch::new();
        let branches = self.branches.read();
        let mut current: Vec<_> = branches.values().cloned().collect();
        // Under the same lock: one that has come is in one of them.
        current.extend(self.importing.lock().values().flatten().cloned());
        drop(branches);
        let mut past = self.past.lock();
        past.retain(|branch| branch.strong_count() > 0);
        for branch in current
            .into_iter()
            .chain(past.iter().filter_map(Weak::upgrade))
        {
            for epoch in branch.lineage.epochs() {
                by_epoch.entry(epoch).or_default().push(Arc::clone(&branch));
            }
        }
        by_epoch
    }

    /// Nobody writes the branch any more.
    pub(super) fn is_past(&self, branch: &Arc<Branch>) {
        self.past.lock().push(Arc::downgrade(branch));
    }
}
