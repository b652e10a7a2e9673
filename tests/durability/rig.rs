//! The storage path of one node without a node: vBuckets, a flusher and a couchstore on a disk that
//! fails on demand, and a recount of their contents.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{
    AfterStop, CheckpointConfig, FailoverLog, Item, Key, ReadLimit, ResumePoint, Seqno,
    SnapshotMarker, SnapshotType, State, VBucket, VBucketState, VbUuid, Vbid,
};
use lowtide_persistence::couchstore::{Couchstore, CouchstoreConfig};
use lowtide_persistence::disk::{FaultyDisk, MemoryDisk};
use lowtide_persistence::{Engine, EngineError, Flushed, Flusher};
use support::history::History;
use support::stores::{self, StoredVBucket};

const DIR: &str = "/store";

/// vBucket that takes writes.
pub(crate) const ACTIVE: Vbid = Vbid(0);
/// vBucket that receives the same changes in an active's snapshots.
pub(crate) const REPLICA: Vbid = Vbid(1);
pub(crate) const VBS: [Vbid; 2] = [ACTIVE, REPLICA];

/// Changes in order; both vBuckets get all of them.
const CHANGES: [(&str, Option<usize>); 14] = [
    ("a", Some(10)),
    ("b", Some(700)),
    ("a", Some(20)),
    ("c", Some(0)),
    ("b", None),
    ("d", Some(9_000)),
    ("a", Some(30)),
    ("c", None),
    ("b", Some(5)),
    ("e", Some(40)),
    ("a", None),
    ("d", Some(50)),
    ("f", Some(1_500)),
    ("a", Some(60)),
];

/// Step of a script.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// The active takes the changes up to that seqno.
    Write(u64),
    /// The active closes its checkpoint.
    CloseCheckpoint,
    /// A snapshot that starts after the last one, and ends at that seqno, is announced to the
    /// replica.
    Announce(u64),
    /// The replica receives the snapshot's items up to that seqno.
    Receive(u64),
    /// Everything is flushed.
    Flush,
}

/// Commits of one and of several checkpoints, of half snapshots, and one without new items for the
/// replica.
pub(crate) const SCRIPT: [Step; 15] = [
    Step::Write(3),
    Step::Announce(4),
    Step::Receive(3),
    Step::Flush,
    Step::Write(7),
    Step::CloseCheckpoint,
    Step::Write(9),
    Step::Receive(4),
    Step::Announce(10),
    Step::Receive(8),
    Step::Flush,
    Step::Receive(10),
    Step::Write(10),
    Step::CloseCheckpoint,
    Step::Flush,
];

/// Steps after [`SCRIPT`], which check that everything continues.
pub(crate) const EPILOGUE: [Step; 5] = [
    Step::Write(14),
    Step::Receive(10),
    Step::Announce(14),
    Step::Receive(14),
    Step::Flush,
];

/// Returns the recount of [`CHANGES`].
pub(crate) fn history() -> History {
    let mut history = History::default();
    for (index, (key, size)) in CHANGES.into_iter().enumerate() {
        let value = size.map(|size| Bytes::from(vec![b'a' + index as u8; size]));
        history.push(key.as_bytes(), value);
    }
    history
}

fn state(vb: Vbid) -> VBucketState {
    let state = if vb == ACTIVE {
        State::Active
    } else {
        State::Replica
    };
    VBucketState::new(state, FailoverLog::new(VbUuid(7)))
}

fn vbucket(vb: Vbid, state: &VBucketState, high: Seqno) -> VBucket {
    let config = CheckpointConfig::persistent();
    // Only the disk matters here, so the active keeps its branch.
    VBucket::recover(vb, state, high, state.state, AfterStop::Orderly, config)
        .expect("it stays what it was")
}

pub(crate) fn open(disk: &FaultyDisk) -> Result<Couchstore, EngineError> {
    Couchstore::open(
        Arc::new(disk.clone()),
        Path::new(DIR),
        CouchstoreConfig::default(),
    )
    .map(|(engine, _)| engine)
}

