//! Waiting until a write is persisted.
//!
//! Each vBucket has one [`PersistedSeqno`]. Its flusher advances it. Threads and tasks wait for it.
//!
//! # Invariants
//!
//! - R3. A wait for a seqno ends successfully only if the seqno was persisted, on the branch on which
//!   it was written. It ends with an error if the seqno can never be persisted: it was rolled back,
//!   the vBucket was dropped, or the store was closed or dropped before.
//! - R4. No wake-up is lost: a waiter is registered under the lock under which the seqno advances.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Poll, Waker};

use lowtide_checkpoint::Seqno;
use lowtide_checkpoint::internal::sync::Signal;

use crate::fault::{self, Fault};
use crate::sync::{AtomicU64, AtomicUsize, Mutex, Ordering, ranks};

/// The seqno up to which one vBucket is persisted, and those that wait for it.
#[derive(Debug)]
pub struct PersistedSeqno {
    reached: AtomicU64,
    /// The length of `Waiting::rollbacks`.
    rollbacks: AtomicUsize,
    waiting: Mutex<Waiting>,
}

/// The end of the waiting for a seqno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitEnd {
    /// It is persisted.
    Persisted,
    /// It was rolled back: the vBucket went back to this seqno.
    RolledBack(Seqno),
    /// The vBucket was dropped.
    Dropped,
    /// The store was closed or dropped before it was persisted.
    Closed,
}

/// A write to wait for: its seqno, and the number of rollbacks before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// The seqno.
    pub seqno: Seqno,
    /// The rollbacks of the vBucket before the write.
    pub rollbacks: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    /// By seqno, then by number.
    waiters: BTreeMap<(Seqno, u64), Waiter>,
    registered: u64,
    /// The seqno of each rollback.
    rollbacks: Vec<Seqno>,
    /// Why nothing more will be persisted.
    ended: Option<WaitEnd>,
}

#[derive(Debug)]
enum Waiter {
    Thread(Arc<Signal>),
    Task(Waker),
}

impl Waiter {
    fn wake(self) {
        match self {
            Self::Thread(signal) => signal.raise(),
            Self::Task(waker) => waker.wake(),
        }
    }
}

/// A place among the waiters of one vBucket.
pub type WaiterId = (Seqno, u64);

impl Waiting {
    /// Returns the end of the waiting for `awaited`, if it has one.
    fn end_of(&self, awaited: Awaited, reached: Seqno) -> Option<WaitEnd> {
        let since = self.rollbacks.iter().skip(awaited.rollbacks);
        let lowest = since.min().copied();
        if let Some(to) = lowest.filter(|&to| to < awaited.seqno) {
            return Some(WaitEnd::RolledBack(to));
        }
        if awaited.seqno <= reached {
            return Some(WaitEnd::Persisted);
        }
        self.ended
    }

    fn register(&mut self, seqno: Seqno, waiter: Waiter) -> WaiterId {
        self.registered += 1;
        let id = (seqno, self.registered);
        self.waiters.insert(id, waiter);
        id
    }

    /// Takes out the waiters for seqnos up to `seqno`.
    fn up_to(&mut self, seqno: Seqno) -> BTreeMap<WaiterId, Waiter> {
        let later = self.waiters.split_off(&(seqno.next(), 0));
        std::mem::replace(&mut self.waiters, later)
    }
}

impl PersistedSeqno {
    /// Creates the waiting room of a vBucket that is persisted up to `reached`.
    #[must_use]
    pub fn new(reached: Seqno) -> Self {
        Self {
            reached: AtomicU64::new(reached.0),
            rollbacks: AtomicUsize::new(0),
            waiting: Mutex::new(ranks::PERSISTED, Waiting::default()),
        }
    }

    /// Returns the seqno up to which everything is persisted.
    #[must_use]
    pub fn reached(&self) -> Seqno {
        Seqno(self.reached.load(Ordering::Acquire))
    }

    /// Returns what a waiter for a write at `seqno` waits for, if the write is made now. The caller
    /// holds a lock under which no rollback is reported.
    #[must_use]
    pub fn awaited(&self, seqno: Seqno) -> Awaited {
        let rollbacks = self.rollbacks.load(Ordering::Acquire);
        Awaited { seqno, rollbacks }
    }

    /// Reports that everything up to `seqno` is persisted, and wakes those that wait for it.
    pub fn advance(&self, seqno: Seqno) {
        let mut waiting = self.waiting.lock();
        self.reached.store(seqno.0, Ordering::Release);
        let woken = waiting.up_to(seqno);
        drop(waiting);
        woken.into_values().for_each(Waiter::wake);
    }

    /// Reports that everything after `to` was rolled back, and wakes those that wait for it.
    pub fn roll_back(&self, to: Seqno) {
        let mut waiting = self.waiting.lock();
        waiting.rollbacks.push(to);
        self.rollbacks
            .store(waiting.rollbacks.len(), Ordering::Release);
        self.reached.store(to.0, Ordering::Release);
        let woken = std::mem::take(&mut waiting.waiters);
        drop(waiting);
        woken.into_values().for_each(Waiter::wake);
    }

    /// Reports that nothing more will be persisted, and wakes all waiters.
    pub fn end(&self, end: WaitEnd) {
        let mut waiting = self.waiting.lock();
        if !fault::is(Fault::EndIsNotKept) {
            waiting.ended.get_or_insert(end);
        }
        let woken = std::mem::take(&mut waiting.waiters);
        drop(waiting);
        woken.into_values().for_each(Waiter::wake);
    }

    /// Waits until the waiting for `awaited` ends. `sleep` waits for the signal, and returns whether
    /// to go on waiting. Returns `None` if it returned `false` and there is no end yet.
    pub fn wait(&self, awaited: Awaited, sleep: impl Fn(&Signal) -> bool) -> Option<WaitEnd> {
        let signal = Arc::new(Signal::new());
        let mut is_last = false;
        loop {
            let mut waiting = self.waiting.lock();
            if let Some(end) = waiting.end_of(awaited, self.reached()) {
                return Some(end);
            }
            if is_last {
                return None;
            }
            if fault::is(Fault::WaiterRegistersLate) {
                drop(waiting);
                waiting = self.waiting.lock();
            }
            signal.lower();
            let id = waiting.register(awaited.seqno, Waiter::Thread(Arc::clone(&signal)));
            drop(waiting);
            is_last = !sleep(&signal);
            self.waiting.lock().waiters.remove(&id);
            if !is_last && fault::is(Fault::WakeUpTakenForPersisted) {
                return Some(WaitEnd::Persisted);
            }
        }
    }

    /// Returns the end of the waiting for `awaited`. If it has none, `waker` is woken when it may
    /// have one. `place` is the task's place, which the call keeps up to date.
    pub fn poll(
        &self,
        awaited: Awaited,
        waker: &Waker,
        place: &mut Option<WaiterId>,
    ) -> Poll<WaitEnd> {
        let mut waiting = self.waiting.lock();
        if let Some(place) = place.take() {
            waiting.waiters.remove(&place);
        }
        match waiting.end_of(awaited, self.reached()) {
            Some(end) => Poll::Ready(end),
            None => {
                *place = Some(waiting.register(awaited.seqno, Waiter::Task(waker.clone())));
                Poll::Pending
            }
        }
    }

    /// Removes a task that no longer waits.
    pub fn forget(&self, place: WaiterId) {
        self.waiting.lock().waiters.remove(&place);
    }
}
