//! A flusher thread: the host of one [`FlushShard`].
//!
//! It owns its vBuckets' place in the engine: besides flushes it runs the engine calls that change
//! one of them, one after the other. So no flush meets a vBucket that is being rolled back or
//! dropped. While it has nothing to do its shard is in the inbox, and a thread that waits for a write
//! may flush it (R13).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use lowtide_checkpoint::internal::sync::Signal;
use lowtide_checkpoint::{Seqno, State, Vbid};

use crate::contract::EngineError;
use crate::hosted::waiting::inbox::{Inbox, Mail};
use crate::hosted::waiting::persisted::WaitEnd;
use crate::hosted::{Backoff, FlushShard};
use crate::runtime::command::{Command, OrElse};
use crate::runtime::engine::slot::Generation;
use crate::runtime::error::StoreError;
use crate::runtime::partition::Partition;
use crate::runtime::shard::Shard;
use crate::runtime::shared::Shared;

/// The doze after work: the longest delay of the flush of what no thread waits for.
const DOZE: Duration = Duration::from_millis(1);

/// Whether the thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goes {
    On,
    Ends,
}

/// The thread of a shard, between two turns of its loop.
struct FlusherThread<'a> {
    shared: &'a Shared,
    shard: Shard,
    /// Set while the store closes.
    draining: Option<Sender<Option<Arc<EngineError>>>>,
    /// Whether a flush that failed while the store closes was tried again.
    has_retried: bool,
    /// Whether an engine that failed while the store closes was replaced.
    has_reopened: bool,
}

pub(in crate::runtime) fn run(shared: &Shared, number: usize, flushes: FlushShard) {
    let Some(inbox) = shared.inboxes.get(number) else {
        return;
    };
    let _ending = Ending { shared, inbox };
    let mut thread = FlusherThread {
        shared,
        shard: Shard::new(number, flushes),
        draining: None,
        has_retried: false,
        has_reopened: false,
    };
    loop {
        let is_ready = thread.shard.is_ready();
        let mail = match thread.shard.paused_until {
            _ if is_ready => inbox.take(),
            Some(until) => inbox.take_or_wait(|signal| {
                let left = until.saturating_duration_since(Instant::now());
                !left.is_zero() && signal.wait_for(left)
            }),
            None => match inbox.leave(thread.shard, doze, Signal::wait) {
                Some((shard, mail)) => {
                    thread.shard = shard;
                    mail
                }
                None => return,
            },
        };
        if thread.turn(mail) == Goes::Ends {
            return;
        }
    }
}

/// Ends the inbox with the thread, however it ends. After a panic nothing more is persisted.
struct Ending<'a> {
    shared: &'a Shared,
    inbox: &'a Inbox<Command, Shard>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.inbox.end();
        if std::thread::panicking() {
            self.shared.health.closed();
            self.shared.end_waiting();
        }
    }
}

impl FlusherThread<'_> {
    fn turn(&mut self, mail: Mail<Command>) -> Goes {
        if self.receive(mail) == Goes::Ends {
            return Goes::Ends;
        }
        if self.shard.is_ready() {
            match self.flush() {
                Ok(()) => {}
                Err(StoreError::Closed) => return Goes::Ends,
                Err(error) => {
                    let error = match error {
                        StoreError::Engine(error) => error,
                        error => EngineError::InvalidArgument(error.to_string()),
                    };
                    let pause = Backoff::PAUSE_MICROS_MAX;
                    self.shared.flush_failed(&mut self.shard, error, pause);
                }
            }
        }
        self.finish_draining()
    }

    fn receive(&mut self, mail: Mail<Command>) -> Goes {
        self.shared.queue_dirty(&mut self.shard, mail.dirty);
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
                self.shard.last_failure = None;
                self.shard.paused_until = None;
                self.draining = Some(done);
            }
            Command::Stop => return Goes::Ends,
        }
        Goes::On
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let shared = self.shared;
        if let Some((generation, error)) = self.shard.failed_engine.take() {
            // The next turn attaches to the new one.
            if self.draining.is_none() {
                return shared.reopen(generation, error);
            }
            let error = Arc::new(error);
            let is_first = !std::mem::replace(&mut self.has_reopened, true);
            if !is_first || shared.reopen(generation, Arc::clone(&error)).is_err() {
                self.shard.last_failure = Some(error);
            }
            return Ok(());
        }
        let (engine, generation) = match shared.slot.engine() {
            Ok(open) => open,
            Err(StoreError::Reopening { .. }) => return shared.slot.await_engine().map(drop),
            Err(error) => return Err(error),
        };
        if generation != self.shard.generation || self.shard.flushes.reopen_is_due() {
            self.attach_again(generation)?;
        }
        shared.flush_once(&mut self.shard, &*engine);
        Ok(())
    }

    /// Attaches every vBucket to a reopened engine. What it has more than was acknowledged is not
    /// written again.
    fn attach_again(&mut self, generation: Generation) -> Result<(), StoreError> {
        self.shard.flushes.views().forget_all();
        for partition in self.shared.partitions.all() {
            if partition.shard != self.shard.number {
                continue;
            }
            let vb = partition.id();
            match self.shared.slot.snapshot(vb) {
                Ok(snapshot) => {
                    let state = snapshot.state().cloned();
                    self.shard.flushes.attach_again(vb, state, snapshot.high());
                }
                Err(StoreError::Closed) => return Err(StoreError::Closed),
                // Its flush will report why it cannot be read.
                Err(_) => {}
            }
        }
        self.shard.generation = generation;
        let _became_due = self.shard.flushes.reopened();
        self.shared.followers.wake();
        Ok(())
    }

    fn create_vbucket(&mut self, vb: Vbid, state: State) -> Result<(), StoreError> {
        if self.shared.partitions.get(vb).is_some() {
            return Err(StoreError::VBucketExists { vb });
        }
        let (engine, _) = self.shared.slot.engine()?;
        let views = self.shard.flushes.views().clone();
        let opened = self.shared.create(&*engine, vb, state, views)?;
        self.shard.flushes.attach(vb, opened.state, opened.high);
        self.shared.partitions.insert(opened.partition);
        Ok(())
    }

    fn drop_vbucket(&mut self, vb: Vbid) -> Result<(), StoreError> {
        let (engine, _) = self.shared.slot.engine()?;
        match engine.drop_vbucket(vb) {
            Ok(()) | Err(EngineError::UnknownVBucket { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.shard.flushes.detach(vb);
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
            .flushes
            .attach(partition.id(), rolled_back.state, rolled_back.high);
        // The failover log that follows from it is committed even if nothing is written.
        let _became_due = self.shard.flushes.queued(partition.id());
        Ok(rolled_back.high)
    }

    /// Ends the thread once everything is flushed, or cannot be. One failure is no reason to lose what
    /// was written.
    fn finish_draining(&mut self) -> Goes {
        let has_failed = self.shard.last_failure.is_some();
        if has_failed && self.draining.is_some() && !std::mem::replace(&mut self.has_retried, true)
        {
            let failure = self.shard.last_failure.take();
            self.shard.paused_until = None;
            if self.shard.is_ready() {
                return Goes::On;
            }
            self.shard.last_failure = failure;
        }
        let is_over = self.shard.flushes.is_idle() || has_failed;
        match self.draining.take_if(|_| is_over) {
            Some(done) => {
                let _sent = done.send(self.shard.last_failure.take());
                Goes::Ends
            }
            None => Goes::On,
        }
    }
}

fn doze(signal: &Signal) {
    signal.wait_for(DOZE);
}
