//! A subscription: a cursor that knows where it is, asks for backfill when it must, and can wait.
//!
//! In goes the seqno its reader has; out come batches, in order and without gap, and in between, when memory no longer
//! has what comes next, the seqnos to fetch from disk. What always holds (C19): a batch after [`Next::Backfill`] begins where
//! that ends; a waiting reader is woken once for each change from "nothing to read" to "something"; no batch of a history
//! after a rollback comes before [`Next::RolledBack`], if something that was delivered was rolled back (C24).

use std::sync::Arc;

use crate::batch::{Batch, ReadLimit};
use crate::cursor::{Cursor, Progress, Registration};
use crate::fault::{self, Fault};
use crate::manager::{Resumed, Subscriber};
use crate::sync::{AtomicUsize, Ordering, Signal};
use crate::tail::{Look, Tail};
use crate::{CheckpointError, CheckpointManager, ResumePoint, Seqno, State, VbUuid};

mod place;

use place::Place;

/// What a subscription has next.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is moved once a read; a box would cost each read an allocation"
)]
pub enum Next {
    /// Items from memory.
    Batch(Batch),
    /// Memory no longer has what comes next: fetch this from disk, then go on.
    Backfill(Backfill),
    /// The vBucket was rolled back below what was delivered, or named in a [`Next::Backfill`]: give up everything after
    /// this seqno, and further back to a place where you were whole (0, or the end of an earlier batch, since a batch
    /// lacks what was replaced inside it). Say where with [`Subscription::go_back`]; until then nothing else comes.
    RolledBack(Seqno),
    /// Nothing now, or the manager is busy.
    Idle,
    /// It was stopped.
    Stopped,
    /// The vBucket serves no more: it became this.
    Ended(State),
}

/// What `is_stopped` says.
const RUNNING: usize = 0;
const STOPPED: usize = 1;
/// In this order they follow it.
const ENDED: [State; 4] = [State::Active, State::Replica, State::Pending, State::Dead];

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
    pub(crate) is_stopped: Arc<AtomicUsize>,
    signal: Arc<Signal>,
}

impl Stopper {
    /// Whoever waits for the subscription is woken, now and from now on.
    pub fn stop(&self) {
        self.is_stopped.store(STOPPED, Ordering::Release);
        self.signal.raise();
    }

    /// The same, for the vBucket became `state`.
    pub(crate) fn end(&self, state: State) {
        let place = ENDED
            .iter()
            .position(|&ended| ended == state)
            .unwrap_or_default();
        self.is_stopped
            .store(STOPPED + 1 + place, Ordering::Release);
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
    /// Which snapshot that belongs to.
    place: Place,
    /// It was asked to fetch something, and has not come back since.
    fetches: bool,
    /// So many of the manager's rollbacks it has taken account of.
    rollbacks: u64,
    /// Its reader has to go back there or further, and has not said how far.
    back_to: Option<Seqno>,
    /// How far it has read without the manager's lock; `None` if its cursor was gone at once.
    progress: Option<Arc<Progress>>,
    /// Where it reads on without the lock, if it has kept up. Then there is nothing it has to be told first.
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
        self.subscribe_at(name, ResumePoint::whole(VbUuid(0), after))
    }

