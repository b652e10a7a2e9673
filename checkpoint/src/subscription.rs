//! A subscription: a cursor that knows where it is, asks for backfill when it must, and can wait.
//!
//! In goes the seqno its reader has; out come batches, in order and without gap, and in between, when memory no longer
//! has what comes next, the seqnos to fetch from disk. What always holds (C19): a batch after [`Next::Backfill`] begins where
//! that ends; a waiting reader is woken once for each change from "nothing to read" to "something".

use std::sync::Arc;

use crate::batch::{Batch, ReadLimit};
use crate::cursor::{Cursor, Progress, Registration};
use crate::sync::{AtomicUsize, Ordering, Signal};
use crate::tail::{Look, Tail};
use crate::{CheckpointError, CheckpointManager, Seqno};

/// What a subscription has next.
#[derive(Debug)]
pub enum Next {
    /// Items from memory.
    Batch(Batch),
    /// Memory no longer has what comes next: fetch this from disk, then go on.
    Backfill(Backfill),
    /// Nothing now, or the manager is busy.
    Idle,
    /// It was stopped.
    Stopped,
}

/// Seqnos to fetch from disk, both ends included. Those that a newer revision replaced are not there, nor needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backfill {
    /// The first that may be missing.
    pub from: Seqno,
    /// The last before memory goes on.
    pub to: Seqno,
}

/// Ends a subscription's waiting from elsewhere.
#[derive(Clone, Debug)]
pub struct Stopper {
    is_stopped: Arc<AtomicUsize>,
    signal: Arc<Signal>,
}

impl Stopper {
    /// Whoever waits for the subscription is woken, now and from now on.
    pub fn stop(&self) {
        self.is_stopped.store(1, Ordering::Release);
        self.signal.raise();
    }
}

/// A consumer's place in a vBucket's changes. Its cursor goes when it is dropped.
#[derive(Debug)]
pub struct Subscription {
    manager: CheckpointManager,
    name: String,
    cursor: Cursor,
    /// Everything up to here has been delivered or was asked to be fetched.
    seqno: Seqno,
    backfill: Option<Backfill>,
    /// How far it has read without the manager's lock; `None` if its cursor was gone at once.
    progress: Option<Arc<Progress>>,
    /// Where it reads on without the lock, if it has kept up.
    tail: Option<Tail>,
    /// The manager's epoch before a read that found nothing, and no tail either: until it rises, nothing is there.
    nothing_since: Option<u64>,
    signal: Arc<Signal>,
    is_stopped: Arc<AtomicUsize>,
}

/// How a subscription comes by the manager's lock.
#[derive(Clone, Copy, Debug)]
enum Lock {
    /// It waits for it.
    Wait,
    /// Not at all, if another thread has it.
    IfFree,
}

impl CheckpointManager {
    /// Subscribes a consumer that has everything up to `after`; one of that name loses its cursor.
    ///
    /// # Errors
    /// As [`CheckpointManager::register`].
    pub fn subscribe(&self, name: &str, after: Seqno) -> Result<Subscription, CheckpointError> {
        let registration = self.register(name, after, true)?;
        let mut subscription = Subscription {
            manager: self.clone(),
            name: name.to_owned(),
            cursor: registration.cursor,
            seqno: after,
            backfill: None,
            progress: None,
            tail: None,
            nothing_since: None,
            signal: Arc::new(Signal::new()),
            is_stopped: Arc::new(AtomicUsize::new(0)),
        };
        subscription.stand(registration);
        Ok(subscription)
    }
}

impl Subscription {
    /// The next batch within `limit`, what to fetch first, or [`Next::Idle`], also while another thread is inside the
    /// manager. Never waits, but to register again after its cursor was dropped.
    ///
    /// # Errors
    /// [`CheckpointError::UnknownCursor`] if its name was taken over; [`CheckpointError::InvalidArgument`] for a limit
    /// of 0, or if the vBucket was rolled back behind what was delivered.
    pub fn poll(&mut self, limit: ReadLimit) -> Result<Next, CheckpointError> {
        match self.ready(limit)? {
            Some(next) => Ok(next),
            None if self.nothing_since == Some(self.manager.epoch()) => Ok(Next::Idle),
            None => self.look(limit, Lock::IfFree),
        }
    }

