//! Memory accounts: what is charged when allocated and discharged when dropped, wherever that happens.
//!
//! A chunk that only a slow reader's batch still holds is charged until the batch goes; so the account tells the
//! truth about memory, and the difference to what the queue itself holds is what readers keep alive.

use std::sync::Arc;

use crate::sync::{AtomicUsize, Ordering};

/// A running total of bytes. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Account(Arc<AtomicUsize>);

impl Account {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(0)))
    }

    pub(crate) fn total(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn charge(&self, bytes: usize) -> Charge {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Charge { account: self.clone(), bytes: AtomicUsize::new(bytes) }
    }
}

/// Bytes charged to an account until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    account: Account,
    bytes: AtomicUsize,
}

impl Charge {
    /// Charges more to it. Only whoever holds the manager's lock does.
    pub(crate) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.account.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Sets it to another size.
    pub(crate) fn resize(&mut self, bytes: usize) {
        let before = self.bytes();
        if bytes == before {
            return;
        }
        self.bytes.store(bytes, Ordering::Relaxed);
        if bytes > before {
            self.account.0.fetch_add(bytes - before, Ordering::Relaxed);
        } else {
            self.account.0.fetch_sub(before - bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.0.fetch_sub(self.bytes(), Ordering::Relaxed);
    }
}
