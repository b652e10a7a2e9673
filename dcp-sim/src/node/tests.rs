use bytes::Bytes;
use lowtide_checkpoint::{
    FailoverLog, Item, Key, QuotaConfig, ReadLimit, Seqno, State, VBucketState, VbUuid, Vbid,
};
use lowtide_persistence::{EngineCall, Known};

use super::config::{NodeConfig, NodeId};
use super::engine::run_call;
use super::error::NodeError;
use super::event::{Action, Event};
use super::state::Node;
use super::steps::ReadError;
use super::vbuckets::Stored;
use crate::consumer::{Consumer, ConsumerOptions};

mod at_once;
mod branches;
mod calls;
mod collections;
mod engine;
mod memory;
mod read;
mod writes;

const VB: Vbid = Vbid(0);
const FLUSH: Event = Event::FlushDue { shard: 0 };

fn node(state: State) -> Node {
    let mut node = Node::new(NodeConfig::default()).expect("a valid configuration");
    let persisted = VBucketState::new(state, FailoverLog::new(VbUuid(9)));
    node.add_vbucket(VB, &persisted);
    node
}

fn write(node: &mut Node, key: &str, value: Option<&'static str>) -> Vec<Action> {
    let value = value.map(|value| Bytes::from_static(value.as_bytes()));
    let event = Event::Write {
        vb: VB,
        key: Key::new(key.as_bytes()),
        value,
    };
    let actions = node.step(event, 5_000_000_000).expect("active");
    answer_fetch(node, actions)
}

/// Answers a write's read of the engine, which has nothing.
fn answer_fetch(node: &mut Node, mut actions: Vec<Action>) -> Vec<Action> {
    if !matches!(actions[..], [Action::Fetch(_)]) {
        return actions;
    }
    let Some(Action::Fetch(write)) = actions.pop() else {
        unreachable!("it is one");
    };
    let stored = Ok(None);
    node.step(Event::Fetched { write, stored }, 5_000_000_000)
        .expect("active")
}

/// Carries bytes between an active on node 0 and a replica on node 1 until both are idle.
fn exchange(active: &mut Node, replica: &mut Node, actions: Vec<Action>) {
    let mut due: std::collections::VecDeque<_> = actions.into();
    while let Some(action) = due.pop_front() {
        let caused = match action {
            Action::ToProducer(0, bytes) => active.step(Event::FromConsumer { peer: 1, bytes }, 1),
            Action::ToConsumer(1, bytes) => replica.step(Event::FromProducer { peer: 0, bytes }, 1),
            Action::WakeSender(peer) => active.step(Event::SendDue { peer }, 1),
            Action::WakeFlusher { .. } | Action::Written { .. } => continue,
            other => panic!("{other:?}"),
        };
        due.extend(caused.expect("both follow the rules"));
    }
}

#[test]
fn replica_applies_the_writes_of_its_active() {
    let (mut active, mut replica) = (node(State::Active), node(State::Replica));
    active.accept(1);
    let actions = replica.follow(0, &[VB]).expect("it has it");
    exchange(&mut active, &mut replica, actions);
    for (key, value) in [
        ("a", Some("one")),
        ("b", Some("two")),
        ("a", None),
        ("b", Some("three")),
    ] {
        let actions = write(&mut active, key, value);
        exchange(&mut active, &mut replica, actions);
    }
    let (here, there) = (
        active.partition(VB).expect("there"),
        replica.partition(VB).expect("there"),
    );
    assert_eq!(there.vbucket.high_seqno(), Seqno(4));
    for key in [Key::new(b"a"), Key::new(b"b")] {
        let Known::Revision(item) = there.documents.peek(&key) else {
            panic!("{key} is not persisted, so memory has it");
        };
        assert_eq!(here.documents.peek(&key), Known::Revision(item));
        assert_eq!((item.rev_seqno, item.deleted), (2, key == Key::new(b"a")));
    }
    assert_eq!(here.collections, there.collections);
    assert_eq!(here.vbucket.manager().check(), [""; 0]);
    assert_eq!(there.vbucket.manager().check(), [""; 0]);
}

#[test]
fn flusher_is_woken_once_per_flush() {
    let mut active = node(State::Active);
    assert!(matches!(
        write(&mut active, "a", Some("one"))[..],
        [Action::Written { .. }, Action::WakeFlusher { shard: 0 }]
    ));
    assert!(matches!(
        write(&mut active, "b", Some("two"))[..],
        [Action::Written { .. }]
    ));
    let due = active.step(FLUSH, 1).expect("active");
    assert!(matches!(due[..], [Action::Commit { .. }]));
    let written = write(&mut active, "c", Some("three"));
    assert!(
        matches!(written[..], [Action::Written { .. }]),
        "it looks again when the flush is done"
    );
    assert!(!active.is_idle());
}

#[test]
fn write_to_a_replica_or_missing_vbucket_is_refused() {
    let mut replica = node(State::Replica);
    let write = |vb| Event::Write {
        vb,
        key: Key::new(b"a"),
        value: None,
    };
    assert!(matches!(
        replica.step(write(VB), 1),
        Err(NodeError::VBucket(_))
    ));
    assert!(matches!(
        replica.step(write(Vbid(7)), 1),
        Err(NodeError::NotHere { .. })
    ));
    assert!(replica.is_idle());
}

#[test]
fn items_are_expelled_by_the_last_of_flusher_and_stream() {
    let (mut active, mut replica) = (node(State::Active), node(State::Replica));
    active.accept(1);
    let actions = replica.follow(0, &[VB]).expect("it has it");
    exchange(&mut active, &mut replica, actions);
    let actions = write(&mut active, "a", Some("one"));
    // First the flusher: it has read and persisted the item, and the stream has not sent it yet.
    let manager = active
        .partition(VB)
        .expect("there")
        .vbucket
        .manager()
        .clone();
    manager
        .begin_flush(ReadLimit::NONE)
        .expect("no other")
        .commit();
    assert_eq!(
        (manager.expel(), manager.stats().items),
        (0, 1),
        "the stream's cursor holds it"
    );
    exchange(&mut active, &mut replica, actions);
    assert_eq!(
        (manager.stats().items, manager.stats().memory_bytes()),
        (0, 0)
    );
}

/// No revision follows the highest one that an engine can store.
#[test]
fn write_after_the_highest_revision_is_refused() {
    for rev_seqno in [
        lowtide_checkpoint::ItemLimits::DEFAULT.rev_seqno_max,
        u64::MAX,
    ] {
        let mut node = node(State::Active);
        let highest = Item {
            seqno: Seqno(1),
            rev_seqno,
            ..Item::mutation(Key::new(b"a"), Bytes::new())
        };
        let partition = node.partitions.get_mut(VB).expect("there");
        partition.documents.put(highest);
        let event = Event::Write {
            vb: VB,
            key: Key::new(b"a"),
            value: Some(Bytes::new()),
        };
        let refused = node.step(event, 1);
        assert!(matches!(refused, Err(NodeError::VBucket(_))), "{refused:?}");
    }
}

#[test]
fn node_with_an_invalid_quota_is_refused() {
    let no_bytes = QuotaConfig::default().with_limit_bytes(0);
    let refused = Node::new(NodeConfig::new().with_quota(no_bytes));
    assert!(matches!(refused, Err(NodeError::Quota(_))), "{refused:?}");
    let mut node = node(State::Active);
    let before = node.quota_stats();
    let refused = node.set_quota(no_bytes);
    assert!(matches!(refused, Err(NodeError::Quota(_))), "{refused:?}");
    assert_eq!(node.quota_stats(), before);
}
