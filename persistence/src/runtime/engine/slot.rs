//! The open engine of a store, which is replaced after a failed sync or an internal error.
//!
//! While it is replaced, readers and the look-ups of writers use snapshots that were pinned before.
//! They have everything that was acknowledged; what was not is still in memory. A read that fails is
//! repeated if the engine was replaced meanwhile: the next one may write where the one before has read.
//!
//! # Invariants
//!
//! - R5. An engine is opened only after the one before it was closed, and by one thread at a time.
//!   Each opening has a number, so that a failure of an older engine reopens nothing.
//! - R6. A closed slot stays closed: no engine is opened after it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lowtide_checkpoint::internal::sync::Signal;
use lowtide_checkpoint::{Item, Key, Namespace, Vbid};

use super::open_engine::OpenEngine;
use crate::contract::{Engine, EngineError, RecoveryReport, Snapshot};
use crate::disk::Disk;
use crate::hosted::Backoff;
use crate::read_views::{ReadViews, whole_seqno};
use crate::runtime::error::StoreError;
use crate::runtime::report::health::{Health, HealthWatch};
use crate::sync::{RwLock, ranks};

/// The number of an opening.
pub(in crate::runtime) type Generation = u64;

#[derive(Debug)]
pub(in crate::runtime) struct EngineSlot {
    opener: Arc<dyn OpenEngine>,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    current: RwLock<Current>,
    health: Arc<HealthWatch>,
    /// Raised when the store is closed or dropped: an engine that cannot be opened by then is abandoned.
    give_up: Signal,
}

#[derive(Debug)]
struct Current {
    readable: Readable,
    generation: Generation,
    /// A thread replaces the engine.
    is_replaced: bool,
}

/// The source of reads now.
#[derive(Clone, Debug)]
enum Readable {
    Engine(Arc<dyn Engine>),
    /// The engine is being replaced.
    Pinned(Arc<BTreeMap<Vbid, Arc<dyn Snapshot>>>),
    Closed,
}

impl Current {
    /// Returns what tells the source of reads from those before it.
    fn source(&self) -> (Generation, std::mem::Discriminant<Readable>) {
        (self.generation, std::mem::discriminant(&self.readable))
    }
}

impl EngineSlot {
    /// Opens the engine for the first time.
    pub(in crate::runtime) fn open(
        opener: Arc<dyn OpenEngine>,
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        health: Arc<HealthWatch>,
    ) -> Result<(Self, RecoveryReport), EngineError> {
        let (engine, report) = opener.open(Arc::clone(&disk), &dir)?;
        let current = Current {
            readable: Readable::Engine(engine),
            generation: 1,
            is_replaced: false,
        };
        let slot = Self {
            opener,
            disk,
            dir,
            current: RwLock::new(ranks::ENGINE_SLOT, current),
            health,
            give_up: Signal::new(),
        };
        Ok((slot, report))
    }

    /// Returns the open engine and its number.
    ///
    /// # Errors
    /// [`StoreError::Reopening`] while it is replaced, [`StoreError::Closed`] afterwards.
    pub(in crate::runtime) fn engine(&self) -> Result<(Arc<dyn Engine>, Generation), StoreError> {
        let current = self.current.read();
        match &current.readable {
            Readable::Engine(engine) => Ok((Arc::clone(engine), current.generation)),
            Readable::Closed => Err(StoreError::Closed),
            Readable::Pinned(_) => {
                drop(current);
                Err(StoreError::Reopening {
                    reason: self.health.health().to_string(),
                })
            }
        }
    }

    /// Returns the newest persisted revision of a key.
    pub(in crate::runtime) fn get(
        &self,
        vb: Vbid,
        namespace: Namespace,
        key: &Key,
    ) -> Result<Option<Item>, StoreError> {
        self.read(
            |engine| engine.get(vb, namespace, key),
            |pinned| pinned.get(namespace, key),
            vb,
        )
    }

    /// Returns the vBucket as a reader may see it; `None` if it has half a snapshot only.
    pub(in crate::runtime) fn view(
        &self,
        vb: Vbid,
        views: &ReadViews,
    ) -> Result<Option<Arc<dyn Snapshot>>, StoreError> {
        self.read(
            |engine| views.view(engine, vb),
            |pinned| Ok(Some(Arc::clone(pinned)).filter(|pinned| is_whole(&**pinned))),
            vb,
        )
    }

