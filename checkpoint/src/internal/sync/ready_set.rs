//! A set of numbers that one thread waits for and others raise.
//!
//! It is the common end of many [`Signal`](super::Signal)s: a thread, or a task, that serves many
//! readers waits here for any of them.
//!
//! # Invariants
//! A number that is raised stays in the set until it is taken. Looking for numbers and going to sleep,
//! or leaving a waker, are one critical section (C33).

use core::time::Duration;
use std::collections::BTreeSet;
use std::task::Waker;

#[cfg(checkpoint_loom)]
use super::loom_locks::{Condvar, Mutex};
#[cfg(not(checkpoint_loom))]
use super::native::{Condvar, Mutex};
use super::ranks;

/// The numbers that are ready.
#[derive(Debug)]
pub(crate) struct ReadySet {
    ready: Mutex<Ready>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Ready {
    numbers: BTreeSet<u64>,
    /// Waker of the task that found nothing last.
    waker: Option<Waker>,
}

impl Ready {
    fn take(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.numbers).into_iter().collect()
    }
}

impl ReadySet {
    pub(crate) fn new() -> Self {
        Self {
            ready: Mutex::new(ranks::READY_SET, Ready::default()),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn raise(&self, number: u64) {
        let waker = {
            let mut ready = self.ready.lock();
            ready.numbers.insert(number);
            ready.waker.take()
        };
        self.changed.notify_all();
        // A waker is code of the host: it runs under no lock of this set.
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the numbers, ascending.
    pub(crate) fn take(&self) -> Vec<u64> {
        self.ready.lock().take()
    }

    /// Takes the numbers, and leaves the waker if there are none.
    pub(crate) fn take_or_register(&self, waker: &Waker) -> Vec<u64> {
        let mut ready = self.ready.lock();
        if ready.numbers.is_empty() {
            ready.waker = Some(waker.clone());
        }
        ready.take()
    }

    /// Leaves the waker whether there are numbers or not.
    #[cfg(checkpoint_loom)]
    pub(crate) fn register(&self, waker: &Waker) {
        self.ready.lock().waker = Some(waker.clone());
    }

    /// Waits until there are numbers, and takes them.
    pub(crate) fn wait(&self) -> Vec<u64> {
        let mut ready = self.ready.lock();
        while ready.numbers.is_empty() {
            ready = self.changed.wait(ready);
        }
        ready.take()
    }

    /// Like [`ReadySet::wait`], but takes none if there are none after `timeout`.
    pub(crate) fn wait_timeout(&self, timeout: Duration) -> Vec<u64> {
        let mut ready = self.ready.lock();
        if ready.numbers.is_empty() {
            ready = self.changed.wait_timeout(ready, timeout);
        }
        ready.take()
    }
}
