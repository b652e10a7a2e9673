//! The store as seen from outside: figures, and events for its observer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lowtide_checkpoint::{QuotaConfig, ResumePoint, Vbid};
use lowtide_persistence::{Health, StoreEvent, StoreObserver};

use crate::rig::{LONG, Rig};

const VB: Vbid = Vbid(0);

/// Counts events by kind.
#[derive(Debug, Default)]
struct Counting {
    flushed_items: AtomicU64,
    failed: AtomicU64,
    reopenings: AtomicU64,
    recoveries: AtomicU64,
    closed: AtomicU64,
}

impl StoreObserver for Counting {
    fn observe(&self, event: &StoreEvent<'_>) {
        let (counter, amount) = match *event {
            StoreEvent::Flushed { items, .. } => (&self.flushed_items, items as u64),
            StoreEvent::FlushFailed { .. } | StoreEvent::Reopening { .. } => (&self.failed, 1),
            StoreEvent::Reopened { .. } => (&self.reopenings, 1),
            StoreEvent::MemoryRecovered { .. } => (&self.recoveries, 1),
            StoreEvent::Closed => (&self.closed, 1),
            _ => return,
        };
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}

#[test]
fn figures_and_observer_report_the_same_events() {
    for rig in Rig::each() {
        let observer = Arc::new(Counting::default());
        let options = rig
            .options()
            .with_observer(observer.clone())
            .with_quota(QuotaConfig::default().with_limit_bytes(512 << 10));
        let store = rig.open_with(options);
        let mut follower = store
            .follow(VB, "stalled", ResumePoint::START)
            .expect("there");
        // It has a cursor from now on.
        while follower.poll().expect("there").is_some() {}
        let mut taken = 0;
        while taken < 2_000 {
            match store.set(VB, &format!("key-{taken}"), vec![7; 500]) {
                Ok(_) => taken += 1,
                Err(_) => assert!(store.wait_for_memory(LONG).expect("it is open")),
            }
        }
        store.flush(VB).expect("a working disk");
        rig.disk.fail_sync(1);
        let write = store.set(VB, "last", "x").expect("taken");
        write.wait_persisted().expect("it is written again");
        assert!(store.wait_for_health(Health::is_serving, LONG).is_serving());
        let stats = store.stats();
        assert_eq!((stats.vbuckets, stats.followers), (4, 1));
        // The last write that is taken may bring the use above the limit.
        assert!(stats.memory.used_bytes < 2 * stats.memory.limit_bytes);
        assert!(stats.documents.memory_bytes > 0 && stats.documents.entries > 0);
        assert!(stats.flushes > 0 && stats.flushed_items >= taken);
        assert!(stats.failed_flushes + stats.reopenings > 0);
        assert!(stats.engine.expect("it is open").common.commits > 0);
        drop(follower);
        assert_eq!(store.stats().followers, 0);
        store.close().expect("a working disk");
        let stats = store.stats();
        assert!(stats.engine.is_none());
        assert!(stats.memory_recoveries > 0);
        drop(store);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        assert_eq!(count(&observer.closed), 1, "it is closed once");
        assert!(count(&observer.flushed_items) >= taken);
        assert!(count(&observer.failed) > 0);
        assert_eq!(count(&observer.reopenings), stats.reopenings);
        assert!(count(&observer.recoveries) >= stats.memory_recoveries);
    }
}

/// Guards the limit of cached documents: idle vBuckets give back what became clean.
#[test]
fn documents_of_idle_vbuckets_are_evicted_down_to_the_limit() {
    for rig in Rig::each() {
        let limit_bytes = 64 << 10;
        let store = rig.open_with(rig.options().with_cache_bytes(limit_bytes));
        for vb in 0..4 {
            for number in 0..200 {
                let key = format!("key-{number}");
                let _taken = store.set(Vbid(vb), &key, vec![7; 1_000]).expect("taken");
            }
            store.flush(Vbid(vb)).expect("a working disk");
        }
        // The memory thread evicts after the flush was reported.
        while store.stats().documents.memory_bytes > limit_bytes {
            std::thread::yield_now();
        }
        for vb in 0..4 {
            let document = store.get(Vbid(vb), "key-7").expect("readable");
            assert_eq!(document.expect("it is on disk").value.len(), 1_000);
        }
    }
}
