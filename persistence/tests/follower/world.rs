//! A vBucket with its store, and the plain lists of everything ever written to each of its branches.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use lowtide_checkpoint::{
    AfterStop, Cas, CheckpointConfig, DurabilityLevel, FailoverLog, Item, Key, Operation,
    ReadLimit, Seqno, ServedHistory, SnapshotMarker, SnapshotType, State, VBucket, VBucketState,
    VbUuid,
};
use lowtide_persistence::{Engine, FlushGroup, Flusher, RolledBack};

use crate::engines::{Kind, VB, engine};
use crate::history::{History, outstanding};

mod past;

pub(crate) struct World {
    pub(crate) vbucket: VBucket,
    pub(crate) engine: Box<dyn Engine>,
    flusher: Flusher,
    flush: Option<FlushGroup>,
    history: History,
    /// Histories of earlier branches as they were when the next one began.
    branches: BTreeMap<VbUuid, History>,
    /// Branches of the history that a replica follows.
    log: FailoverLog,
    uuids: u64,
    /// Seqnos that a replica has received.
    received: BTreeSet<Seqno>,
    /// Rest of the snapshot that a replica is receiving, last item first.
    pending: Vec<Item>,
    /// Number of the history's items in snapshots that a replica has begun.
    fed: usize,
}