    /// Pins the vBucket as it is on disk, be it half a snapshot.
    pub(in crate::runtime) fn snapshot(&self, vb: Vbid) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.read(
            |engine| engine.snapshot(vb).map(Arc::from),
            |pinned| Ok(Arc::clone(pinned)),
            vb,
        )
    }

    fn read<T>(
        &self,
        of_engine: impl Fn(&dyn Engine) -> Result<T, EngineError>,
        of_pinned: impl Fn(&Arc<dyn Snapshot>) -> Result<T, EngineError>,
        vb: Vbid,
    ) -> Result<T, StoreError> {
        loop {
            let current = self.current.read();
            let (readable, source) = (current.readable.clone(), current.source());
            drop(current);
            let result = match readable {
                Readable::Closed => return Err(StoreError::Closed),
                Readable::Pinned(pinned) => {
                    of_pinned(pinned.get(&vb).ok_or(StoreError::UnknownVBucket { vb })?)
                }
                Readable::Engine(engine) => of_engine(&*engine),
            };
            match result {
                Err(_) if self.current.read().source() != source => {}
                result => return Ok(result?),
            }
        }
    }

    /// Replaces the engine with the number `seen`, which failed for `reason`. Tries until it
    /// succeeds or the store stops. Only waits if another thread replaces it, and returns at once if
    /// it was replaced. Returns whether this thread replaced it; `begins` is called before.
    ///
    /// # Errors
    /// [`StoreError::Closed`] if the store stops.
    pub(in crate::runtime) fn reopen(
        &self,
        seen: Generation,
        reason: Arc<EngineError>,
        begins: impl FnOnce(&EngineError),
    ) -> Result<bool, StoreError> {
        match self.claim(seen, &reason)? {
            Claim::Mine(engine) => {
                begins(&reason);
                self.pin(&*engine)?;
                // Its acknowledged commits are safe whatever closing reports, and nothing else
                // counts.
                let _closed = engine.close();
                drop(engine);
                self.open_again().map(|()| true)
            }
            Claim::Another => self.await_replaced(seen).map(|()| false),
            Claim::Over => Ok(false),
        }
    }

    fn claim(&self, seen: Generation, reason: &Arc<EngineError>) -> Result<Claim, StoreError> {
        let mut current = self.current.write();
        let engine = match &current.readable {
            Readable::Closed => return Err(StoreError::Closed),
            _ if current.generation != seen => return Ok(Claim::Over),
            _ if current.is_replaced => return Ok(Claim::Another),
            Readable::Pinned(_) => return Ok(Claim::Another),
            Readable::Engine(engine) => Arc::clone(engine),
        };
        current.is_replaced = true;
        // Under the lock: who finds that it is replaced finds the reason.
        self.health.reopening(Arc::clone(reason));
        Ok(Claim::Mine(engine))
    }

    /// Puts snapshots in the place of the engine. A vBucket that cannot be read has none.
    fn pin(&self, engine: &dyn Engine) -> Result<(), StoreError> {
        let vbs = engine.vbuckets();
        let pinned = vbs.into_iter().filter_map(|vb| {
            let snapshot = engine.snapshot(vb).ok()?;
            Some((vb, Arc::from(snapshot)))
        });
        let pinned = Readable::Pinned(Arc::new(pinned.collect()));
        self.replace(pinned).map(drop)
    }

    /// Replaces what can be read, unless the slot was closed.
    fn replace(&self, readable: Readable) -> Result<Generation, StoreError> {
        let mut current = self.current.write();
        if matches!(current.readable, Readable::Closed) {
            return Err(StoreError::Closed);
        }
        if matches!(readable, Readable::Engine(_)) {
            current.generation += 1;
            current.is_replaced = false;
            self.health.reopened();
        }
        current.readable = readable;
        Ok(current.generation)
    }

    fn open_again(&self) -> Result<(), StoreError> {
        let mut backoff = Backoff::new();
        loop {
            match self.opener.open(Arc::clone(&self.disk), &self.dir) {
                Ok((engine, _)) => {
                    let replaced = self.replace(Readable::Engine(Arc::clone(&engine)));
                    if replaced.is_err() {
                        let _closed = engine.close();
                    }
                    return replaced.map(drop);
                }
                Err(error) => self.health.reopening(Arc::new(error)),
            }
            let pause = Duration::from_micros(backoff.failed());
            if self.give_up.wait_for(pause) {
                // No other thread will replace it: waiting for it ends.
                drop(self.close());
                return Err(StoreError::Closed);
            }
        }
    }

    /// Waits until another thread has replaced the engine with the number `seen`.
    fn await_replaced(&self, seen: Generation) -> Result<(), StoreError> {
        loop {
            let current = self.current.read();
            if matches!(current.readable, Readable::Closed) {
                return Err(StoreError::Closed);
            }
            if current.generation != seen {
                return Ok(());
            }
            drop(current);
            let is_over = |health: &Health| !matches!(health, Health::Reopening(_));
            self.health.wait(is_over, |signal| {
                signal.wait();
                true
            });
        }
    }

    /// Waits while another thread replaces the engine. Returns the number of the open one.
    ///
    /// # Errors
    /// [`StoreError::Closed`] if the store stops.
    pub(in crate::runtime) fn await_engine(&self) -> Result<Generation, StoreError> {
        loop {
            let current = self.current.read();
            let generation = current.generation;
            match current.readable {
                Readable::Engine(_) => return Ok(generation),
                Readable::Closed => return Err(StoreError::Closed),
                Readable::Pinned(_) => {}
            }
            drop(current);
            self.await_replaced(generation)?;
        }
    }

    /// Abandons an engine that cannot be opened again.
    pub(in crate::runtime) fn give_up(&self) {
        self.give_up.raise();
    }

    /// Takes the engine out for good. Returns it if it is open.
    pub(in crate::runtime) fn close(&self) -> Option<Arc<dyn Engine>> {
        let mut current = self.current.write();
        // Under the lock: who waits for the engine finds that there will be none.
        self.health.closed();
        match std::mem::replace(&mut current.readable, Readable::Closed) {
            Readable::Engine(engine) => Some(engine),
            Readable::Pinned(_) | Readable::Closed => None,
        }
    }
}

/// The thread that replaces an engine.
enum Claim {
    /// This thread.
    Mine(Arc<dyn Engine>),
    /// Another thread.
    Another,
    /// It was replaced before.
    Over,
}

fn is_whole(snapshot: &dyn Snapshot) -> bool {
    let high = snapshot.high();
    snapshot
        .state()
        .is_none_or(|state| whole_seqno(state, high) == high)
}

#[cfg(test)]
mod tests;
