//! The store: opening it with its threads, closing it, and dropping it.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use lowtide_checkpoint::{Quota, Seqno, State, Vbid};

use super::command::Command;
use super::engine::orderly_stop;
use super::engine::slot::EngineSlot;
use super::error::StoreError;
use super::host::until;
use super::opening::{OpenReport, Opened};
use super::options::StoreOptions;
use super::report::health::{Health, HealthWatch};
use super::report::observer::StoreEvent;
use super::shared::{Shared, SharedParts};
use super::threads;
use crate::contract::{Engine, EngineError, RecoveryReport};
use crate::hosted::CacheBudget;
use crate::hosted::FlushShard;
use crate::sync::{Mutex, ranks};

/// A store of documents with its threads: writes are taken at once, become durable in the background,
/// and are followed by readers.
///
/// ```
/// use lowtide_persistence::{Store, StoreError, StoreOptions};
/// use lowtide_checkpoint::Vbid;
///
/// # fn main() -> Result<(), StoreError> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let path = dir.path().join("store");
/// let options = StoreOptions::logstor([7, 11]).with_vbuckets(64);
/// let store = Store::open(path, options)?;
/// let write = store.set(Vbid(3), "apple", "1")?;
/// write.wait_persisted()?;
/// let apple = store.get(Vbid(3), "apple")?.expect("just written");
/// assert_eq!(&apple.value[..], b"1");
/// store.close().expect("a working disk");
/// # Ok(())
/// # }
/// ```
///
/// Dropping a store without [`Store::close`] is a crash: what was acknowledged as persisted is safe,
/// and the rest may be lost. Its threads have ended when `drop` returns.
#[derive(Debug)]
pub struct Store {
    pub(super) shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    report: OpenReport,
}

/// The changes that could not be made durable when a store was closed.
#[derive(Debug, thiserror::Error)]
#[error("{} vBuckets could not be flushed, and the store was not closed in order: {}", .unflushed.len(), reason(.failure))]
#[non_exhaustive]
pub struct CloseError {
    /// The vBuckets with changes that are lost.
    pub unflushed: Vec<Unflushed>,
    /// The last failure; `None` if the engine was being reopened, or a flusher had ended before.
    pub failure: Option<Arc<EngineError>>,
}

fn reason(failure: &Option<Arc<EngineError>>) -> String {
    failure.as_ref().map_or_else(
        || "the engine was not open, or its flusher had ended".to_owned(),
        |failure| failure.to_string(),
    )
}

/// A vBucket that could not be flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unflushed {
    /// The vBucket.
    pub vb: Vbid,
    /// Everything up to this seqno is durable.
    pub persisted: Seqno,
    /// Changes up to this seqno were taken.
    pub high: Seqno,
}

impl Store {
    /// Opens the store in a directory, or makes one, and starts its threads.
    ///
    /// Every vBucket of the engine comes back in its state. If the store was not closed in order,
    /// each active begins a branch, because followers may have more than its disk.
    ///
    /// # Errors
    /// [`StoreError::Engine`] if the engine cannot be opened, or another process has the directory.
    /// [`StoreError::InvalidOption`], [`StoreError::Thread`]. A vBucket that cannot be read is no
    /// error: [`Store::report`] lists it.
    pub fn open(path: impl Into<PathBuf>, options: StoreOptions) -> Result<Self, StoreError> {
        if options.flushers == 0 {
            return Err(StoreError::InvalidOption(
                "a store needs at least one flusher",
            ));
        }
        let dir = path.into();
        let quota = Quota::new(options.quota).map_err(|_| {
            StoreError::InvalidOption("the quota's marks must be in order and its limits above 0")
        })?;
        options.disk.create_dir(&dir)?;
        let health = Arc::new(HealthWatch::new());
        let disk = Arc::clone(&options.disk);
        let (slot, recovery) =
            EngineSlot::open(options.engine, disk, dir.clone(), Arc::clone(&health))?;
        let (engine, _) = slot.engine()?;
        let was_orderly = orderly_stop::take(&*options.disk, &dir)?;
        let cache = CacheBudget::with_seed(options.cache_bytes, options.host.draw_uuid());
        let shared = Shared::new(SharedParts {
            dir,
            disk: options.disk,
            host: options.host,
            slot,
            limits: engine.capabilities().limits,
            needs_filters: engine.capabilities().reads_for_absent_keys,
            flushers: options.flushers,
            quota,
            cache,
            health,
            upkeep_budget: options.upkeep_budget,
            observer: options.observer,
        });
        let mut opening = Opening {
            shared: &shared,
            shards: (0..options.flushers)
                .map(|_| FlushShard::new(options.flush_limit))
                .collect(),
            unreadable: Vec::new(),
        };
        opening.restore_all(&*engine, was_orderly, options.vbuckets)?;
        opening.create_missing(&*engine, options.vbuckets)?;
        let Opening {
            shards, unreadable, ..
        } = opening;
        drop(engine);
        Self::start(shared, shards, was_orderly, unreadable, recovery)
    }

