//! A store on a disk in memory, with a clock and names of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lowtide_persistence::disk::{Disk, Fault, FaultyDisk, MemoryDisk};
use lowtide_persistence::logstor::LogstorConfig;
use lowtide_persistence::{Host, Store, StoreOptions};

/// Longer than anything takes here; never waited for in a test that passes.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A clock that a test sets, and names in their order.
#[derive(Debug)]
pub(crate) struct TestHost {
    pub(crate) seconds: AtomicU64,
    uuids: AtomicU64,
}

impl Default for TestHost {
    fn default() -> Self {
        Self {
            seconds: AtomicU64::new(1_000),
            uuids: AtomicU64::new(1),
        }
    }
}

impl Host for TestHost {
    fn now_nanos(&self) -> u64 {
        self.seconds.load(Ordering::Relaxed) * 1_000_000_000
    }

    fn draw_uuid(&self) -> u64 {
        self.uuids.fetch_add(1, Ordering::Relaxed)
    }
}

/// A directory that outlives its stores.
#[derive(Clone, Debug)]
pub(crate) struct Rig {
    pub(crate) disk: FaultyDisk,
    pub(crate) host: Arc<TestHost>,
    pub(crate) is_couchstore: bool,
}

impl Rig {
    pub(crate) fn new(is_couchstore: bool) -> Self {
        Self {
            disk: FaultyDisk::new(MemoryDisk::new()),
            host: Arc::default(),
            is_couchstore,
        }
    }

    /// Returns a rig for each engine.
    pub(crate) fn each() -> [Self; 2] {
        [false, true].map(Self::new)
    }

    /// Makes every I/O fail that changes something, until the faults are cleared.
    pub(crate) fn break_disk(&self) {
        self.disk.fail_every_io(Fault::Eio);
    }

    pub(crate) fn options(&self) -> StoreOptions {
        let options = if self.is_couchstore {
            StoreOptions::couchstore()
        } else {
            // Small segments, so that a test's disk in memory stays small.
            let config = LogstorConfig::new([1, 2]).with_segment_bytes(64 << 10);
            StoreOptions::new(config)
        };
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        options
            .with_disk(disk)
            .with_host(self.host.clone())
            .with_vbuckets(4)
    }

    pub(crate) fn open(&self) -> Store {
        self.open_with(self.options())
    }

    pub(crate) fn open_with(&self, options: StoreOptions) -> Store {
        Store::open("/store", options).expect("a sound store")
    }
}
