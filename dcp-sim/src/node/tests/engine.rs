//! A node and its engine: one thing at a time, again after a failure, back together.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{AfterStop, Key, MemoryState, QuotaConfig, VBucketError};
use lowtide_persistence::Engine;
use lowtide_persistence::couchstore::{Couchstore, CouchstoreConfig};
use lowtide_persistence::disk::{Disk, FaultyDisk, MemoryDisk};

use super::*;

/// A node with one active vBucket, its engine and its disk; what the node wants of the engine waits in `wanted`.
pub(super) struct Rig {
    pub(super) node: Node,
    pub(super) disk: FaultyDisk,
    /// Absent only while it is opened anew: two would not get the store's lock.
    engine: Option<Couchstore>,
    pub(super) wanted: Vec<Action>,
}

fn open(disk: &FaultyDisk) -> Couchstore {
    let config = CouchstoreConfig::default();
    Couchstore::open(Arc::new(disk.clone()), Path::new("/store"), config)
        .expect("a sound store")
        .0
}

pub(super) fn rig(config: NodeConfig) -> Rig {
    let disk = FaultyDisk::new(MemoryDisk::new());
    disk.create_dir(Path::new("/store")).expect("an empty disk");
    let engine = open(&disk);
    engine.create(VB).expect("an empty store");
    let mut node = Node::new(config);
    let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(9)));
    node.add_vbucket(VB, &state);
    Rig {
        node,
        disk,
        engine: Some(engine),
        wanted: Vec::new(),
    }
}

impl Rig {
    pub(super) fn engine(&self) -> &Couchstore {
        self.engine.as_ref().expect("open")
    }

    /// Returns what is not the engine's to do.
    pub(super) fn step(&mut self, event: Event) -> Vec<Action> {
        let actions = self.node.step(event, 1).expect("nothing is refused");
        let (engines, others) = actions
            .into_iter()
            .partition(|action| matches!(action, Action::Commit(_) | Action::Call(_)));
        self.wanted.extend::<Vec<_>>(engines);
        others
    }

    pub(super) fn set(&mut self, key: &str, bytes: usize) -> Result<Vec<Action>, NodeError> {
        let value = Some(Bytes::from(vec![b'v'; bytes]));
        self.node.step(
            Event::Write {
                vb: VB,
                key: Key::new(key.as_bytes()),
                value,
            },
            1,
        )
    }

    /// The engine does what it was asked first, and the node hears of it.
    pub(super) fn answer(&mut self) -> Vec<Action> {
        let done = match self.wanted.remove(0) {
            Action::Commit(group) => Event::FlushDone(group.commit(self.engine(), 1)),
            Action::Call(EngineCall::Reopen) => {
                self.engine = None;
                self.engine = Some(open(&self.disk));
                Event::EngineDone(EngineCall::Reopen.run(self.engine()))
            }
            Action::Call(call) => Event::EngineDone(call.run(self.engine())),
            other => panic!("{other:?}"),
        };
        self.step(done)
    }

    pub(super) fn flush(&mut self) -> Vec<Action> {
        self.step(Event::FlushDue);
        self.answer()
    }
}

fn is_persisted(actions: &[Action], upto: u64) -> bool {
    actions
        .iter()
        .any(|action| matches!(action, Action::Persisted { seqno, .. } if seqno.0 == upto))
}

#[test]
fn one_engine_operation_at_a_time() {
    let mut rig = rig(NodeConfig::default());
    rig.set("a", 10).expect("active");
    rig.step(Event::FlushDue);
    for (vb, uuid) in [(Vbid(1), VbUuid(5)), (Vbid(2), VbUuid(6))] {
        rig.step(Event::Create { vb, uuid });
        assert!(!rig.node.is_settled(vb));
    }
    rig.step(Event::FlushDue);
    for waiting in [2, 1] {
        assert_eq!(rig.wanted.len(), 1, "{waiting} more wait");
        rig.answer();
    }
    assert!(!rig.node.is_settled(Vbid(2)) && rig.node.is_settled(Vbid(1)));
    rig.answer();
    assert!(rig.wanted.is_empty() && rig.node.is_settled(Vbid(2)));
    assert_eq!(rig.engine().vbuckets(), [VB, Vbid(1), Vbid(2)]);
}

#[test]
fn a_flush_that_failed_comes_again_and_a_poisoned_store_is_reopened() {
    let mut rig = rig(NodeConfig::default());
    rig.set("a", 10).expect("active");
    rig.disk.fail_sync(1);
    let failed = rig.flush();
    let pause = failed.iter().find_map(|action| match action {
        Action::Later(micros, event) if matches!(**event, Event::FlushDue) => Some(*micros),
        _ => None,
    });
    assert!(pause.is_some_and(|micros| micros > 0), "{failed:?}");
    assert!(!is_persisted(&failed, 1));
    // The store is poisoned: the next attempt finds out, and has it reopened.
    let refused = rig.flush();
    assert!(
        refused
            .iter()
            .any(|action| matches!(action, Action::EngineFailed { .. })),
        "{refused:?}"
    );
    assert!(
        matches!(rig.wanted[..], [Action::Call(EngineCall::Reopen)]),
        "{:?}",
        rig.wanted
    );
    let reopened = rig.answer();
    assert!(
        matches!(reopened[..], [Action::WakeFlusher]),
        "{reopened:?}"
    );
    rig.set("b", 10).expect("active");
    assert!(is_persisted(&rig.flush(), 2));
    assert_eq!(
        Stored::read(rig.engine(), VB).expect("readable").documents,
        rig.node.partition(VB).expect("there").documents
    );
    assert!(rig.node.is_idle());
}