    /// The same for one that may be inside a snapshot.
    pub(crate) fn subscribe_at(
        &self,
        name: &str,
        from: ResumePoint,
    ) -> Result<Subscription, CheckpointError> {
        // Counted first: a rollback between is one it has not seen, and stands at the right place for.
        let rollbacks = self.rollbacks();
        let registration = self.register(name, from.seqno, true)?;
        let mut subscription = Subscription {
            manager: self.clone(),
            name: name.to_owned(),
            cursor: registration.cursor,
            seqno: from.seqno,
            backfill: None,
            place: Place::of(&from),
            fetches: false,
            rollbacks,
            back_to: None,
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
    /// of 0.
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
            if let Some(next) = self
                .ready(limit)?
                .filter(|next| !matches!(next, Next::Idle))
            {
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
            return Err(CheckpointError::InvalidArgument(
                "a limit of 0 reads nothing",
            ));
        }
        self.has_fetched();
        match self.is_stopped.load(Ordering::Acquire) {
            RUNNING => {}
            STOPPED => return Ok(Some(Next::Stopped)),
            ended => {
                let state = ended
                    .checked_sub(STOPPED + 1)
                    .and_then(|place| ENDED.get(place));
                return Ok(Some(
                    state.map_or(Next::Stopped, |&state| Next::Ended(state)),
                ));
            }
        }
        if let (Some(tail), Some(progress)) = (&mut self.tail, &self.progress) {
            match tail.look(|| self.manager.epoch(), progress) {
                Look::Items(batch) => {
                    self.delivers(&batch);
                    return Ok(Some(Next::Batch(batch)));
                }
                Look::Nothing => return Ok(Some(Next::Idle)),
                Look::Changed => self.tail = None,
            }
        }
        if self.manager.rollbacks() != self.rollbacks {
            return Ok(None);
        }
        if let Some(seqno) = self.back_to {
            return Ok(Some(Next::RolledBack(seqno)));
        }
        Ok(self.backfill.take().map(|backfill| {
            (self.seqno, self.fetches) = (backfill.to, true);
            Next::Backfill(backfill)
        }))
    }

    /// Looks under the manager's lock.
    fn look(&mut self, limit: ReadLimit, lock: Lock) -> Result<Next, CheckpointError> {
        if self.manager.rollbacks() != self.rollbacks {
            return self.resume(limit, lock);
        }
        let epoch = self.manager.epoch();
        let read = match lock {
            Lock::Wait => Some(self.manager.read_or_arm(self.cursor, limit, &self.signal)),
            Lock::IfFree => self.manager.try_read(self.cursor, limit),
        };
        let Some(read) = read else {
            if fault::is(Fault::BusyTakenForEmpty) {
                self.nothing_since = Some(epoch);
            }
            return Ok(Next::Idle);
        };
        let (batch, tail) = match read {
            Err(CheckpointError::UnknownCursor) => return self.resume(limit, lock),
            read => read?,
        };
        // A batch read after a rollback may be of the history that came instead. One read before it is delivered: it was
        // read first.
        if self.manager.rollbacks() != self.rollbacks && !fault::is(Fault::RollbackLookedForFirst) {
            return self.resume(limit, lock);
        }
        (self.tail, self.nothing_since) = (tail, None);
        if batch.is_empty() {
            self.nothing_since = Some(epoch);
            return Ok(Next::Idle);
        }
        self.delivers(&batch);
        Ok(Next::Batch(batch))
    }

    fn delivers(&mut self, batch: &Batch) {
        self.seqno = batch.last_seqno();
        self.place.take(batch);
    }

    /// Its reader came back from the disk.
    fn has_fetched(&mut self) {
        if std::mem::take(&mut self.fetches) {
            self.place = self.place.within(self.on_disk_at_most()).at(self.seqno);
        }
    }

    /// What is on disk by now is part of a snapshot that ends there, or earlier.
    fn on_disk_at_most(&self) -> Seqno {
        self.manager.open_range().end.max(self.manager.high_seqno())
    }

    /// The snapshot that its reader is in; `None` while there is a rollback that it has not heard of, or not followed.
    pub(crate) fn snapshot(&self) -> Option<(Seqno, Seqno)> {
        if self.back_to.is_some() || self.manager.rollbacks() != self.rollbacks {
            return None;
        }
        let end = if self.fetches {
            self.on_disk_at_most()
        } else {
            Seqno::ZERO
        };
        Some(self.place.within(end).at(self.seqno).snapshot(self.seqno))
    }

    /// Its reader has given up everything after `seqno`, after [`Next::RolledBack`] or because it wants to; what comes next
    /// follows that.
    ///
    /// # Errors
    /// [`CheckpointError::InvalidArgument`] if `seqno` is above what it was told to go back to, or above what it had;
    /// [`CheckpointError::UnknownCursor`] if its name was taken over.
    pub fn go_back(&mut self, seqno: Seqno) -> Result<(), CheckpointError> {
        if seqno > self.seqno {
            return Err(CheckpointError::InvalidArgument(
                "a subscription goes back, not forward",
            ));
        }
        let resumed = self.manager.resume(&Subscriber {
            seqno,
            ..self.subscriber()
        })?;
        (self.seqno, self.back_to) = (seqno, None);
        (self.place, self.fetches) = (Place::whole(seqno), false);
        self.follow(&resumed);
        Ok(())
    }

    /// Everything up to this seqno was delivered, or named in a [`Next::Backfill`].
    #[must_use]
    pub fn seqno(&self) -> Seqno {
        self.seqno
    }

    /// What ends its waiting from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper {
            is_stopped: Arc::clone(&self.is_stopped),
            signal: Arc::clone(&self.signal),
        }
    }

    /// The last poll found nothing and armed the signal under the manager's lock, so nothing queued since is missed;
    /// a stop between raised it after it was lowered, or is seen here.
    fn sleep(&self) {
        if self.is_stopped.load(Ordering::Acquire) == RUNNING {
            self.signal.wait();
        }
    }

    /// Memory recovery took the cursor, or there was a rollback: stand where it was, or after what must come from disk, or
    /// where the rollback went.
    fn resume(&mut self, limit: ReadLimit, lock: Lock) -> Result<Next, CheckpointError> {
        let resumed = self.manager.resume(&self.subscriber())?;
        self.follow(&resumed);
        match self.ready(limit)? {
            Some(next) => Ok(next),
            None => self.look(limit, lock),
        }
    }

    fn subscriber(&self) -> Subscriber<'_> {
        Subscriber {
            name: &self.name,
            cursor: self.cursor,
            seqno: self.seqno,
            rollbacks: self.rollbacks,
        }
    }

    fn follow(&mut self, resumed: &Resumed) {
        self.rollbacks = resumed.rollbacks;
        self.seqno = resumed.back_to.unwrap_or(self.seqno);
        self.back_to = resumed.back_to.or(self.back_to);
        self.stand(resumed.registration);
    }

    fn stand(&mut self, registration: Registration) {
        self.cursor = registration.cursor;
        self.progress = self.manager.follow(self.cursor);
        (self.tail, self.nothing_since) = (None, None);
        let missing = Backfill {
            from: self.seqno.next(),
            to: registration.next.prev(),
        };
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
