//! A subscription: a cursor that knows its seqno, asks for backfill when needed, and can wait.
//!
//! It hides how a reader moves between disk, lock and tail, and how it learns of rollbacks and of
//! cursors that memory recovery dropped.

use std::sync::Arc;

use super::event::{Backfill, SubscriptionEvent};
use super::snapshot_progress::SnapshotProgress;
use super::stopper::{Stop, Stopper};
use crate::error::CheckpointError;
use crate::fault::{self, Fault};
use crate::internal::invariant::checked_invariant;
use crate::internal::sync::Signal;
use crate::manager::{
    CheckpointManager, Cursor, CursorBatch, Progress, ReadLimit, Registration, Resumed, Subscriber,
    Tail, TailRead,
};
use crate::model::Seqno;
use crate::resume::ResumePoint;

/// A consumer's place in a vBucket's changes. Dropping it removes its cursor.
#[derive(Debug)]
pub struct Subscription {
    pub(super) manager: CheckpointManager,
    name: String,
    cursor: Cursor,
    /// Everything up to this seqno was delivered or named in a backfill.
    pub(super) seqno: Seqno,
    backfill: Option<Backfill>,
    /// Snapshot that `seqno` belongs to.
    pub(super) snapshot_progress: SnapshotProgress,
    /// Whether the reader was sent to the disk and has not polled since.
    pub(super) is_backfilling: bool,
    /// Number of the manager's rollbacks that the subscription has handled.
    pub(super) rollbacks: u64,
    /// Seqno that the reader must go back to or below, until it reports that it has.
    pub(super) rollback_to: Option<Seqno>,
    /// Position that the reader has reached without the manager's lock; `None` if its cursor was
    /// gone at once.
    progress: Option<Arc<Progress>>,
    /// Place to read at without the lock, if the reader has kept up. While it is set, no backfill
    /// and no rollback is pending.
    tail: Option<Tail>,
    /// Epoch of the manager before a read that found neither items nor a tail. Until the epoch
    /// rises there is nothing to read.
    idle_epoch: Option<u64>,
    stopper: Stopper,
}

/// The way in which a subscription takes the manager's lock.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lock {
    /// Waits for the lock.
    Wait,
    /// Takes the lock only if no other thread holds it.
    IfFree,
}

impl Subscription {
    /// Creates the subscription of a reader at `from`, whose cursor has just been registered.
    pub(super) fn new(
        manager: CheckpointManager,
        name: &str,
        from: &ResumePoint,
        registration: Registration,
        rollbacks: u64,
    ) -> Self {
        let mut subscription = Self {
            manager,
            name: name.to_owned(),
            cursor: registration.cursor,
            seqno: from.seqno,
            backfill: None,
            snapshot_progress: SnapshotProgress::of(from),
            is_backfilling: false,
            rollbacks,
            rollback_to: None,
            progress: None,
            tail: None,
            idle_epoch: None,
            stopper: Stopper::new(),
        };
        subscription.reposition(registration);
        subscription
    }

    /// Returns the next batch within `limit`, another event, or [`SubscriptionEvent::Idle`].
    ///
    /// [`SubscriptionEvent::Idle`] is also returned while another thread is inside the manager. The
    /// call waits for that thread only after a backfill, or to register again: after a rollback, or
    /// after its cursor was dropped.
    ///
    /// # Errors
    /// - [`CheckpointError::UnknownCursor`] if another consumer took over the name.
    /// - [`CheckpointError::InvalidArgument`] for a limit of 0.
    pub fn poll(&mut self, limit: ReadLimit) -> Result<SubscriptionEvent, CheckpointError> {
        match self.next_without_lock(limit)? {
            Some(next) => Ok(next),
            None if self.idle_epoch == Some(self.manager.epoch()) => Ok(SubscriptionEvent::Idle),
            None => self.next_under_lock(limit, Lock::IfFree),
        }
    }

    /// Like [`Subscription::poll`], but waits while there is nothing. Never returns
    /// [`SubscriptionEvent::Idle`].
    ///
    /// # Errors
    /// Same as [`Subscription::poll`].
    pub fn wait(&mut self, limit: ReadLimit) -> Result<SubscriptionEvent, CheckpointError> {
        loop {
            match self.poll_or_arm(limit)? {
                SubscriptionEvent::Idle => self.sleep(),
                next => return Ok(next),
            }
        }
    }

