//! An engine of one's own under the whole store: sorted maps in memory, which outlive each opening as
//! files would.
//!
//! An engine commits batches and serves snapshots. It has no threads and no clock. Its contract is the
//! documentation of [`Engine`].
//!
//! `cargo run -p lowtide-persistence --example custom_engine`

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use lowtide_checkpoint::{
    Item, ItemLimits, Key, Namespace, Operation, ResumePoint, Seqno, VBucketState, Vbid,
};
use lowtide_persistence::disk::{Disk, MemoryDisk};
use lowtide_persistence::{
    Capabilities, CommitBatch, Committed, CompactionRequest, Engine, EngineError, EngineStats,
    FollowerEvent, Job, KeyRange, KeySlice, OpenEngine, RecoveryReport, RetainedHistory,
    RolledBack, ScanLimit, ScanSlice, Snapshot, Store, StoreOptions, VBucketInfo,
};

/// Rows of one vBucket: each key's newest revision, by seqno and by key.
#[derive(Clone, Debug, Default)]
struct Contents {
    rows: BTreeMap<Seqno, Item>,
    keys: BTreeMap<(Namespace, Key), Seqno>,
    state: Option<VBucketState>,
    high: Seqno,
    purge: Seqno,
}

impl Contents {
    fn put(&mut self, namespace: Namespace, item: &Item) {
        let key = (namespace, item.key.clone());
        if let Some(replaced) = self.keys.insert(key, item.seqno) {
            self.rows.remove(&replaced);
        }
        self.rows.insert(item.seqno, item.clone());
        self.high = item.seqno;
    }

    fn commit(&mut self, batch: &CommitBatch<'_>) -> Result<Committed, EngineError> {
        let (vb, mut previous) = (batch.vb, self.high);
        let before = previous;
        let items = batch.items.iter();
        // A state among the items stands in `batch.state`, too.
        let items = items.filter_map(|item| Some((item.operation.namespace()?, *item)));
        for seqno in items.clone().map(|(_, item)| item.seqno) {
            if seqno <= previous {
                return Err(EngineError::OutOfOrder {
                    vb,
                    seqno,
                    previous,
                });
            }
            previous = seqno;
        }
        items.for_each(|(namespace, item)| self.put(namespace, item));
        self.state = Some(batch.state.clone());
        Ok(Committed::new(
            self.high,
            self.rows.range(before.next()..).count(),
        ))
    }

    fn purge(&mut self, upto: Seqno) -> Seqno {
        let upto = upto.min(self.high.prev());
        let is_purged = |item: &Item| item.seqno <= upto && is_tombstone(item);
        let purged = self.rows.values().filter(|item| is_purged(item));
        self.purge = purged
            .map(|item| item.seqno)
            .max()
            .unwrap_or(self.purge)
            .max(self.purge);
        self.rows.retain(|_, item| !is_purged(item));
        let rows = &self.rows;
        self.keys.retain(|_, seqno| rows.contains_key(seqno));
        self.purge
    }
}

fn is_tombstone(item: &Item) -> bool {
    item.operation == Operation::Abort || item.deleted && item.operation != Operation::Prepare
}

/// A pinned vBucket. A commit copies what is pinned.
#[derive(Debug)]
struct Pinned(Arc<Contents>);

impl Snapshot for Pinned {
    fn high(&self) -> Seqno {
        self.0.high
    }

    fn state(&self) -> Option<&VBucketState> {
        self.0.state.as_ref()
    }

    fn info(&self) -> VBucketInfo {
        let deleted = self
            .0
            .rows
            .values()
            .filter(|item| is_tombstone(item))
            .count();
        let items = self.0.rows.len() - deleted;
        let info = VBucketInfo::new(self.0.high, items as u64);
        info.with_deleted(deleted as u64).with_purge(self.0.purge)
    }

