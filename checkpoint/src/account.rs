//! Memory accounts: what is charged when allocated and discharged when dropped, wherever that happens.
//!
//! A chunk that only a slow reader's batch still holds is charged until the batch goes; so the account tells the
//! truth about memory, and the difference to what the queue itself holds is what readers keep alive. What is charged
//! to an account is charged to its quota as well.

use std::sync::Arc;

use crate::Quota;
use crate::fault::{self, Fault};
use crate::sync::{AtomicUsize, Ordering};

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

    /// Charges bytes that some [`Charge`] has noted.
    pub(crate) fn add(&self, bytes: usize) {
        if fault::is(Fault::ChargeByHalves) {
            let total = self.0.total.load(Ordering::Relaxed);
            self.0.total.store(total + bytes, Ordering::Relaxed);
        } else {
            self.0.total.fetch_add(bytes, Ordering::Relaxed);
        }
        if let Some(quota) = &self.0.quota {
            quota.charge(bytes);
        }
    }

    fn sub(&self, bytes: usize) {
        self.0.total.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(quota) = &self.0.quota {
            quota.discharge(bytes);
        }
    }
}

/// Bytes charged to an account until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    account: Account,
    bytes: AtomicUsize,
}

impl Charge {
    /// Notes more bytes, which are to be charged to the account, together with others, before it can be dropped. Only
    /// whoever holds the manager's lock does.
    pub(crate) fn note(&self, bytes: usize) {
        let noted = self.bytes.load(Ordering::Relaxed) + bytes;
        self.bytes.store(noted, Ordering::Relaxed);
    }

    /// Sets it to another size.
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