    fn start(
        shared: Arc<Shared>,
        shards: Vec<FlushShard>,
        was_orderly: bool,
        unreadable: Vec<(Vbid, EngineError)>,
        recovery: RecoveryReport,
    ) -> Result<Self, StoreError> {
        let store = Self {
            shared,
            threads: Mutex::new(ranks::THREADS, Vec::new()),
            report: OpenReport {
                was_orderly,
                unreadable,
                recovery,
            },
        };
        let keep = |thread| store.threads.lock().push(thread);
        // A store that is only half started is dropped, which ends the threads that run.
        for (number, shard) in shards.into_iter().enumerate() {
            let run = move |shared: &Shared| threads::flush::run(shared, number, shard);
            keep(threads::start(
                &format!("flush-{number}"),
                &store.shared,
                run,
            )?);
        }
        keep(threads::start(
            "upkeep",
            &store.shared,
            threads::upkeep::run,
        )?);
        keep(threads::start(
            "memory",
            &store.shared,
            threads::memory::run,
        )?);
        if store.shared.needs_filters {
            keep(threads::start(
                "filters",
                &store.shared,
                threads::filters::run,
            )?);
            store.shared.filters_due.raise();
        }
        Ok(store)
    }

    /// Returns the findings of opening.
    #[must_use]
    pub fn report(&self) -> &OpenReport {
        &self.report
    }

