//! A flusher thread: the host of one [`FlushShard`].
//!
//! It owns its vBuckets' place in the engine: besides flushes it runs the engine calls that change
//! one of them, one after the other. So no flush meets a vBucket that is being rolled back or
//! dropped.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use lowtide_checkpoint::internal::sync::Signal;
use lowtide_checkpoint::{CheckpointError, Seqno, State, VBucket, Vbid};

use crate::contract::EngineError;
use crate::flusher::{Flushed, Persisted};
use crate::hosted::waiting::inbox::Mail;
use crate::hosted::waiting::persisted::WaitEnd;
use crate::hosted::{Backoff, FlushNext, FlushShard};
use crate::runtime::command::{Command, OrElse};
use crate::runtime::engine::slot::Generation;
use crate::runtime::error::StoreError;
use crate::runtime::host::micros_since;
use crate::runtime::partition::Partition;
use crate::runtime::report::observer::StoreEvent;
use crate::runtime::shared::Shared;

/// Whether the thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goes {
    On,
    Ends,
}

/// The thread of a shard, between two turns of its loop.
struct FlusherThread<'a> {
    shared: &'a Shared,
    number: usize,
    shard: FlushShard,
    /// The engine that the shard's vBuckets are attached to.
    generation: Generation,
    /// No flush begins before.
    paused_until: Option<Instant>,
    /// Set while the store closes.
    draining: Option<Sender<Option<Arc<EngineError>>>>,
    last_failure: Option<Arc<EngineError>>,
}

pub(in crate::runtime) fn run(shared: &Shared, number: usize, shard: FlushShard) {
    let _ending = Ending { shared, number };
    let mut thread = FlusherThread {
        shared,
        number,
        shard,
        generation: 1,
        paused_until: None,
        draining: None,
        last_failure: None,
    };
    while thread.turn() == Goes::On {}
}

/// Ends the inbox with the thread, however it ends. After a panic nothing more is persisted.
struct Ending<'a> {
    shared: &'a Shared,
    number: usize,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if let Some(inbox) = self.shared.inboxes.get(self.number) {
            inbox.end();
        }
        if std::thread::panicking() {
            self.shared.health.closed();
            self.shared.end_waiting();
        }
    }
}