    /// Like [`Subscription::wait`], but returns [`SubscriptionEvent::Idle`] in place of waiting. The
    /// subscription's number in its [`WaitSet`](crate::WaitSet) is then raised once there may be
    /// something. The call may wait for another thread that is inside the manager.
    ///
    /// # Errors
    /// Same as [`Subscription::poll`].
    pub fn poll_or_arm(&mut self, limit: ReadLimit) -> Result<SubscriptionEvent, CheckpointError> {
        match self.next_without_lock(limit)? {
            // Nothing is found for certain, and the signal armed, under the lock only.
            None | Some(SubscriptionEvent::Idle) => self.next_under_lock(limit, Lock::Wait),
            Some(next) => Ok(next),
        }
    }

    /// Returns the event that ends the subscription, if it has ended.
    pub(super) fn end(&self) -> Option<SubscriptionEvent> {
        self.stopper.stopped().map(|stop| match stop {
            Stop::ByUser => SubscriptionEvent::Stopped,
            Stop::ByState(state) => SubscriptionEvent::Ended(state),
        })
    }

    /// Returns the next event if it can be found without the manager's lock.
    fn next_without_lock(
        &mut self,
        limit: ReadLimit,
    ) -> Result<Option<SubscriptionEvent>, CheckpointError> {
        limit.require_any()?;
        self.end_backfill();
        if let Some(end) = self.end() {
            return Ok(Some(end));
        }
        if let (Some(tail), Some(progress)) = (&mut self.tail, &self.progress) {
            match tail.try_read(|| self.manager.epoch(), progress) {
                TailRead::Items(batch) => {
                    self.record_delivery(&batch);
                    return Ok(Some(SubscriptionEvent::Batch(batch)));
                }
                TailRead::Nothing => return Ok(Some(SubscriptionEvent::Idle)),
                TailRead::Changed => self.tail = None,
            }
        }
        if self.manager.rollbacks() != self.rollbacks {
            return Ok(None);
        }
        if let Some(seqno) = self.rollback_to {
            return Ok(Some(SubscriptionEvent::RolledBack(seqno)));
        }
        Ok(self.backfill.take().map(|backfill| {
            self.seqno = backfill.to;
            self.is_backfilling = true;
            SubscriptionEvent::Backfill(backfill)
        }))
    }

    /// Returns the next event, found under the manager's lock.
    pub(super) fn next_under_lock(
        &mut self,
        limit: ReadLimit,
        lock: Lock,
    ) -> Result<SubscriptionEvent, CheckpointError> {
        if self.manager.rollbacks() != self.rollbacks {
            return self.resume(limit, lock);
        }
        let epoch = self.manager.epoch();
        let read = match lock {
            Lock::Wait => Some(
                self.manager
                    .read_or_arm(self.cursor, limit, self.stopper.signal()),
            ),
            Lock::IfFree => self.manager.try_read(self.cursor, limit),
        };
        let Some(read) = read else {
            if fault::is(Fault::BusyTakenForEmpty) {
                self.idle_epoch = Some(epoch);
            }
            return Ok(SubscriptionEvent::Idle);
        };
        let (batch, tail) = match read {
            Err(CheckpointError::UnknownCursor) => return self.resume(limit, lock),
            read => read?,
        };
        // A batch read after a rollback may belong to the history that replaced the old one. A batch
        // read before it is delivered.
        if self.manager.rollbacks() != self.rollbacks && !fault::is(Fault::RollbackLookedForFirst) {
            return self.resume(limit, lock);
        }
        self.tail = tail;
        self.idle_epoch = None;
        if batch.is_empty() {
            self.idle_epoch = Some(epoch);
            return Ok(SubscriptionEvent::Idle);
        }
        self.record_delivery(&batch);
        Ok(SubscriptionEvent::Batch(batch))
    }

    fn record_delivery(&mut self, batch: &CursorBatch) {
        self.seqno = batch.last_seqno();
        self.snapshot_progress.record(batch);
    }

    /// Ends a backfill: a reader that polls again has fetched the seqnos.
    fn end_backfill(&mut self) {
        if std::mem::take(&mut self.is_backfilling) {
            self.snapshot_progress = self
                .snapshot_progress
                .within(self.disk_seqno_bound())
                .at(self.seqno);
        }
    }

