//! A node and its engine: retries, and rollbacks of memory and disk together.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::Key;
use lowtide_checkpoint::internal::as_in_release;
use lowtide_persistence::Engine;
use lowtide_persistence::couchstore::{Couchstore, CouchstoreConfig};
use lowtide_persistence::disk::{Disk, FaultyDisk, MemoryDisk};

use super::*;

/// A node with one active vBucket, its engine and its disk. `wanted` holds the engine operations
/// that the node requested.
pub(super) struct Rig {
    pub(crate) node: Node,
    pub(super) disk: FaultyDisk,
    /// `None` only during a reopening: a second engine would not get the store's lock.
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
    let mut node = Node::new(config).expect("a valid configuration");
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

    /// Returns the actions that do not concern the engine.
    pub(super) fn step(&mut self, event: Event) -> Vec<Action> {
        let actions = self.try_step(event).expect("nothing is refused");
        let (engines, others) = actions
            .into_iter()
            .partition(|action| matches!(action, Action::Commit { .. } | Action::Call(_)));
        self.wanted.extend::<Vec<_>>(engines);
        others
    }

    /// Steps the node. A write's read of the engine is answered at once.
    fn try_step(&mut self, event: Event) -> Result<Vec<Action>, NodeError> {
        let mut actions = self.node.step(event, 1)?;
        match actions.pop() {
            Some(Action::Fetch(write)) => {
                let stored = write.read(self.engine());
                self.node.step(Event::Fetched { write, stored }, 1)
            }
            last => {
                actions.extend(last);
                Ok(actions)
            }
        }
    }

    pub(super) fn set(&mut self, key: &str, bytes: usize) -> Result<Vec<Action>, NodeError> {
        self.set_in(VB, key, bytes)
    }

    pub(super) fn set_in(
        &mut self,
        vb: Vbid,
        key: &str,
        bytes: usize,
    ) -> Result<Vec<Action>, NodeError> {
        let write = Event::Write {
            vb,
            key: Key::new(key.as_bytes()),
            value: Some(Bytes::from(vec![b'v'; bytes])),
        };
        self.try_step(write)
    }

    /// Returns the keys and seqnos of the engine, by seqno.
    pub(super) fn stored(&self) -> Vec<(String, u64)> {
        let mut stored = Vec::new();
        Stored::read_with(self.engine(), VB, &mut |item| {
            let key = String::from_utf8_lossy(item.key.user()).into_owned();
            stored.push((key, item.seqno.0));
        })
        .expect("readable");
        stored
    }

    /// Executes the engine's first operation and passes the result to the node.
    pub(super) fn answer(&mut self) -> Vec<Action> {
        let done = match self.wanted.remove(0) {
            Action::Commit { shard, group } => {
                let group = group.commit(self.engine(), 1);
                Event::FlushDone { shard, group }
            }
            Action::Call(EngineCall::Reopen) => {
                self.engine = None;
                self.engine = Some(open(&self.disk));
                Event::EngineDone(run_call(EngineCall::Reopen, self.engine()))
            }
            Action::Call(call) => Event::EngineDone(run_call(call, self.engine())),
            other => panic!("{other:?}"),
        };
        self.step(done)
    }

    pub(super) fn flush(&mut self) -> Vec<Action> {
        self.step(FLUSH);
        self.answer()
    }
}

pub(super) fn is_persisted(actions: &[Action], upto: u64) -> bool {
    actions
        .iter()
        .any(|action| matches!(action, Action::Persisted { seqno, .. } if seqno.0 == upto))
}

pub(super) fn is_rolled_back(actions: &[Action], to: u64) -> bool {
    actions
        .iter()
        .any(|action| matches!(action, Action::RolledBack { seqno, .. } if seqno.0 == to))
}

#[test]
fn failed_flush_is_retried_and_a_poisoned_store_is_reopened() {
    let mut rig = rig(NodeConfig::default());
    rig.set("a", 10).expect("active");
    rig.disk.fail_sync(1);
    let failed = rig.flush();
    let pause = failed.iter().find_map(|action| match action {
        Action::Later {
            pause_micros,
            event,
        } if matches!(**event, Event::FlushDue { shard: 0 }) => Some(*pause_micros),
        _ => None,
    });
    assert!(pause.is_some_and(|micros| micros > 0), "{failed:?}");
    assert!(!is_persisted(&failed, 1));
    // The store is poisoned; the next attempt detects it and reopens the store.
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
        matches!(reopened[..], [Action::WakeFlusher { shard: 0 }]),
        "{reopened:?}"
    );
    rig.set("b", 10).expect("active");
    assert!(is_persisted(&rig.flush(), 2));
    assert_eq!(rig.stored(), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    assert!(rig.node.is_idle());
}

#[test]
fn rollback_happens_in_the_engine_before_memory() {
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
    rig.node.consumers.insert(
        1,
        Consumer::new("test", ConsumerOptions::new()).expect("a name"),
    );
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
    assert!(is_rolled_back(&done, 2), "{done:?}");
    let partition = rig.node.partition(VB).expect("there");
    assert_eq!(partition.vbucket.high_seqno(), Seqno(2));
    let gone = partition.documents.peek(&Key::new(b"c"));
    assert_eq!(gone, Known::Unknown, "memory is emptied");
    assert_eq!(rig.node.persisted_seqno(VB), Some(Seqno(2)));
    assert!(rig.node.follow_more(1, &[VB]).is_ok());
    // The current state is committed, though no item is.
    rig.flush();
    let stored = Stored::read(rig.engine(), VB).expect("readable");
    assert_eq!(stored.state.map(|state| state.state), Some(State::Replica));
    assert_eq!(stored.high, Seqno(2));
    assert_eq!(rig.stored(), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
}

/// Guards against a producer with invalid messages: the engine rolled back, and memory refused to.
#[test]
fn active_or_dead_vbucket_is_not_rolled_back() {
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
fn rollback_below_the_oldest_state_resets_the_vbucket() {
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
        Ok(lowtide_persistence::JobProgress::Done(_))
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
            partition.documents.stats().entries
        ),
        (Seqno::ZERO, 0)
    );
    assert_eq!(rig.engine().info(VB).expect("there").high, Seqno::ZERO);
}

/// Hands a node the answer of a call that it did not ask for.
fn answer_without_a_call() -> Result<Vec<Action>, NodeError> {
    let mut rig = rig(NodeConfig::new());
    let done = run_call(EngineCall::Reopen, rig.engine());
    rig.node.step(Event::EngineDone(done), 1)
}

/// N1.
#[test]
#[should_panic(expected = "invariant N1 is violated: a call that was answered was in progress")]
fn answer_without_a_call_panics_in_checked_builds() {
    let _unreachable = answer_without_a_call();
}

/// N1.
#[test]
fn answer_without_a_call_is_an_internal_error_in_release_builds() {
    let error = as_in_release(answer_without_a_call).expect_err("it is a bug");
    let is_internal = matches!(
        error,
        NodeError::Internal {
            invariant: "N1",
            ..
        }
    );
    assert!(is_internal, "{error:?}");
}