impl FlusherThread<'_> {
    fn turn(&mut self) -> Goes {
        let Some(inbox) = self.shared.inboxes.get(self.number) else {
            return Goes::Ends;
        };
        let is_ready = self.is_ready();
        let mail = match self.paused_until {
            _ if is_ready => inbox.take(),
            None => inbox.take_or_wait(wait),
            Some(until) => inbox.take_or_wait(|signal| {
                let left = until.saturating_duration_since(Instant::now());
                !left.is_zero() && signal.wait_for(left)
            }),
        };
        if self.receive(mail) == Goes::Ends {
            return Goes::Ends;
        }
        if self.is_ready() {
            match self.flush() {
                Ok(()) => {}
                Err(StoreError::Closed) => return Goes::Ends,
                Err(StoreError::Engine(error)) => self.failed(error, Backoff::PAUSE_MICROS_MAX),
                Err(error) => {
                    let error = EngineError::InvalidArgument(error.to_string());
                    self.failed(error, Backoff::PAUSE_MICROS_MAX);
                }
            }
        }
        self.finish_draining()
    }

    /// Returns whether there is something to do now: a flush, or attaching to a reopened engine.
    fn is_ready(&mut self) -> bool {
        self.paused_until.take_if(|until| *until <= Instant::now());
        let is_due = self.shard.is_due() || self.shard.reopen_is_due();
        is_due && self.paused_until.is_none()
    }

    fn receive(&mut self, mail: Mail<Command>) -> Goes {
        for vb in mail.dirty {
            let Some(partition) = self.shared.partitions.get(vb) else {
                continue;
            };
            partition.dirty.clear();
            // The turn looks whether a flush is due.
            let _became_due = self.shard.queued(vb);
        }
        for command in mail.commands {
            if self.execute(command) == Goes::Ends {
                return Goes::Ends;
            }
        }
        Goes::On
    }

    fn execute(&mut self, command: Command) -> Goes {
        // An answer whose receiver is gone is dropped.
        match command {
            Command::Create { vb, state, done } => {
                let _sent = done.send(self.create_vbucket(vb, state));
            }
            Command::Drop { vb, done } => {
                let _sent = done.send(self.drop_vbucket(vb));
            }
            Command::Rollback {
                partition,
                to,
                or_else,
                done,
            } => {
                let _sent = done.send(self.roll_back(&partition, to, or_else));
            }
            Command::Drain { done } => {
                // What failed before is tried once more, now.
                self.last_failure = None;
                self.paused_until = None;
                self.draining = Some(done);
            }
            Command::Stop => return Goes::Ends,
        }
        Goes::On
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let shared = self.shared;
        let (engine, generation) = match shared.slot.engine() {
            Ok(open) => open,
            Err(StoreError::Reopening { .. }) => return shared.slot.await_engine().map(drop),
            Err(error) => return Err(error),
        };
        if generation != self.generation || self.shard.reopen_is_due() {
            self.attach_again(generation)?;
        }
        let begun = self
            .shard
            .begin(|vb| shared.partitions.get(vb).map(Flushing));
        let Some(group) = begun.map_err(of_manager)? else {
            return Ok(());
        };
        let vbuckets = group.vbuckets().count();
        let begun = Instant::now();
        let committed = group.commit(&*engine, shared.host.now_nanos());
        let commit_micros = micros_since(begun);
        let items = committed.items();
        let outcome = self.shard.finish(committed).map_err(of_manager)?;
        let mut failure = None;
        for Flushed { vb, result } in outcome.flushed {
            match result {
                Ok(persisted) => self.persisted(vb, &persisted),
                Err(error) => failure = Some(error),
            }
        }
        if failure.is_none() {
            shared.observe(&StoreEvent::Flushed {
                flusher: self.number,
                vbuckets,
                items,
                commit_micros,
            });
        }
        shared.upkeep_due.raise();
        shared.flushed();
        self.proceed(outcome.next, failure, generation)
    }

    /// Acts on the end of a flush.
    fn proceed(
        &mut self,
        next: FlushNext,
        failure: Option<EngineError>,
        generation: Generation,
    ) -> Result<(), StoreError> {
        let Some(error) = failure else {
            self.last_failure = None;
            self.shared.health.flushed(self.number);
            return Ok(());
        };
        // A store that closes reports what failed.
        if next == FlushNext::Reopen && self.draining.is_none() {
            // The next turn attaches to the new one.
            return self.shared.reopen(generation, error);
        }
        let pause_micros = match next {
            FlushNext::After { pause_micros } => pause_micros,
            _ => Backoff::PAUSE_MICROS_MAX,
        };
        self.failed(error, pause_micros);
        Ok(())
    }

    /// Reports a failure, and pauses.
    fn failed(&mut self, error: EngineError, pause_micros: u64) {
        self.shared.observe(&StoreEvent::FlushFailed {
            flusher: self.number,
            error: &error,
        });
        let error = Arc::new(error);
        self.last_failure = Some(Arc::clone(&error));
        self.shared.health.flush_failed(self.number, error);
        self.paused_until = Instant::now().checked_add(Duration::from_micros(pause_micros));
    }

    /// Attaches every vBucket to a reopened engine. What it has more than was acknowledged is not
    /// written again.
    fn attach_again(&mut self, generation: Generation) -> Result<(), StoreError> {
        self.shard.views().forget_all();
        for partition in self.shared.partitions.all() {
            if partition.shard != self.number {
                continue;
            }
            let vb = partition.id();
            match self.shared.slot.snapshot(vb) {
                Ok(snapshot) => {
                    let state = snapshot.state().cloned();
                    self.shard.attach_again(vb, state, snapshot.high());
                }
                Err(StoreError::Closed) => return Err(StoreError::Closed),
                // Its flush will report why it cannot be read.
                Err(_) => {}
            }
        }
        self.generation = generation;
        let _became_due = self.shard.reopened();
        self.shared.followers.wake();
        Ok(())
    }

    /// Reports what is durable to readers and waiters.
    fn persisted(&self, vb: Vbid, persisted: &Persisted) {
        let Some(partition) = self.shared.partitions.get(vb) else {
            return;
        };
        self.shared.documents_persisted(&partition, persisted.seqno);
        partition.persisted.advance(persisted.seqno);
        partition.vbucket.manager().expel();
    }

    fn create_vbucket(&mut self, vb: Vbid, state: State) -> Result<(), StoreError> {
        if self.shared.partitions.get(vb).is_some() {
            return Err(StoreError::VBucketExists { vb });
        }
        let (engine, _) = self.shared.slot.engine()?;
        let views = self.shard.views().clone();
        let opened = self.shared.create(&*engine, vb, state, views)?;
        self.shard.attach(vb, opened.state, opened.high);
        self.shared.partitions.insert(opened.partition);
        Ok(())
    }

    fn drop_vbucket(&mut self, vb: Vbid) -> Result<(), StoreError> {
        let (engine, _) = self.shared.slot.engine()?;
        match engine.drop_vbucket(vb) {
            Ok(()) | Err(EngineError::UnknownVBucket { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.shard.detach(vb);
        if let Some(partition) = self.shared.partitions.remove(vb) {
            partition.persisted.end(WaitEnd::Dropped);
        }
        Ok(())
    }

    fn roll_back(
        &mut self,
        partition: &Partition,
        to: Seqno,
        or_else: OrElse,
    ) -> Result<Seqno, StoreError> {
        let rolled_back = self.shared.roll_back(partition, to, or_else)?;
        self.shard
            .attach(partition.id(), rolled_back.state, rolled_back.high);
        // The failover log that follows from it is committed even if nothing is written.
        let _became_due = self.shard.queued(partition.id());
        Ok(rolled_back.high)
    }

    /// Ends the thread once everything is flushed, or cannot be.
    fn finish_draining(&mut self) -> Goes {
        let has_failed = self.last_failure.is_some();
        let is_over = self.shard.is_idle() || has_failed;
        match self.draining.take_if(|_| is_over) {
            Some(done) => {
                let _sent = done.send(self.last_failure.take());
                Goes::Ends
            }
            None => Goes::On,
        }
    }
}

/// Converts an error of a vBucket's manager, which refuses a flush only after an error of its own.
fn of_manager(error: CheckpointError) -> StoreError {
    StoreError::Engine(EngineError::InvalidArgument(error.to_string()))
}

fn wait(signal: &Signal) -> bool {
    signal.wait();
    true
}

/// A vBucket in a flush.
struct Flushing(Arc<Partition>);

impl Borrow<VBucket> for Flushing {
    fn borrow(&self) -> &VBucket {
        &self.0.vbucket
    }
}