    /// Returns an upper bound for the end of the snapshot that is on disk by now.
    fn disk_seqno_bound(&self) -> Seqno {
        self.manager.open_range().end.max(self.manager.high_seqno())
    }

    /// Returns start and end of the snapshot that the reader is in. Returns `None` during a rollback
    /// that the reader has not seen or not followed.
    pub(crate) fn snapshot(&self) -> Option<(Seqno, Seqno)> {
        if self.rollback_to.is_some() || self.manager.rollbacks() != self.rollbacks {
            return None;
        }
        let end = if self.is_backfilling {
            self.disk_seqno_bound()
        } else {
            Seqno::ZERO
        };
        let progress = self.snapshot_progress.within(end).at(self.seqno);
        Some(progress.snapshot(self.seqno))
    }

    /// Continues after `seqno`: the reader has discarded everything after it, after a
    /// [`SubscriptionEvent::RolledBack`] or by its own decision.
    ///
    /// # Errors
    /// - [`CheckpointError::InvalidArgument`] if `seqno` is above [`Subscription::seqno`], which a
    ///   rollback lowers to its own seqno.
    /// - [`CheckpointError::UnknownCursor`] if another consumer took over the name.
    pub fn resume_from(&mut self, seqno: Seqno) -> Result<(), CheckpointError> {
        if seqno > self.seqno {
            return Err(CheckpointError::InvalidArgument(
                "a subscription cannot go back to a seqno above its own",
            ));
        }
        let resumed = self.manager.resume(&Subscriber {
            seqno,
            ..self.subscriber()
        })?;
        self.seqno = seqno;
        self.rollback_to = None;
        self.snapshot_progress = SnapshotProgress::whole(seqno);
        self.is_backfilling = false;
        self.apply_resumed(&resumed);
        Ok(())
    }

    /// Returns the last seqno that was delivered or named in a [`SubscriptionEvent::Backfill`].
    #[must_use]
    pub fn seqno(&self) -> Seqno {
        self.seqno
    }

    /// Returns the handle that ends the subscription's waiting from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    pub(super) fn signal(&self) -> &Arc<Signal> {
        self.stopper.signal()
    }

    /// Waits for the signal.
    ///
    /// The last read found nothing and armed the signal under the manager's lock, so no item queued
    /// since is missed. A stop in between raised the signal after it was lowered, or is seen here.
    fn sleep(&self) {
        if self.stopper.stopped().is_none() {
            self.stopper.signal().wait();
        }
    }

    /// Registers again after memory recovery dropped the cursor, or after a rollback. Continues at
    /// the same seqno, after a backfill, or at the seqno of the rollback.
    fn resume(
        &mut self,
        limit: ReadLimit,
        lock: Lock,
    ) -> Result<SubscriptionEvent, CheckpointError> {
        let resumed = self.manager.resume(&self.subscriber())?;
        self.apply_resumed(&resumed);
        match self.next_without_lock(limit)? {
            Some(next) => Ok(next),
            None => self.next_under_lock(limit, lock),
        }
    }

    pub(super) fn subscriber(&self) -> Subscriber<'_> {
        Subscriber {
            name: &self.name,
            cursor: self.cursor,
            seqno: self.seqno,
            rollbacks: self.rollbacks,
        }
    }

    pub(super) fn apply_resumed(&mut self, resumed: &Resumed) {
        self.rollbacks = resumed.rollbacks;
        self.seqno = resumed.rollback_to.unwrap_or(self.seqno);
        self.rollback_to = resumed.rollback_to.or(self.rollback_to);
        self.reposition(resumed.registration);
    }

    /// Moves the subscription to a newly registered cursor.
    fn reposition(&mut self, registration: Registration) {
        self.cursor = registration.cursor;
        self.progress = self.manager.track_progress(self.cursor);
        self.tail = None;
        self.idle_epoch = None;
        let missing = Backfill {
            from: self.seqno.next(),
            to: registration.next.prev(),
        };
        self.backfill = registration.backfill.then_some(missing);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // A cursor that is already gone needs no removal.
        let removed = self.manager.unregister(self.cursor);
        checked_invariant!(
            matches!(removed, Ok(()) | Err(CheckpointError::UnknownCursor)),
            "C14",
            "a subscription has a cursor of its own"
        );
    }
}
