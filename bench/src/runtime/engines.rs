//! The engines of the runtime's benchmarks, and the documents that are written.
//!
//! logstor has files of 256 MiB made before the first timed write, as in `crate::engines::logstor`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lowtide_checkpoint::{QuotaConfig, Vbid};
use lowtide_persistence::couchstore::CouchstoreConfig;
use lowtide_persistence::disk::OsDisk;
use lowtide_persistence::logstor::LogstorConfig;
use lowtide_persistence::{
    Budget, Engine, JobProgress, OpenEngine, Store, StoreError, StoreOptions,
};

use crate::engines::Key;
use crate::race::scramble;
use crate::store::work;

pub const VBUCKETS: u16 = 64;
const PREPARED_BYTES: u64 = 256 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    Logstor,
    Couchstore,
}

impl EngineKind {
    /// Returns the engines of these names; both if there are no names.
    pub fn wanted(names: &[String]) -> Vec<Self> {
        let all = [Self::Logstor, Self::Couchstore];
        let is_wanted =
            |kind: &Self| names.is_empty() || names.iter().any(|name| name == kind.name());
        all.into_iter().filter(is_wanted).collect()
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Logstor => "logstor",
            Self::Couchstore => "couchstore",
        }
    }

    pub fn options(self) -> StoreOptions {
        let options = match self {
            Self::Logstor => StoreOptions::new(logstor()),
            Self::Couchstore => StoreOptions::couchstore(),
        };
        options.with_vbuckets(VBUCKETS)
    }

    /// Opens a store with these options. Returns it once its files are made.
    pub fn open(self, dir: &Path, options: StoreOptions) -> Store {
        let store = Store::open(dir, options).expect("opens");
        let is_made = |store: &Store| {
            let bytes = store.stats().engine.expect("open").common.file_bytes;
            self == Self::Couchstore || bytes >= PREPARED_BYTES
        };
        while !is_made(&store) {
            // Upkeep begins with a flush.
            let write = store.set(Vbid(0), b"first", "").expect("taken");
            write.wait_persisted().expect("a working disk");
            std::thread::park_timeout(Duration::from_millis(10));
        }
        store
    }

    /// Opens the engine alone, with the vBuckets and the files of a store.
    pub fn open_engine(self, dir: &Path) -> Arc<dyn Engine> {
        let disk = Arc::new(OsDisk::new());
        let opened = match self {
            Self::Logstor => logstor().open(disk, dir),
            Self::Couchstore => CouchstoreConfig::default().open(disk, dir),
        };
        let (engine, _) = opened.expect("opens");
        for vb in (0..VBUCKETS).map(Vbid) {
            engine.create(vb).expect("new");
        }
        while let Some(mut job) = engine.maintenance() {
            while !matches!(job.step(Budget::NONE).expect("works"), JobProgress::Done(_)) {}
        }
        engine
    }
}

pub fn logstor() -> LogstorConfig {
    LogstorConfig::new([1, 2]).with_prepared_bytes(PREPARED_BYTES)
}

/// Returns a quota that never refuses what the benchmark writes.
pub fn large_quota() -> QuotaConfig {
    QuotaConfig::default().with_limit_bytes(4 << 30)
}

/// A document to write.
pub struct Document {
    pub vb: Vbid,
    pub key: Key,
    pub value: Bytes,
}

/// Returns document number `n`, with the value of its revision.
pub fn document(n: u64, revision: u64) -> Document {
    Document {
        vb: vb_of(n),
        key: work::key(n),
        value: work::value(n ^ revision << 40),
    }
}

pub fn vb_of(n: u64) -> Vbid {
    Vbid((scramble(n ^ 0x5bd1) % u64::from(VBUCKETS)) as u16)
}

/// Writes a document. While memory is used up, it waits and tries again.
pub fn set(store: &Store, vb: Vbid, key: &Key, value: &Bytes) {
    loop {
        match store.set(vb, key, value.clone()) {
            Ok(_write) => return,
            Err(StoreError::NoMemory { .. }) => {
                let long = Duration::from_secs(60);
                assert!(store.wait_for_memory(long).expect("open"), "a working disk");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits until everything is persisted.
pub fn flush(store: &Store) {
    for vb in (0..VBUCKETS).map(Vbid) {
        store.flush(vb).expect("a working disk");
    }
}

/// Returns the value of a quantile, in thousandths, of sorted values.
pub fn quantile(sorted: &[u64], permille: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(last * permille / 1_000)
        .map_or(f64::NAN, |&value| value as f64)
}