#[test]
fn a_rollback_is_the_engines_first_and_then_memorys() {
    let mut rig = rig(NodeConfig::default());
    for key in ["a", "b", "c"] {
        rig.set(key, 10).expect("active");
        rig.flush();
    }
    let state = Event::SetState {
        vb: VB,
        state: State::Replica,
        uuid: None,
    };
    rig.step(state);
    rig.set("d", 10).expect_err("it is a replica");
    let mut actions = Vec::new();
    rig.node.roll_back(VB, Seqno(2), &mut actions);
    rig.wanted.extend(actions);
    rig.node
        .consumers
        .insert(1, Consumer::new("test", 1_000).expect("a name"));
    let asked = rig.node.follow_more(1, &[VB]);
    assert!(
        matches!(asked, Err(NodeError::NotHere { .. })),
        "it is between two states"
    );
    assert_eq!(
        rig.node.partition(VB).expect("there").vbucket.high_seqno(),
        Seqno(3),
        "the engine is first"
    );
    let done = rig.answer();
    assert!(
        matches!(
            done[0],
            Action::RolledBack {
                seqno: Seqno(2),
                ..
            }
        ),
        "{done:?}"
    );
    let partition = rig.node.partition(VB).expect("there");
    assert_eq!(partition.vbucket.high_seqno(), Seqno(2));
    assert_eq!(partition.documents.live().count(), 2);
    assert_eq!(rig.node.persisted_seqno(VB), Some(Seqno(2)));
    assert!(rig.node.follow_more(1, &[VB]).is_ok());
    // The state it has now is committed, though nothing else is.
    rig.flush();
    let stored = Stored::read(rig.engine(), VB).expect("readable");
    assert_eq!(stored.state.map(|state| state.state), Some(State::Replica));
    assert_eq!(
        (stored.high, stored.documents),
        (
            Seqno(2),
            rig.node.partition(VB).expect("there").documents.clone()
        )
    );
}

/// Found by a producer that sent nonsense: the engine went back, and memory refused.
#[test]
fn what_leads_is_not_rolled_back() {
    let mut rig = rig(NodeConfig::default());
    rig.set("a", 10).expect("active");
    rig.flush();
    for state in [State::Active, State::Dead] {
        rig.step(Event::SetState {
            vb: VB,
            state,
            uuid: None,
        });
        let mut actions = Vec::new();
        let goes_back = rig.node.roll_back(VB, Seqno::ZERO, &mut actions);
        assert!(
            !goes_back && actions.is_empty() && rig.node.is_settled(VB),
            "{state}: {actions:?}"
        );
    }
}

#[test]
fn an_engine_that_cannot_go_back_so_far_starts_with_nothing() {
    let mut rig = rig(NodeConfig::default());
    for key in ["a", "b"] {
        rig.set(key, 10).expect("active");
        rig.flush();
    }
    let mut job = rig
        .engine()
        .compact(VB, lowtide_persistence::CompactionRequest::default())
        .expect("nothing runs");
    while !matches!(
        job.step(lowtide_persistence::Budget::NONE),
        Ok(lowtide_persistence::Progress::Done(_))
    ) {}
    rig.step(Event::SetState {
        vb: VB,
        state: State::Replica,
        uuid: None,
    });
    let mut actions = Vec::new();
    rig.node.roll_back(VB, Seqno(1), &mut actions);
    rig.wanted.extend(actions);
    rig.answer();
    assert!(
        matches!(rig.wanted[..], [Action::Call(EngineCall::Reset(VB))]),
        "{:?}",
        rig.wanted
    );
    rig.answer();
    let partition = rig.node.partition(VB).expect("there");
    assert_eq!(
        (
            partition.vbucket.high_seqno(),
            partition.documents.iter().count()
        ),
        (Seqno::ZERO, 0)
    );
    assert_eq!(rig.engine().info(VB).expect("there").high, Seqno::ZERO);
}