    fn get(&self, namespace: Namespace, key: &Key) -> Result<Option<Item>, EngineError> {
        let seqno = self.0.keys.get(&(namespace, key.clone()));
        Ok(seqno.and_then(|seqno| self.0.rows.get(seqno)).cloned())
    }

    fn scan(&self, from: Seqno, to: Seqno, limit: ScanLimit) -> Result<ScanSlice, EngineError> {
        let rows = self.0.rows.range(from..).map(|(_, item)| item);
        let rows = rows.take_while(|item| item.seqno <= to);
        let (items, next) = slice(rows, limit);
        Ok(ScanSlice::new(items, next.map(|item| item.seqno)))
    }

    fn scan_keys(&self, range: &KeyRange, limit: ScanLimit) -> Result<KeySlice, EngineError> {
        let from = Bound::Included((range.namespace, range.from.clone()));
        let is_before = |key: &Key| range.to.as_ref().is_none_or(|to| key < to);
        let keys = self.0.keys.range((from, Bound::Unbounded));
        let keys = keys
            .take_while(|((namespace, key), _)| *namespace == range.namespace && is_before(key));
        let rows = keys.filter_map(|(_, seqno)| self.0.rows.get(seqno));
        let (items, next) = slice(rows, limit);
        Ok(KeySlice::new(items, next.map(|item| item.key.clone())))
    }

    fn count(&self, from: Seqno, to: Seqno) -> Result<u64, EngineError> {
        let rows = self
            .0
            .rows
            .range(from..)
            .take_while(|&(&seqno, _)| seqno <= to);
        Ok(rows.count() as u64)
    }
}

/// Returns rows up to the limit, at least one, and the row that follows.
fn slice<'a>(
    rows: impl Iterator<Item = &'a Item>,
    limit: ScanLimit,
) -> (Vec<Item>, Option<&'a Item>) {
    let (mut items, mut bytes) = (Vec::new(), 0);
    for item in rows {
        if !items.is_empty() && (items.len() >= limit.items || bytes >= limit.bytes) {
            return (items, Some(item));
        }
        bytes += item.payload_bytes();
        items.push(item.clone());
    }
    (items, None)
}

/// The part that outlives each engine, as files would.
type Files = Arc<Mutex<BTreeMap<Vbid, Arc<Contents>>>>;

#[derive(Clone, Debug, Default)]
struct MapFiles(Files);

impl OpenEngine for MapFiles {
    fn open(
        &self,
        _disk: Arc<dyn Disk>,
        dir: &Path,
    ) -> Result<(Arc<dyn Engine>, RecoveryReport), EngineError> {
        let engine = MapEngine {
            files: Arc::clone(&self.0),
            path: dir.to_owned(),
            is_closed: AtomicBool::new(false),
        };
        Ok((Arc::new(engine), RecoveryReport::default()))
    }
}

#[derive(Debug)]
struct MapEngine {
    files: Files,
    path: PathBuf,
    is_closed: AtomicBool,
}