/// The storage path of one node.
pub(crate) struct Rig {
    pub(crate) disk: FaultyDisk,
    pub(crate) engine: Option<Couchstore>,
    vbuckets: BTreeMap<Vbid, VBucket>,
    flusher: Flusher,
    history: History,
    /// Seqnos that a flush reported as durable.
    pub(crate) acknowledged: BTreeMap<Vbid, Seqno>,
    /// End of the replica's snapshot.
    announced: Seqno,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let mut flusher = Flusher::new(ReadLimit::NONE.with_items(3).with_bytes(usize::MAX));
        let mut vbuckets = BTreeMap::new();
        for vb in VBS {
            vbuckets.insert(vb, vbucket(vb, &state(vb), Seqno::ZERO));
            flusher.attach(vb, state(vb), Seqno::ZERO);
        }
        Self {
            disk: FaultyDisk::new(MemoryDisk::new()),
            engine: None,
            vbuckets,
            flusher,
            history: history(),
            acknowledged: BTreeMap::new(),
            announced: Seqno::ZERO,
        }
    }

    /// Opens the store, creates missing vBuckets, and makes the flusher continue at the others'
    /// seqnos.
    pub(crate) fn open(&mut self) -> Result<(), EngineError> {
        self.engine = None;
        let engine = open(&self.disk)?;
        let there = engine.vbuckets();
        let engine = self.engine.insert(engine);
        for vb in VBS {
            if !there.contains(&vb) {
                engine.create(vb)?;
            }
            let info = engine.info(vb)?;
            let snapshot = engine.snapshot(vb)?;
            self.flusher.attach(
                vb,
                snapshot.state().cloned().unwrap_or_else(|| state(vb)),
                info.high,
            );
        }
        Ok(())
    }

    /// Restarts the process: memory is rebuilt from the store.
    pub(crate) fn forget_memory(&mut self) {
        for vb in VBS {
            let stored = self.stored(vb);
            let state = stored.state.unwrap_or_else(|| state(vb));
            let vbucket = vbucket(vb, &state, stored.high);
            if vb == REPLICA {
                self.announced = vbucket.high_seqno();
            }
            self.vbuckets.insert(vb, vbucket);
        }
    }

    pub(crate) fn resume_point(&self, vb: Vbid) -> ResumePoint {
        self.vbucket(vb).resume_point()
    }

    fn vbucket(&self, vb: Vbid) -> &VBucket {
        &self.vbuckets[&vb]
    }

    /// Runs the steps; ends at the first error of the engine.
    pub(crate) fn run(&mut self, steps: &[Step]) -> Result<(), EngineError> {
        for &step in steps {
            match step {
                Step::Flush => self.flush_all()?,
                step => self.in_memory(step),
            }
        }
        Ok(())
    }

    /// Runs the steps that need no disk and are still to be done.
    pub(crate) fn run_in_memory(&mut self, steps: &[Step]) {
        for &step in steps.iter().filter(|step| !matches!(step, Step::Flush)) {
            self.in_memory(step);
        }
    }

    fn in_memory(&mut self, step: Step) {
        match step {
            Step::Write(upto) => {
                for seqno in self.vbucket(ACTIVE).high_seqno().0 + 1..=upto {
                    let item = Item {
                        seqno: Seqno::ZERO,
                        ..self.item(Seqno(seqno))
                    };
                    let written = self.vbucket(ACTIVE).write(item, seqno).expect("active");
                    assert_eq!(written.queued.seqno, Seqno(seqno));
                }
            }
            Step::CloseCheckpoint => self.vbucket(ACTIVE).manager().close(),
            Step::Announce(end) => self.announce(Seqno(end)),
            Step::Receive(upto) => {
                let end = self.announced;
                for seqno in self.vbucket(REPLICA).high_seqno().0 + 1..=upto.min(end.0) {
                    if !self.is_replaced(Seqno(seqno), end) {
                        let item = self.item(Seqno(seqno));
                        self.vbucket(REPLICA)
                            .receive(item)
                            .expect("in its snapshot");
                    }
                }
            }
            Step::Flush => {}
        }
    }

    fn announce(&mut self, end: Seqno) {
        let point = self.vbucket(REPLICA).resume_point();
        if end <= point.seqno {
            return;
        }
        // A half-received snapshot is announced again as a whole, as a producer does on resuming.
        let start = if point.snapshot_end > point.seqno {
            point.snapshot_start
        } else {
            point.seqno.next()
        };
        let marker = SnapshotMarker::new(SnapshotType::Memory, start, end.max(point.snapshot_end));
        self.vbucket(REPLICA)
            .receive_marker(marker)
            .expect("the next snapshot");
        self.announced = marker.end;
    }

    fn is_replaced(&self, seqno: Seqno, end: Seqno) -> bool {
        let key = |seqno| self.history.change(Seqno(seqno)).map(|(key, _)| key);
        (seqno.0 + 1..=end.0).any(|later| key(later) == key(seqno.0))
    }

    fn item(&self, seqno: Seqno) -> Item {
        let (key, value) = self.history.change(seqno).expect("a change");
        let rev_seqno = self.history.fold(seqno)[key].rev_seqno;
        let item = match value {
            Some(value) => Item::mutation(key.clone(), value.clone()),
            None => Item::deletion(Key::clone(key)),
        };
        Item {
            seqno,
            rev_seqno,
            cas: lowtide_checkpoint::Cas(seqno.0 << 16),
            ..item
        }
    }

    /// Flushes both vBuckets once, in one group. Returns the first failure, after it has recorded
    /// both.
    pub(crate) fn flush(&mut self) -> Result<bool, EngineError> {
        let group = self
            .flusher
            .begin(self.vbuckets.values())
            .expect("no other flush");
        let engine = self.engine.as_ref().expect("open");
        let committed = group.commit(engine, 1);
        let mut more = false;
        let mut failed = None;
        for Flushed { vb, result, .. } in self.flusher.finish(committed) {
            match result {
                Ok(persisted) => {
                    more |= persisted.more;
                    let before = self
                        .acknowledged
                        .insert(vb, persisted.seqno)
                        .unwrap_or_default();
                    assert!(
                        before <= persisted.seqno,
                        "F1: a persisted seqno never falls"
                    );
                    self.vbucket(vb).manager().expel();
                }
                Err(error) => failed = failed.or(Some(error)),
            }
            let known = self.flusher.persisted_seqno(vb);
            assert!(
                known >= self.acknowledged.get(&vb).copied(),
                "F1: {known:?}"
            );
        }
        failed.map_or(Ok(more), Err)
    }

    fn flush_all(&mut self) -> Result<(), EngineError> {
        while self.flush()? {}
        Ok(())
    }

    pub(crate) fn stored(&self, vb: Vbid) -> StoredVBucket {
        stores::read(self.engine.as_ref().expect("open"), vb)
    }

    /// Checks that nothing acknowledged is lost and that the store's contents are whole.
    pub(crate) fn check(&self, when: &str) {
        for vb in VBS {
            let engine = self.engine.as_ref().expect("open");
            assert_eq!(
                engine.check(vb).expect("readable"),
                [""; 0],
                "{when}, vBucket {vb}"
            );
            let stored = self.stored(vb);
            let acknowledged = self.acknowledged.get(&vb).copied().unwrap_or_default();
            let high = stored.high;
            assert!(
                high >= acknowledged,
                "{when}, vBucket {vb}: {acknowledged} was acknowledged, {high} is there"
            );
            assert_eq!(
                self.history.difference(&stored),
                None,
                "{when}, vBucket {vb}"
            );
        }
    }

    /// Checks that memory and store both are at the last change, and that the store holds exactly
    /// the recount.
    pub(crate) fn check_end(&self, when: &str) {
        self.check(when);
        for vb in VBS {
            let stored = self.stored(vb);
            let state = stored.state.as_ref().expect("committed");
            let vbucket = self.vbucket(vb);
            let ends = [
                stored.high,
                state.snapshot_end,
                vbucket.high_seqno(),
                self.acknowledged[&vb],
            ];
            assert_eq!(ends, [self.history.high(); 4], "{when}, vBucket {vb}");
            assert_eq!(
                vbucket.manager().check(),
                Vec::<String>::new(),
                "{when}, vBucket {vb}"
            );
        }
    }
}
