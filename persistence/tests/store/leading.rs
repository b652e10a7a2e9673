//! Threads that wait for a write and flush in their flusher's place.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::ThreadId;

use lowtide_checkpoint::Vbid;
use lowtide_persistence::{Health, StoreError, StoreEvent, StoreObserver};

use crate::rig::{LONG, Rig};

const VB: Vbid = Vbid(0);

/// Writes of which one at least is flushed by its own thread: the flusher may be faster each time.
const ATTEMPTS: u32 = 100_000;

/// Counts the flushes of one thread, or panics at the first.
#[derive(Debug)]
struct OfThread {
    thread: ThreadId,
    flushes: AtomicU64,
    panics: bool,
}

impl OfThread {
    fn this(panics: bool) -> Arc<Self> {
        Arc::new(Self {
            thread: std::thread::current().id(),
            flushes: AtomicU64::new(0),
            panics,
        })
    }
}

impl StoreObserver for OfThread {
    fn observe(&self, event: &StoreEvent<'_>) {
        let is_flush = matches!(event, StoreEvent::Flushed { .. });
        if is_flush && std::thread::current().id() == self.thread {
            self.flushes.fetch_add(1, Ordering::Relaxed);
            assert!(!self.panics, "the leader panics");
        }
    }
}

#[test]
fn waiting_thread_flushes_while_its_flusher_sleeps() {
    for rig in Rig::each() {
        let observer = OfThread::this(false);
        let store = rig.open_with(rig.options().with_observer(observer.clone()));
        for number in 0..ATTEMPTS {
            let write = store.set(VB, &format!("{number}"), "x").expect("taken");
            write.wait_persisted().expect("a working disk");
            if observer.flushes.load(Ordering::Relaxed) > 0 {
                break;
            }
        }
        assert!(observer.flushes.load(Ordering::Relaxed) > 0);
        store.close().expect("a working disk");
    }
}

/// Guards R13: the shard is gone with the thread, and all that wait for it learn so.
#[test]
fn leader_that_panics_ends_the_flushing_of_its_store() {
    for rig in Rig::each() {
        let observer = OfThread::this(true);
        let store = rig.open_with(rig.options().with_observer(observer));
        let has_panicked = (0..ATTEMPTS).any(|number| {
            catch_unwind(AssertUnwindSafe(|| {
                let write = store.set(VB, &format!("{number}"), "x").expect("taken");
                write.wait_persisted().expect("a working disk");
            }))
            .is_err()
        });
        assert!(has_panicked);
        let health = store.wait_for_health(|health| matches!(health, Health::Closed), LONG);
        assert!(matches!(health, Health::Closed), "{health}");
        let write = store.set(VB, "after", "x").expect("memory takes it");
        let end = write.wait_persisted().expect_err("it is never persisted");
        assert!(matches!(end, StoreError::Closed), "{end}");
        // The flusher has no shard to wait for.
        drop(store);
    }
}
