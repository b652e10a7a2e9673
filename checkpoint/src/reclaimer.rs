//! Frees what managers no longer need on a thread of the caller's, so that whoever writes does not.
//!
//! In go chunks, index tables and whole queues, as critical sections end; nothing comes out. What always holds: what is
//! given is freed by the next [`Reclaimer::reclaim`], by a thread that is in [`Reclaimer::run`], or with the last handle;
//! until then it is charged to its account and quota; a thread in `run` is woken once for each change from nothing to
//! something, and by a stop (C27).

use std::sync::Arc;

use crate::fault::{self, Fault};
use crate::garbage::Garbage;
use crate::sync::{AtomicUsize, Mutex, Ordering, Signal};

/// Takes over the freeing of memory for any number of managers. Cloning shares it; two are equal if they are the same one.
///
/// Without one a manager frees memory on the thread of whoever made it free, after its lock was released. With one,
/// somebody must be in [`Reclaimer::run`], or call [`Reclaimer::reclaim`] now and then.
#[derive(Clone, Debug)]
pub struct Reclaimer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pending: Mutex<Pending>,
    pending_bytes: AtomicUsize,
    signal: Signal,
}

#[derive(Debug, Default)]
struct Pending {
    garbage: Vec<Garbage>,
    is_waited_for: bool,
    is_stopped: bool,
}

impl PartialEq for Reclaimer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Reclaimer {}

impl Default for Reclaimer {
    fn default() -> Self {
        Self::new()
    }
}

impl Reclaimer {
    /// A reclaimer with nothing to do.
    #[must_use]
    pub fn new() -> Self {
        let (pending, pending_bytes) = (Mutex::new(Pending::default()), AtomicUsize::new(0));
        Self(Arc::new(Shared {
            pending,
            pending_bytes,
            signal: Signal::new(),
        }))
    }

    /// Frees what there is now. Never waits. Returns whether there was anything.
    pub fn reclaim(&self) -> bool {
        let garbage = std::mem::take(&mut self.0.pending.lock().garbage);
        self.free(garbage)
    }

    /// Frees what is given from now on, waiting while there is nothing, until [`Reclaimer::stop`]; what was given before
    /// that is freed too. Several threads may be in here.
    pub fn run(&self) {
        loop {
            let mut pending = self.0.pending.lock();
            let garbage = std::mem::take(&mut pending.garbage);
            if garbage.is_empty() {
                if pending.is_stopped {
                    return;
                }
                pending.is_waited_for = true;
                // Under the lock: whoever gives something, or stops, after this raises it again.
                if !fault::is(Fault::ReclaimerLowersLate) {
                    self.0.signal.lower();
                }
                drop(pending);
                if fault::is(Fault::ReclaimerLowersLate) {
                    self.0.signal.lower();
                }
                self.0.signal.wait();
            } else {
                drop(pending);
                self.free(garbage);
            }
        }
    }

    /// Ends every [`Reclaimer::run`], now and from now on.
    pub fn stop(&self) {
        self.0.pending.lock().is_stopped = true;
        self.0.signal.raise();
    }

    /// Bytes that are still charged to accounts and quotas because nobody has freed them yet. Memory recovery need not
    /// recover as much: they come free anyway.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.0.pending_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn give(&self, garbage: Garbage) {
        self.0
            .pending_bytes
            .fetch_add(garbage.bytes(), Ordering::Relaxed);
        let mut pending = self.0.pending.lock();
        pending.garbage.push(garbage);
        let is_waited_for = std::mem::take(&mut pending.is_waited_for);
        drop(pending);
        if is_waited_for {
            self.0.signal.raise();
        }
    }

    fn free(&self, garbage: Vec<Garbage>) -> bool {
        let was_any = !garbage.is_empty();
        for garbage in garbage {
            let bytes = garbage.bytes();
            drop(garbage);
            self.0.pending_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        was_any
    }
}

#[cfg(all(test, not(checkpoint_loom)))]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{CheckpointConfig, CheckpointManager, Item, Key, Quota, QuotaConfig, Seqno};

    fn managed(reclaimer: &Reclaimer) -> (CheckpointManager, Quota) {
        let quota = Quota::new(QuotaConfig {
            limit_bytes: 1 << 20,
            ..QuotaConfig::default()
        })
        .expect("valid");
        let (quota_of, reclaimer) = (Some(quota.clone()), Some(reclaimer.clone()));
        let config = CheckpointConfig {
            quota: quota_of,
            reclaimer,
            ..CheckpointConfig::default()
        };
        (CheckpointManager::new(config, Seqno::ZERO), quota)
    }

    fn fill_and_expel(manager: &CheckpointManager) {
        for key in 0..100_u8 {
            manager
                .queue(Item::mutation(
                    Key::new(&[key]),
                    Bytes::from(vec![key; 100]),
                ))
                .expect("active");
        }
        assert_eq!(manager.expel(), 100);
        manager.expel();
    }

    #[test]
    fn memory_is_charged_until_it_is_reclaimed() {
        let reclaimer = Reclaimer::new();
        let (manager, quota) = managed(&reclaimer);
        assert!(!reclaimer.reclaim(), "there is nothing yet");
        fill_and_expel(&manager);
        let stats = manager.stats();
        assert_eq!((stats.items, stats.queue_bytes), (0, 0));
        assert!(
            reclaimer.pending_bytes() > 100 * 100,
            "{}",
            reclaimer.pending_bytes()
        );
        assert_eq!(quota.used_bytes(), reclaimer.pending_bytes());
        assert!(reclaimer.reclaim());
        assert_eq!((quota.used_bytes(), reclaimer.pending_bytes()), (0, 0));
    }

    #[test]
    fn a_thread_frees_until_it_is_stopped() {
        let reclaimer = Reclaimer::new();
        let (manager, quota) = managed(&reclaimer);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| reclaimer.run())).collect();
            (0..10).for_each(|_| fill_and_expel(&manager));
            reclaimer.stop();
            threads
                .into_iter()
                .for_each(|thread| thread.join().expect("it ends"));
        });
        assert_eq!((quota.used_bytes(), reclaimer.pending_bytes()), (0, 0));
        fill_and_expel(&manager);
        reclaimer.run();
        assert_eq!(
            quota.used_bytes(),
            0,
            "stopped, it frees what there is and returns"
        );
    }

    #[test]
    fn what_nobody_reclaims_goes_with_the_last_handle() {
        let reclaimer = Reclaimer::new();
        let (manager, quota) = managed(&reclaimer);
        fill_and_expel(&manager);
        drop(reclaimer);
        assert!(quota.used_bytes() > 0);
        drop(manager);
        assert_eq!(quota.used_bytes(), 0);
    }
}
