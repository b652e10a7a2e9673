//! An engine that records the sizes of its commits, and the repetition of these commits without a
//! store.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lowtide_checkpoint::{Item, Key, Namespace, Seqno, VBucketState, Vbid};
use lowtide_persistence::disk::Disk;
use lowtide_persistence::{
    Budget, Capabilities, CommitBatch, Committed, CompactionRequest, Engine, EngineError,
    EngineStats, Job, JobProgress, OpenEngine, RecoveryReport, RolledBack, Snapshot, VBucketInfo,
};

use crate::engines::ours;

/// Sizes of one commit: the number of items of each vBucket.
pub type Sizes = Vec<(Vbid, usize)>;

/// Commits in their order.
#[derive(Clone, Debug, Default)]
pub struct Record(Arc<Mutex<Vec<Sizes>>>);

impl Record {
    /// Takes the commits so far.
    pub fn take(&self) -> Vec<Sizes> {
        std::mem::take(&mut *self.0.lock().expect("no thread panics"))
    }
}

/// A way to open an engine that records its commits.
#[derive(Debug)]
pub struct Recording<O> {
    pub inner: O,
    pub record: Record,
}

#[derive(Debug)]
struct Recorded {
    inner: Arc<dyn Engine>,
    record: Record,
}

impl<O: OpenEngine> OpenEngine for Recording<O> {
    fn open(
        &self,
        disk: Arc<dyn Disk>,
        dir: &Path,
    ) -> Result<(Arc<dyn Engine>, RecoveryReport), EngineError> {
        let (inner, report) = self.inner.open(disk, dir)?;
        let record = self.record.clone();
        Ok((Arc::new(Recorded { inner, record }), report))
    }
}

impl Engine for Recorded {
    fn commit(&self, batches: &[CommitBatch<'_>]) -> Vec<Result<Committed, EngineError>> {
        let sizes = batches.iter().map(|batch| (batch.vb, batch.items.len()));
        let sizes = sizes.collect();
        self.record.0.lock().expect("no thread panics").push(sizes);
        self.inner.commit(batches)
    }

    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn create(&self, vb: Vbid) -> Result<(), EngineError> {
        self.inner.create(vb)
    }

    fn drop_vbucket(&self, vb: Vbid) -> Result<(), EngineError> {
        self.inner.drop_vbucket(vb)
    }

    fn vbuckets(&self) -> Vec<Vbid> {
        self.inner.vbuckets()
    }

    fn rollback(&self, vb: Vbid, to: Seqno) -> Result<RolledBack, EngineError> {
        self.inner.rollback(vb, to)
    }

    fn purge(&self, vb: Vbid, upto: Seqno) -> Result<Seqno, EngineError> {
        self.inner.purge(vb, upto)
    }

    fn get(&self, vb: Vbid, namespace: Namespace, key: &Key) -> Result<Option<Item>, EngineError> {
        self.inner.get(vb, namespace, key)
    }

    fn snapshot(&self, vb: Vbid) -> Result<Box<dyn Snapshot>, EngineError> {
        self.inner.snapshot(vb)
    }

    fn info(&self, vb: Vbid) -> Result<VBucketInfo, EngineError> {
        self.inner.info(vb)
    }

    fn compact(&self, vb: Vbid, request: CompactionRequest) -> Result<Box<dyn Job>, EngineError> {
        self.inner.compact(vb, request)
    }

    fn maintenance(&self) -> Option<Box<dyn Job>> {
        self.inner.maintenance()
    }

    fn check(&self, vb: Vbid) -> Result<Vec<String>, EngineError> {
        self.inner.check(vb)
    }

    fn stats(&self) -> EngineStats {
        self.inner.stats()
    }

    fn close(&self) -> Result<(), EngineError> {
        self.inner.close()
    }
}

/// Repeats commits of these sizes, each by the thread of its vBuckets. Items, references and states
/// are made before. Upkeep runs on a thread of its own, as in a store. Returns the time.
pub fn repeat(
    engine: &dyn Engine,
    commits: &[Sizes],
    items: &[Vec<Item>],
    threads: usize,
) -> Duration {
    let references: Vec<Vec<&Item>> = items.iter().map(|items| items.iter().collect()).collect();
    let mut taken = vec![0; items.len()];
    let calls: Vec<Call<'_>> = commits
        .iter()
        .map(|sizes| {
            let parts = sizes.iter().map(|&(vb, count)| {
                let start = taken[usize::from(vb.0)];
                taken[usize::from(vb.0)] += count;
                let items = &references[usize::from(vb.0)][start..start + count];
                let state = VBucketState {
                    snapshot_end: items.last().map_or(Seqno::ZERO, |item| item.seqno),
                    ..ours::state()
                };
                (vb, items, state)
            });
            Call(parts.collect())
        })
        .collect();
    let is_over = AtomicBool::new(false);
    let mut took = Duration::ZERO;
    std::thread::scope(|scope| {
        scope.spawn(|| keep_up(engine, &is_over));
        let started = Instant::now();
        let committing: Vec<_> = (0..threads)
            .map(|thread| {
                let calls = calls
                    .iter()
                    .filter(move |call| call.thread(threads) == thread);
                scope.spawn(move || calls.for_each(|call| call.commit(engine)))
            })
            .collect();
        for thread in committing {
            thread.join().expect("commits");
        }
        took = started.elapsed();
        is_over.store(true, Ordering::Relaxed);
    });
    took
}

struct Call<'a>(Vec<(Vbid, &'a [&'a Item], VBucketState)>);

impl Call<'_> {
    fn thread(&self, threads: usize) -> usize {
        self.0.first().map_or(0, |(vb, ..)| usize::from(vb.0)) % threads
    }

    fn commit(&self, engine: &dyn Engine) {
        let parts = self.0.iter();
        let batches: Vec<_> = parts
            .map(|(vb, items, state)| CommitBatch::new(*vb, items, state).with_timestamp(1))
            .collect();
        for result in engine.commit(&batches) {
            result.expect("a working disk");
        }
    }
}

/// Runs the jobs that the engine offers, until all is over.
fn keep_up(engine: &dyn Engine, is_over: &AtomicBool) {
    const PAUSE: Duration = Duration::from_millis(1);
    while !is_over.load(Ordering::Relaxed) {
        let Some(mut job) = engine.maintenance() else {
            std::thread::park_timeout(PAUSE);
            continue;
        };
        while !is_over.load(Ordering::Relaxed) {
            match job.step(Budget::new(1_000, 1 << 20)).expect("works") {
                JobProgress::Done(_) => break,
                JobProgress::Ahead => std::thread::park_timeout(PAUSE),
                _ => {}
            }
        }
    }
}