impl MapEngine {
    fn with<T>(
        &self,
        run: impl FnOnce(&mut BTreeMap<Vbid, Arc<Contents>>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        if self.is_closed.load(Ordering::Acquire) {
            let path = self.path.clone();
            return Err(EngineError::Closed { path });
        }
        run(&mut self.files.lock().expect("no thread panics here"))
    }

    fn with_vbucket<T>(
        &self,
        vb: Vbid,
        run: impl FnOnce(&mut Arc<Contents>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        self.with(|all| run(all.get_mut(&vb).ok_or(EngineError::UnknownVBucket { vb })?))
    }
}

impl Engine for MapEngine {
    fn name(&self) -> &'static str {
        "map"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(ItemLimits::DEFAULT, RetainedHistory::Pinned)
    }

    fn create(&self, vb: Vbid) -> Result<(), EngineError> {
        self.with(|all| {
            if all.contains_key(&vb) {
                return Err(EngineError::VBucketExists { vb });
            }
            all.insert(vb, Arc::default());
            Ok(())
        })
    }

    fn drop_vbucket(&self, vb: Vbid) -> Result<(), EngineError> {
        self.with(|all| {
            all.remove(&vb)
                .map(drop)
                .ok_or(EngineError::UnknownVBucket { vb })
        })
    }

    fn vbuckets(&self) -> Vec<Vbid> {
        self.with(|all| Ok(all.keys().copied().collect()))
            .unwrap_or_default()
    }

    fn commit(&self, batches: &[CommitBatch<'_>]) -> Vec<Result<Committed, EngineError>> {
        let mut failed = BTreeSet::new();
        let commit = |batch: &CommitBatch<'_>| {
            let vb = batch.vb;
            if failed.contains(&vb) {
                return Err(EngineError::EarlierBatchFailed { vb });
            }
            let committed = self.with_vbucket(vb, |contents| Arc::make_mut(contents).commit(batch));
            if committed.is_err() {
                failed.insert(vb);
            }
            committed
        };
        batches.iter().map(commit).collect()
    }

    fn rollback(&self, vb: Vbid, to: Seqno) -> Result<RolledBack, EngineError> {
        self.with_vbucket(vb, |contents| {
            let high = contents.high;
            Ok(if high <= to {
                RolledBack::Done { high }
            } else {
                RolledBack::NeedsReset { lowest: high }
            })
        })
    }

    fn purge(&self, vb: Vbid, upto: Seqno) -> Result<Seqno, EngineError> {
        self.with_vbucket(vb, |contents| Ok(Arc::make_mut(contents).purge(upto)))
    }

    fn snapshot(&self, vb: Vbid) -> Result<Box<dyn Snapshot>, EngineError> {
        self.with_vbucket(vb, |contents| {
            Ok(Box::new(Pinned(Arc::clone(contents))) as _)
        })
    }

    fn info(&self, vb: Vbid) -> Result<VBucketInfo, EngineError> {
        Ok(self.snapshot(vb)?.info())
    }

    fn compact(&self, _: Vbid, _: CompactionRequest) -> Result<Box<dyn Job>, EngineError> {
        let (path, what) = (self.path.clone(), "maps need no compaction".to_owned());
        Err(EngineError::Unsupported { path, what })
    }

    fn maintenance(&self) -> Option<Box<dyn Job>> {
        None
    }

    fn check(&self, vb: Vbid) -> Result<Vec<String>, EngineError> {
        self.with_vbucket(vb, |_| Ok(Vec::new()))
    }

    fn stats(&self) -> EngineStats {
        EngineStats::default()
    }

    fn close(&self) -> Result<(), EngineError> {
        self.is_closed.store(true, Ordering::Release);
        Ok(())
    }
}

/// Runs the example.
pub fn main() -> Result<(), Box<dyn Error>> {
    let vb = Vbid(0);
    let options = StoreOptions::new(MapFiles::default()).with_disk(Arc::new(MemoryDisk::new()));
    let store = Store::open("/store", options.clone())?;
    let _ = store.set(vb, "apple", "red")?;
    let _ = store.set(vb, "pear", "green")?;
    store.delete(vb, "pear")?.wait_persisted()?;
    store.close()?;
    drop(store);

    let store = Store::open("/store", options)?;
    assert!(store.report().was_orderly);
    let apple = store.get(vb, "apple")?.ok_or("it was committed")?;
    assert_eq!(&apple.value[..], b"red");
    // What memory no longer has, followers read from the engine.
    let mut follower = store.follow(vb, "reader", ResumePoint::START)?;
    let mut items_read = 0;
    while let Some(followed) = follower.poll()? {
        if let FollowerEvent::Items(items) = followed.event {
            assert!(items.are_from_disk());
            items_read += items.iter().count();
        }
    }
    println!("{items_read} items from the map");
    assert_eq!(items_read, 2);
    Ok(store.close()?)
}
