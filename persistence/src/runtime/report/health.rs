//! The health of a store: whether it writes, and if not, why.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use lowtide_checkpoint::internal::sync::Signal;

use crate::contract::EngineError;
use crate::sync::{Mutex, ranks};

/// The health of a store. Writes go on being taken in every state but the last, as long as memory
/// allows.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Health {
    /// Everything works.
    #[default]
    Serving,
    /// Writing to disk failed, and is tried again after a pause.
    Retrying(Failure),
    /// The engine is being reopened, because a sync failed or it had an internal error. It is tried
    /// again after a pause until it succeeds.
    Reopening(Failure),
    /// The store was closed or dropped.
    Closed,
}

/// A failure that a store is recovering from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The last error.
    pub reason: Arc<EngineError>,
    /// The number of failures in a row.
    pub failures: u32,
}

impl Health {
    /// Returns whether everything works.
    #[must_use]
    pub const fn is_serving(&self) -> bool {
        matches!(self, Self::Serving)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serving => f.write_str("serving"),
            Self::Retrying(Failure { reason, failures }) => {
                write!(f, "retrying after {failures} failures: {reason}")
            }
            Self::Reopening(Failure { reason, failures }) => {
                write!(f, "reopening after {failures} failures: {reason}")
            }
            Self::Closed => f.write_str("closed"),
        }
    }
}

/// The health of a store as its threads report it, and those that wait for a change.
#[derive(Debug)]
pub(in crate::runtime) struct HealthWatch(Mutex<Reported>);

#[derive(Debug, Default)]
struct Reported {
    /// The shards whose last flush failed.
    retrying: BTreeMap<usize, Failure>,
    reopening: Option<Failure>,
    is_closed: bool,
    waiters: Vec<Arc<Signal>>,
}

impl Reported {
    fn health(&self) -> Health {
        if self.is_closed {
            return Health::Closed;
        }
        if let Some(failure) = &self.reopening {
            return Health::Reopening(failure.clone());
        }
        let retrying = self.retrying.values().next();
        retrying.map_or(Health::Serving, |failure| Health::Retrying(failure.clone()))
    }
}

fn count(before: Option<&Failure>, reason: Arc<EngineError>) -> Failure {
    let failures = before.map_or(0, |failure| failure.failures);
    Failure {
        reason,
        // Only the first failures make a difference.
        failures: failures.saturating_add(1),
    }
}

impl HealthWatch {
    pub(in crate::runtime) fn new() -> Self {
        Self(Mutex::new(ranks::HEALTH, Reported::default()))
    }

    pub(in crate::runtime) fn health(&self) -> Health {
        self.0.lock().health()
    }

    /// Waits until `is_reached`, and returns the health then. `sleep` waits for the signal, and
    /// returns whether to go on waiting.
    pub(in crate::runtime) fn wait(
        &self,
        is_reached: impl Fn(&Health) -> bool,
        sleep: impl Fn(&Signal) -> bool,
    ) -> Health {
        let signal = Arc::new(Signal::new());
        let mut is_last = false;
        loop {
            let mut reported = self.0.lock();
            let health = reported.health();
            if is_last || is_reached(&health) {
                return health;
            }
            signal.lower();
            reported.waiters.push(Arc::clone(&signal));
            drop(reported);
            is_last = !sleep(&signal);
        }
    }

    /// Reports a failed flush of a shard.
    pub(in crate::runtime) fn flush_failed(&self, shard: usize, reason: Arc<EngineError>) {
        self.change(|reported| {
            let failure = count(reported.retrying.get(&shard), reason);
            reported.retrying.insert(shard, failure);
        });
    }

    /// Reports that a shard's flush succeeded.
    pub(in crate::runtime) fn flushed(&self, shard: usize) {
        self.change_if(|reported| reported.retrying.remove(&shard).is_some());
    }

    /// Reports that the engine is to be reopened, or that this failed.
    pub(in crate::runtime) fn reopening(&self, reason: Arc<EngineError>) {
        self.change(|reported| {
            reported.reopening = Some(count(reported.reopening.as_ref(), reason));
        });
    }

    /// Reports that the engine was reopened. Its shards' failures were those of the old one.
    pub(in crate::runtime) fn reopened(&self) {
        self.change(|reported| {
            reported.reopening = None;
            reported.retrying.clear();
        });
    }

    pub(in crate::runtime) fn closed(&self) {
        self.change(|reported| reported.is_closed = true);
    }

    fn change(&self, change: impl FnOnce(&mut Reported)) {
        self.change_if(|reported| {
            change(reported);
            true
        });
    }

    fn change_if(&self, change: impl FnOnce(&mut Reported) -> bool) {
        let mut reported = self.0.lock();
        let woken = if change(&mut reported) {
            std::mem::take(&mut reported.waiters)
        } else {
            Vec::new()
        };
        drop(reported);
        woken.iter().for_each(|signal| signal.raise());
    }
}
