//! The rewriting jobs of a store: at most one for each vBucket, and one for the whole store.
//!
//! A job's round is kept here, and the job takes it for a step. So a commit that is short of space
//! can take the round away: what was copied counts, the victims are released, and the job chooses
//! others (L28).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use lowtide_checkpoint::Vbid;

use super::compaction::CompactionRound;
use crate::sync::{Mutex, ranks};

/// The round that a job is at.
pub(super) type RunningRound = Arc<Mutex<Option<CompactionRound>>>;

fn no_round() -> RunningRound {
    Arc::new(Mutex::new(ranks::RUNNING_ROUND, None))
}

/// Rewriting jobs by vBucket; `None` stands for the whole store.
#[derive(Debug)]
pub(in crate::logstor) struct RunningJobs(Mutex<BTreeMap<Option<Vbid>, RunningRound>>);

impl RunningJobs {
    pub(super) fn new() -> Self {
        Self(Mutex::new(ranks::RUNNING_JOBS, BTreeMap::new()))
    }

    /// Registers a job. `None` if there is one already.
    pub(super) fn register(&self, key: Option<Vbid>) -> Option<()> {
        match self.0.lock().entry(key) {
            Entry::Occupied(_) => None,
            Entry::Vacant(vacant) => {
                vacant.insert(no_round());
                Some(())
            }
        }
    }

    /// Returns the round of a job. `None` if no job is registered.
    pub(super) fn round(&self, key: Option<Vbid>) -> Option<RunningRound> {
        self.0.lock().get(&key).cloned()
    }

    /// Ends a job: what it copied is installed, and its victims are released, before another one
    /// can begin.
    pub(in crate::logstor) fn end(&self, key: Option<Vbid>) {
        // A job that failed to begin has no round yet.
        if let Some(round) = self.round(key) {
            *round.lock() = None;
        }
        self.0.lock().remove(&key);
    }

    /// Takes the rounds away from all jobs. Returns whether there was one.
    pub(super) fn abandon_rounds(&self) -> bool {
        let rounds: Vec<RunningRound> = self.0.lock().values().cloned().collect();
        // Copies are installed when a round is dropped.
        let abandoned = rounds
            .iter()
            .filter(|round| round.lock().take().is_some())
            .count();
        abandoned > 0
    }

    /// Overwrites with zeros what the jobs have read.
    #[cfg(test)]
    pub(in crate::logstor) fn lose_bytes(&self) {
        for round in self.0.lock().values() {
            round.lock().iter_mut().for_each(|round| round.lose_bytes());
        }
    }
}