    /// Returns the health.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.health.health()
    }

    /// Waits until the health is as wanted. Returns the health then, which is another one only after
    /// `timeout`.
    pub fn wait_for_health(
        &self,
        is_wanted: impl Fn(&Health) -> bool,
        timeout: Duration,
    ) -> Health {
        let sleep = until(timeout);
        self.shared.health.wait(is_wanted, sleep)
    }

    /// Waits until writes are taken again after [`StoreError::NoMemory`]. Returns whether they are.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub fn wait_for_memory(&self, timeout: Duration) -> Result<bool, StoreError> {
        self.shared.wait_for_memory(until(timeout))
    }

    /// Flushes everything and stops. A flush that fails is tried once more, on a reopened engine if it
    /// must be. Writes and followers end with [`StoreError::Closed`]. The next
    /// opening needs no branches. Closing again does nothing.
    ///
    /// # Errors
    /// [`CloseError`]: the changes that are lost, and why. The store is closed nevertheless.
    pub fn close(&self) -> Result<(), CloseError> {
        if !self.shared.close_gate() {
            return Ok(());
        }
        self.shared.slot.give_up();
        let failure = self.drain();
        let unflushed = self.unflushed();
        self.stop_threads();
        self.shared.end_waiting();
        self.shared.observe(&StoreEvent::Closed);
        let engine = self.shared.slot.close();
        let closed = failure.and_then(|()| {
            // An engine that could not be opened again does not hold the directory: another store may.
            let engine = engine
                .as_ref()
                .filter(|_| unflushed.is_empty())
                .ok_or(None)?;
            let marked = orderly_stop::write(&*self.shared.disk, &self.shared.dir);
            marked.map_err(|error| Some(Arc::new(error.into())))?;
            engine.close().map_err(|error| Some(Arc::new(error)))
        });
        closed.map_err(|failure| CloseError { unflushed, failure })
    }

    /// Has every flusher flush everything and end. Returns the last failure.
    fn drain(&self) -> Result<(), Option<Arc<EngineError>>> {
        let answers: Vec<_> = self
            .shared
            .inboxes
            .iter()
            .map(|inbox| {
                let (done, answer) = crossbeam_channel::bounded(1);
                inbox.send(Command::Drain { done });
                answer
            })
            .collect();
        let mut drained = Ok(());
        for answer in answers {
            match answer.recv() {
                Ok(None) => {}
                Ok(failure @ Some(_)) => drained = Err(failure),
                // The flusher had ended.
                Err(_) => drained = drained.and(Err(None)),
            }
        }
        drained
    }

    fn unflushed(&self) -> Vec<Unflushed> {
        let partitions = self.shared.partitions.all();
        let unflushed = partitions.iter().map(|partition| Unflushed {
            vb: partition.id(),
            persisted: partition.persisted.reached(),
            high: partition.vbucket.high_seqno(),
        });
        unflushed.filter(|one| one.persisted < one.high).collect()
    }

    fn stop_threads(&self) {
        self.shared.stop.raise();
        self.shared.slot.give_up();
        self.shared.upkeep_due.raise();
        self.shared.memory_due.raise();
        self.shared.filters_due.raise();
        for inbox in &self.shared.inboxes {
            inbox.send(Command::Stop);
        }
        for thread in std::mem::take(&mut *self.threads.lock()) {
            // A thread that panicked has woken all that wait.
            let _ended = thread.join();
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let was_open = self.shared.close_gate();
        self.stop_threads();
        self.shared.end_waiting();
        if was_open {
            self.shared.observe(&StoreEvent::Closed);
        }
        // The last user of the engine closes its files.
        drop(self.shared.slot.close());
    }
}

/// A store that is being opened.
struct Opening<'a> {
    shared: &'a Shared,
    shards: Vec<FlushShard>,
    unreadable: Vec<(Vbid, EngineError)>,
}

impl Opening<'_> {
    fn restore_all(
        &mut self,
        engine: &dyn Engine,
        was_orderly: bool,
        wanted: u16,
    ) -> Result<(), StoreError> {
        for vb in engine.vbuckets() {
            let views = self.views(vb);
            match self.shared.restore(engine, vb, was_orderly, views) {
                Ok(Some(opened)) => self.add(opened),
                Ok(None) if vb.0 < wanted => {}
                Ok(None) => engine.drop_vbucket(vb)?,
                Err(StoreError::Engine(error)) => self.unreadable.push((vb, error)),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn create_missing(&mut self, engine: &dyn Engine, wanted: u16) -> Result<(), StoreError> {
        for vb in (0..wanted).map(Vbid) {
            let is_unreadable = self.unreadable.iter().any(|&(there, _)| there == vb);
            if is_unreadable || self.shared.partitions.get(vb).is_some() {
                continue;
            }
            let views = self.views(vb);
            let opened = self.shared.create(engine, vb, State::Active, views)?;
            self.add(opened);
        }
        Ok(())
    }

    fn views(&self, vb: Vbid) -> crate::read_views::ReadViews {
        let shard = self.shards.get(self.shared.shard_of(vb));
        shard.map_or_else(Default::default, |shard| shard.views().clone())
    }

    fn add(&mut self, opened: Opened) {
        let Opened {
            partition,
            state,
            high,
        } = opened;
        let vb = partition.id();
        if let Some(shard) = self.shards.get_mut(partition.shard) {
            shard.attach(vb, state, high);
            // A branch that was begun is flushed even if nothing is written.
            let _became_due = shard.queued(vb);
        }
        self.shared.partitions.insert(partition);
    }
}