#[test]
fn memory_is_recovered_before_a_write_is_refused() {
    let quota = QuotaConfig {
        limit_bytes: 64 << 10,
        ..QuotaConfig::default()
    };
    let mut rig = rig(NodeConfig {
        quota: Some(quota),
        ..NodeConfig::default()
    });
    let manager = rig
        .node
        .partition(VB)
        .expect("there")
        .vbucket
        .manager()
        .clone();
    // A consumer that reads nothing: its cursor goes, so that what the disk has can go from memory.
    manager
        .register(
            "slow",
            Seqno::ZERO,
            lowtide_checkpoint::CursorOptions::new(),
        )
        .expect("a name");
    for key in 0..300 {
        rig.set(&key.to_string(), 1_000)
            .expect("memory is recovered");
        if key % 10 == 0 {
            rig.flush();
        }
    }
    assert!(manager.cursor("slow").is_none(), "it was dropped");
    // What no disk has must stay.
    let refused = (0..300).find_map(|key| rig.set(&key.to_string(), 1_000).err());
    let is_memory = |error: &NodeError| {
        matches!(error, NodeError::VBucket(VBucketError::Checkpoint { source, .. })
            if matches!(source, lowtide_checkpoint::CheckpointError::NoMemory { .. }))
    };
    assert!(refused.as_ref().is_some_and(is_memory), "{refused:?}");
    assert_eq!(
        rig.node.quota.as_ref().map(Quota::state),
        Some(MemoryState::Full)
    );
    assert_eq!(
        manager.recover(usize::MAX).freed_bytes,
        0,
        "there was nothing else"
    );
    rig.flush();
    rig.set("a", 1_000).expect("there is room again");
}

/// Guards N6.
#[test]
fn a_stream_is_refused_when_memory_is_used_up() {
    let quota = QuotaConfig {
        limit_bytes: 64 << 10,
        ..QuotaConfig::default()
    };
    let mut rig = rig(NodeConfig {
        quota: Some(quota),
        ..NodeConfig::default()
    });
    while rig.set("a", 1_000).is_ok() {
        rig.node
            .partition(VB)
            .expect("there")
            .vbucket
            .manager()
            .close();
    }
    let mut replica = node(State::Replica);
    for is_refused in [true, false] {
        rig.node.accept(1);
        let asked = replica.follow(0, &[VB]).expect("it has it");
        let mut stopped = Vec::new();
        let mut due: std::collections::VecDeque<_> = asked.into();
        while let Some(action) = due.pop_front() {
            due.extend(match action {
                Action::ToProducer(_, bytes) => rig.step(Event::FromConsumer { peer: 1, bytes }),
                Action::WakeSender(_) => rig.step(Event::SendDue { peer: 1 }),
                Action::ToConsumer(_, bytes) => replica
                    .step(Event::FromProducer { peer: 0, bytes }, 1)
                    .expect("sound"),
                Action::StreamStopped { event, .. } => {
                    stopped.push(event);
                    continue;
                }
                _ => continue,
            });
        }
        let refusal = crate::consumer::ConsumerEvent::StreamRefused {
            vb: VB,
            status: crate::wire::Status::OUT_OF_MEMORY,
        };
        assert_eq!(stopped, if is_refused { vec![refusal] } else { vec![] });
        if is_refused {
            // What is on disk need not be in memory.
            rig.flush();
        }
    }
}

/// Guards S23: what was written, received, loaded and rolled back to.
#[test]
fn a_node_knows_its_collections_whatever_became_of_it() {
    let mut rig = rig(NodeConfig {
        keeps_collections_highest: true,
        ..NodeConfig::default()
    });
    let highs = |node: &Node| {
        let collections = &node.partition(VB).expect("there").collections;
        [0, 8].map(|collection| collections.high(collection).0)
    };
    for (collection, key) in [(0, "a"), (8, "b"), (0, "c"), (8, "b")] {
        let key = Key::in_collection(collection, key.as_bytes());
        rig.step(Event::Write {
            vb: VB,
            key,
            value: None,
        });
        rig.flush();
    }
    assert_eq!(highs(&rig.node), [3, 4]);

    let stored = Stored::read(rig.engine(), VB).expect("readable");
    let mut loaded = Node::new(NodeConfig::default());
    loaded
        .warm_up(
            VB,
            stored,
            State::Replica,
            AfterStop::Orderly,
            &mut Vec::new(),
        )
        .expect("sound");
    assert_eq!(highs(&loaded), [3, 4]);

    rig.step(Event::SetState {
        vb: VB,
        state: State::Replica,
        uuid: None,
    });
    let mut actions = Vec::new();
    rig.node.roll_back(VB, Seqno(2), &mut actions);
    rig.wanted.extend(actions);
    rig.answer();
    assert_eq!(
        highs(&rig.node),
        [1, 2],
        "before the rollback 4 had taken the place of 2"
    );
}

/// Guards S23: what an engine may have purged is not known.
#[test]
fn collections_are_unknown_where_a_purge_may_have_taken_their_newest() {
    use crate::producer::Partitions;
    for keeps_collections_highest in [false, true] {
        let mut rig = rig(NodeConfig {
            keeps_collections_highest,
            ..NodeConfig::default()
        });
        rig.set("a", 10).expect("active");
        assert!(
            super::super::streams::streamed!(rig.node)
                .collections(VB)
                .is_some()
        );
        rig.step(Event::Purged {
            vb: VB,
            seqno: Seqno(1),
        });
        let is_known = super::super::streams::streamed!(rig.node)
            .collections(VB)
            .is_some();
        assert_eq!(is_known, keeps_collections_highest);
    }
}
