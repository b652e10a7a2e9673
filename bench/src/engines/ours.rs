//! Our engines, through the trait that the flusher uses, with one vBucket.
//!
//! Checksums are verified on every read from a file. The time to convert the benchmark's items into
//! ours is counted. A scan passes on the items it reads, as in the peers that can; couchstore makes
//! items for it, a MiB at a time. Upkeep, if wanted, is done as a host does it: by a thread that
//! takes the jobs that the engine offers.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lowtide_checkpoint::{
    FailoverLog, Item, Key as ItemKey, Namespace, Seqno, State, VBucketState, VbUuid, Vbid,
};
use lowtide_persistence::{Budget, CommitBatch, CompactionRequest, Engine, Job, JobProgress};

use super::{Compaction, Key, See, Store, Write};

const VB: Vbid = Vbid(0);
/// Budget of one step of a job.
const STEP: Budget = Budget::new(1024, 256 << 10);
/// Time that the upkeep thread waits if there is no job, or if commits have precedence.
const PAUSE: Duration = Duration::from_millis(1);

/// Calls back with a store of one vBucket; closes it afterwards.
pub fn with(engine: Arc<dyn Engine>, has_upkeep: bool, then: &mut dyn FnMut(&mut dyn Store)) {
    if engine.vbuckets().is_empty() {
        engine.create(VB).expect("new");
    }
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let upkeep = || {
            while !is_over.load(Ordering::Relaxed) {
                match engine.maintenance() {
                    Some(job) => run(job, &is_over),
                    None => std::thread::park_timeout(PAUSE),
                }
            }
        };
        if has_upkeep {
            scope.spawn(upkeep);
        }
        then(&mut Ours {
            engine: Arc::clone(&engine),
            state: state(),
        });
        is_over.store(true, Ordering::Relaxed);
    });
    engine.close().expect("closes");
}

/// Returns the vBucket state of a store without nodes.
pub fn state() -> VBucketState {
    VBucketState::new(State::Active, FailoverLog::new(VbUuid(1)))
}

fn run(mut job: Box<dyn Job>, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        match job.step(STEP).expect("works") {
            JobProgress::Done(_) => return,
            JobProgress::Ahead => std::thread::park_timeout(PAUSE),
            _ => {}
        }
    }
}

/// Converts the benchmark's item into one of ours.
pub fn item(write: &Write) -> Item {
    Item {
        seqno: Seqno(write.seqno),
        ..Item::mutation(ItemKey::new(&write.key), write.value.clone())
    }
}

struct Ours {
    engine: Arc<dyn Engine>,
    state: VBucketState,
}

impl Store for Ours {
    fn commit(&mut self, writes: &[Write]) {
        let items: Vec<Item> = writes.iter().map(item).collect();
        let items: Vec<&Item> = items.iter().collect();
        self.state.snapshot_end = items.last().expect("not empty").seqno;
        let batch = CommitBatch::new(VB, &items, &self.state).with_timestamp(1);
        for result in self.engine.commit(&[batch]) {
            result.expect("commits");
        }
    }

    fn scan(&self, see: See<'_>) {
        let snapshot = self.engine.snapshot(VB).expect("known");
        let visited = snapshot.visit(Seqno::ZERO, snapshot.high(), &mut |item| {
            let user = ItemKey::parts(item.key).map_or(&[][..], |(_, user)| user);
            see(item.seqno.0, user, item.value.unwrap_or_default());
            ControlFlow::Continue(())
        });
        visited.expect("sound");
    }

    fn gets(&self, keys: &[Key], see: &mut dyn FnMut(&[u8])) {
        let snapshot = self.engine.snapshot(VB).expect("known");
        for key in keys {
            let item = snapshot
                .get(Namespace::Committed, &ItemKey::new(key))
                .expect("sound");
            see(item.expect("written").value.as_deref().unwrap_or_default());
        }
    }

    fn get(&self, key: &Key, see: &mut dyn FnMut(&[u8])) {
        let item = self
            .engine
            .get(VB, Namespace::Committed, &ItemKey::new(key))
            .expect("sound");
        see(item.expect("written").value.as_deref().unwrap_or_default());
    }

    fn high(&self) -> u64 {
        self.engine.info(VB).expect("known").high.0
    }

    fn compaction(&self) -> Option<Compaction> {
        let engine = Arc::clone(&self.engine);
        Some(Box::new(move || {
            let mut job = engine
                .compact(VB, CompactionRequest::default())
                .expect("begins");
            loop {
                match job.step(STEP).expect("works") {
                    JobProgress::Done(_) => return,
                    JobProgress::Ahead => std::thread::park_timeout(PAUSE),
                    _ => {}
                }
            }
        }))
    }

    fn used_bytes(&self) -> Option<u64> {
        let stats = self.engine.stats();
        let (free, all) = (stats.get("free-segments")?, stats.get("segments")?);
        Some(stats.common.file_bytes / all * (all - free))
    }
}
