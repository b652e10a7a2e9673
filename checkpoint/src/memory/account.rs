//! Memory accounts: bytes are charged when allocated and discharged when dropped, on any thread.
//!
//! A chunk that only a slow reader's batch still holds stays charged until the batch is dropped.
//! The total is therefore the true memory. Its difference to the queue's own bytes is the memory
//! that readers keep alive.
//!
//! # Invariants
//! - Every byte charged to an account is charged to its quota as well (C13, C18).

use std::sync::Arc;

use super::quota::Quota;
use crate::fault::{self, Fault};
use crate::internal::invariant::checked_invariant;
use crate::internal::sync::{AtomicUsize, Ordering};

/// A running total of bytes. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Account(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    total: AtomicUsize,
    quota: Option<Quota>,
}

impl Account {
    pub(crate) fn new(quota: Option<Quota>) -> Self {
        Self(Arc::new(Shared {
            total: AtomicUsize::new(0),
            quota,
        }))
    }

    pub(crate) fn total(&self) -> usize {
        self.0.total.load(Ordering::Relaxed)
    }

    pub(crate) fn charge(&self, bytes: usize) -> Charge {
        self.add(bytes);
        Charge {
            account: self.clone(),
            bytes: AtomicUsize::new(bytes),
        }
    }

    /// Charges bytes that a [`Charge`] has already recorded.
    pub(crate) fn add(&self, bytes: usize) {
        if fault::is(Fault::ChargeByHalves) {
            self.add_by_halves(bytes);
        } else {
            self.0.total.fetch_add(bytes, Ordering::Relaxed);
        }
        if let Some(quota) = &self.0.quota {
            quota.charge(bytes);
        }
    }

    /// The deliberate bug [`Fault::ChargeByHalves`].
    #[cold]
    fn add_by_halves(&self, bytes: usize) {
        let total = self.0.total.load(Ordering::Relaxed);
        self.0.total.store(total + bytes, Ordering::Relaxed);
    }

    fn sub(&self, bytes: usize) {
        let before = self.0.total.fetch_sub(bytes, Ordering::Relaxed);
        checked_invariant!(before >= bytes, "C13", "only charged bytes are discharged");
        if let Some(quota) = &self.0.quota {
            quota.discharge(bytes);
        }
    }
}

/// Bytes that are charged to an account until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    account: Account,
    bytes: AtomicUsize,
}

impl Charge {
    /// Records more bytes, which are charged to the account later, before this can be dropped. Only
    /// a thread that holds the manager's lock calls this.
    pub(crate) fn add_uncharged(&self, bytes: usize) {
        let total = self.bytes.load(Ordering::Relaxed) + bytes;
        self.bytes.store(total, Ordering::Relaxed);
    }

    /// Changes the number of bytes.
    pub(crate) fn resize(&mut self, bytes: usize) {
        let before = self.bytes();
        self.bytes.store(bytes, Ordering::Relaxed);
        if bytes > before {
            self.account.add(bytes - before);
        } else if bytes < before {
            self.account.sub(before - bytes);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.sub(self.bytes());
    }
}