    /// As [`Subscription::poll`], but waits while there is nothing. Never returns [`Next::Idle`].
    ///
    /// # Errors
    /// As [`Subscription::poll`].
    pub fn wait(&mut self, limit: ReadLimit) -> Result<Next, CheckpointError> {
        loop {
            if let Some(next) = self.ready(limit)?.filter(|next| !matches!(next, Next::Idle)) {
                return Ok(next);
            }
            match self.look(limit, Lock::Wait)? {
                Next::Idle => self.sleep(),
                next => return Ok(next),
            }
        }
    }

    /// What can be said without the manager's lock; `None` if that takes a look under it.
    fn ready(&mut self, limit: ReadLimit) -> Result<Option<Next>, CheckpointError> {
        if limit.items == 0 || limit.bytes == 0 {
            return Err(CheckpointError::InvalidArgument("a limit of 0 reads nothing"));
        }
        if self.is_stopped.load(Ordering::Acquire) != 0 {
            return Ok(Some(Next::Stopped));
        }
        if let Some(backfill) = self.backfill.take() {
            self.seqno = backfill.to;
            return Ok(Some(Next::Backfill(backfill)));
        }
        let (Some(tail), Some(progress)) = (&mut self.tail, &self.progress) else { return Ok(None) };
        match tail.look(|| self.manager.epoch(), progress) {
            Look::Items(batch) => {
                self.seqno = batch.last_seqno();
                Ok(Some(Next::Batch(batch)))
            }
            Look::Nothing => Ok(Some(Next::Idle)),
            Look::Changed => {
                self.tail = None;
                Ok(None)
            }
        }
    }

    /// Looks under the manager's lock.
    fn look(&mut self, limit: ReadLimit, lock: Lock) -> Result<Next, CheckpointError> {
        let epoch = self.manager.epoch();
        let read = match lock {
            Lock::Wait => Some(self.manager.read_or_arm(self.cursor, limit, &self.signal)),
            Lock::IfFree => self.manager.try_read(self.cursor, limit),
        };
        let Some(read) = read else { return Ok(Next::Idle) };
        let (batch, tail) = match read {
            Err(CheckpointError::UnknownCursor) => return self.register_again(limit, lock),
            read => read?,
        };
        (self.tail, self.nothing_since) = (tail, None);
        if batch.is_empty() {
            self.nothing_since = Some(epoch);
            return Ok(Next::Idle);
        }
        self.seqno = batch.last_seqno();
        Ok(Next::Batch(batch))
    }

    /// Everything up to this seqno was delivered, or named in a [`Next::Backfill`].
    #[must_use]
    pub fn seqno(&self) -> Seqno {
        self.seqno
    }

    /// What ends its waiting from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper { is_stopped: Arc::clone(&self.is_stopped), signal: Arc::clone(&self.signal) }
    }

    /// The last poll found nothing and armed the signal under the manager's lock, so nothing queued since is missed;
    /// a stop between raised it after it was lowered, or is seen here.
    fn sleep(&self) {
        if self.is_stopped.load(Ordering::Acquire) == 0 {
            self.signal.wait();
        }
    }

    /// Memory recovery took the cursor: stand where it was, or after what must come from disk.
    fn register_again(&mut self, limit: ReadLimit, lock: Lock) -> Result<Next, CheckpointError> {
        if self.manager.cursor(&self.name).is_some() {
            return Err(CheckpointError::UnknownCursor);
        }
        let registration = self.manager.register(&self.name, self.seqno, true)?;
        self.stand(registration);
        match self.ready(limit)? {
            Some(next) => Ok(next),
            None => self.look(limit, lock),
        }
    }

    fn stand(&mut self, registration: Registration) {
        self.cursor = registration.cursor;
        self.progress = self.manager.follow(self.cursor);
        (self.tail, self.nothing_since) = (None, None);
        let missing = Backfill { from: self.seqno.next(), to: registration.next.prev() };
        self.backfill = registration.backfill.then_some(missing);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // A cursor that is gone already needs nothing more.
        let _gone = self.manager.unregister(self.cursor);
    }
}

#[cfg(test)]
mod tests;