impl World {
    pub(crate) fn new(state: State, kind: Kind) -> Self {
        let log = FailoverLog::new(VbUuid(1));
        let state = VBucketState::new(state, log.clone());
        let mut flusher = Flusher::new(ReadLimit::NONE.with_items(5).with_bytes(500));
        flusher.attach(VB, state.clone(), Seqno::ZERO);
        Self {
            vbucket: VBucket::new(VB, &state, CheckpointConfig::persistent()),
            engine: engine(kind),
            flusher,
            flush: None,
            history: Vec::new(),
            branches: BTreeMap::new(),
            log,
            uuids: 1,
            received: BTreeSet::new(),
            pending: Vec::new(),
            fed: 0,
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.vbucket.state() == State::Active
    }

    pub(crate) fn high(&self) -> Seqno {
        self.vbucket.high_seqno()
    }

    pub(crate) fn purge_seqno(&self) -> Seqno {
        let info = self.engine.info(VB).expect("it has the vBucket");
        info.purge.max(self.vbucket.purge_seqno())
    }

    fn new_uuid(&mut self) -> VbUuid {
        self.uuids += 1;
        VbUuid(self.uuids)
    }

    pub(crate) fn write(&mut self, key: u8, is_set: bool) {
        let key = Key::new(format!("key {key}").as_bytes());
        let item = if is_set {
            Item::mutation(key, self.value())
        } else {
            Item::deletion(key)
        };
        self.append(item);
    }

    fn value(&self) -> Bytes {
        Bytes::from(format!("{} of {}", self.history.len(), self.uuids))
    }

    /// Begins a durable write, or ends it.
    pub(crate) fn durable(&mut self, key: u8, is_commit: bool) {
        let (prepare, _) = outstanding(&self.history);
        let value = Some(self.value());
        let item = match prepare {
            Some(prepare) => Item {
                prepare_seqno: prepare.seqno,
                value: value.filter(|_| is_commit),
                ..Item::new(
                    if is_commit {
                        Operation::Commit
                    } else {
                        Operation::Abort
                    },
                    prepare.key,
                )
            },
            None => Item {
                durability: Some(DurabilityLevel::Majority),
                value,
                ..Item::new(
                    Operation::Prepare,
                    Key::new(format!("durable {key}").as_bytes()),
                )
            },
        };
        self.append(item);
    }

    fn append(&mut self, item: Item) {
        let seqno = Seqno(self.history.len() as u64 + 1);
        if self.is_active() {
            let written = self.vbucket.write(item.clone(), 1).expect("active");
            assert_eq!(written.queued.seqno, seqno);
        }
        self.history.push(Some(Item {
            seqno,
            cas: Cas(seqno.0),
            ..item
        }));
    }

    /// Feeds a replica the next item of its snapshot, or begins the next snapshot.
    pub(crate) fn feed(&mut self, from_disk: bool, extend: bool) {
        if self.is_active() || self.pending.is_empty() && self.fed == self.history.len() {
            return;
        }
        if self.pending.is_empty() {
            if self
                .history
                .iter()
                .skip(self.fed)
                .flatten()
                .next()
                .is_none()
            {
                // Only holes are left.
                self.fed = self.history.len();
                return;
            }
            self.begin_snapshot(from_disk, extend);
        }
        let item = self.pending.pop().expect("a snapshot has items");
        self.received.insert(item.seqno);
        self.vbucket.receive(item).expect("it is in the snapshot");
    }

    fn begin_snapshot(&mut self, from_disk: bool, extend: bool) {
        let mut seen = BTreeSet::new();
        let rest = self.history.iter().skip(self.fed).flatten().rev();
        self.pending = rest
            .filter(|item| {
                let space = item.operation.namespace();
                item.operation.is_sync_write() || seen.insert((space, item.key.clone()))
            })
            .cloned()
            .collect();
        let point = self.vbucket.resume_point();
        let is_inside = point.snapshot_start < point.seqno && point.seqno < point.snapshot_end;
        let start = if is_inside {
            point.snapshot_start
        } else {
            Seqno(self.fed as u64 + 1)
        };
        let end = Seqno(self.history.len() as u64);
        // Completions in a part of a snapshot from disk do not count, even if the rest never comes.
        let is_plain = |item: &Item| !item.operation.is_sync_write();
        // Nor do those in a part from memory whose rest comes from disk.
        let part = if is_inside { start } else { Seqno::MAX };
        let mut received = self
            .history
            .iter()
            .flatten()
            .filter(|item| item.seqno >= part && item.seqno <= point.seqno);
        let from_disk = from_disk && self.pending.iter().all(is_plain) && received.all(is_plain);
        let kind = if from_disk {
            SnapshotType::Disk
        } else {
            SnapshotType::Memory
        };
        let (_, completed) = outstanding(&self.history);
        let marker = SnapshotMarker {
            high_completed_seqno: from_disk.then_some(completed),
            extend: extend && !from_disk,
            ..SnapshotMarker::new(kind, start, end)
        };
        if self.vbucket.receive_marker(marker).is_err() {
            // It cannot be extended.
            let marker = SnapshotMarker {
                extend: false,
                ..marker
            };
            self.vbucket
                .receive_marker(marker)
                .expect("it follows the last");
        }
        self.fed = self.history.len();
    }

    /// A replica's active is replaced by one that lacks the last `lost` items. With none lost, only
    /// the connection is.
    pub(crate) fn fail_over(&mut self, lost: usize) {
        if self.is_active() {
            return;
        }
        if lost > 0 {
            let kept = self.history.len().saturating_sub(lost);
            let uuid = self.new_uuid();
            self.branches
                .insert(self.log.newest().uuid, self.history.clone());
            self.history.truncate(kept);
            self.log.prune(Seqno(kept as u64));
            self.log
                .branch(uuid, Seqno(kept as u64))
                .expect("a new name");
        }
        self.connect();
    }

    /// A replica connects to its active, and goes back as far as it must.
    fn connect(&mut self) {
        self.pending.clear();
        loop {
            let history = ServedHistory {
                log: &self.log,
                high: Seqno(self.history.len() as u64),
                purge: Seqno::ZERO,
                filtered_high: None,
            };
            let point = self.vbucket.resume_point();
            let Some(to) = history.rollback_to(&point.into()) else {
                break;
            };
            self.roll_back(to);
        }
        if self.vbucket.failover_log() != self.log {
            self.vbucket.set_failover_log(self.log.clone());
            self.vbucket.queue_current_state().expect("in memory");
        }
        let high = self.high();
        self.fed = usize::try_from(high.0).expect("small");
        self.received.retain(|&seqno| seqno <= high);
    }

    /// Rolls a replica back, on disk and in memory.
    fn roll_back(&mut self, to: Seqno) {
        self.flush = None;
        let high = match self.engine.rollback(VB, to).expect("a sound store") {
            RolledBack::Done { high } => high,
            RolledBack::NeedsReset { .. } => {
                self.engine.drop_vbucket(VB).expect("a sound store");
                self.engine.create(VB).expect("dropped");
                Seqno::ZERO
            }
        };
        let state = self.persisted();
        self.vbucket.rollback(high, &state).expect("a replica");
        self.flusher.attach(VB, state, high);
    }

    fn persisted(&self) -> VBucketState {
        let snapshot = self.engine.snapshot(VB).expect("it has the vBucket");
        let fresh = || VBucketState::new(self.vbucket.state(), FailoverLog::new(VbUuid(1)));
        snapshot.state().cloned().unwrap_or_else(fresh)
    }

    /// A replica becomes active, on a branch of its own.
    pub(crate) fn promote(&mut self) {
        if !self.is_active() {
            let uuid = self.new_uuid();
            let promoted = self.vbucket.set_state(State::Active, Some(uuid));
            promoted.expect("a new name");
            self.begin_own_branch();
        }
    }

    /// Makes the history what the vBucket has, which has begun a branch of its own.
    fn begin_own_branch(&mut self) {
        self.branches
            .insert(self.log.newest().uuid, self.history.clone());
        self.log = self.vbucket.failover_log();
        let (begin, high) = (self.log.newest().seqno, self.high());
        self.history
            .truncate(usize::try_from(high.0).expect("small"));
        let begin = usize::try_from(begin.0).expect("small");
        for item in self.history.iter_mut().skip(begin) {
            if item
                .as_ref()
                .is_some_and(|item| !self.received.contains(&item.seqno))
            {
                *item = None;
            }
        }
        self.pending.clear();
        self.fed = self.history.len();
    }

    /// An active becomes the replica of one that has everything it had.
    pub(crate) fn demote(&mut self) {
        if self.is_active() {
            let demoted = self.vbucket.set_state(State::Replica, None);
            demoted.expect("an active");
            self.fed = self.history.len();
            self.connect();
        }
    }

    /// The process ends without notice, and starts again with what is on disk.
    pub(crate) fn crash(&mut self) {
        self.flush = None;
        let (state, becomes) = (self.persisted(), self.vbucket.state());
        let high = self.engine.info(VB).expect("it has the vBucket").high;
        let uuid = self.new_uuid();
        let recovered = VBucket::recover(
            VB,
            &state,
            high,
            becomes,
            AfterStop::Unclean { uuid },
            CheckpointConfig::persistent(),
        );
        self.vbucket = recovered.expect("a sound store");
        self.flusher.attach(VB, state, high);
        if self.is_active() {
            self.begin_own_branch();
        } else {
            self.connect();
        }
    }

    pub(crate) fn close_checkpoint(&self) {
        self.vbucket.manager().close();
    }

    pub(crate) fn begin_flush(&mut self) {
        if self.flush.is_none() {
            self.flush = Some(self.flusher.begin([&self.vbucket]).expect("no other"));
        }
    }

    pub(crate) fn end_flush(&mut self, is_good: bool) {
        if let Some(group) = self.flush.take().filter(|_| is_good) {
            let flushed = self.flusher.finish(group.commit(self.engine.as_ref(), 1));
            assert!(
                flushed.iter().all(|flushed| flushed.result.is_ok()),
                "{flushed:?}"
            );
        }
    }

    pub(crate) fn flush(&mut self) {
        for _ in 0..8 {
            self.begin_flush();
            self.end_flush(true);
        }
    }

    pub(crate) fn expel(&self) {
        self.vbucket.manager().expel();
    }

    pub(crate) fn recover_memory(&self) {
        self.vbucket.manager().recover_memory(usize::MAX);
    }

    /// Feeds a replica everything that is left.
    pub(crate) fn finish(&mut self) {
        while !self.is_active() && (self.fed < self.history.len() || !self.pending.is_empty()) {
            self.feed(false, false);
        }
    }
}
