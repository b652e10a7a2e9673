use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use lowtide_checkpoint::{
    AfterStop, FailoverLog, Item, Key, Quota, QuotaConfig, Seqno, SnapshotMarker, SnapshotType,
    State, VBucketState, VbUuid, Vbid,
};

use super::at_rest::{Stores, agreement, contents, settled, source};
use super::running::persistence_order::PersistenceOrder;
use super::running::{Reads, Seen, Streams, memory};
use crate::input::Change;
use crate::node::{Node, NodeConfig, NodeId, Observation, Stored};
use crate::producer::Collections;
use crate::sim::config::{ClusterConfig, Topology};
use crate::sim::oracle::{Contents, Copies, Digests, History, Oracle};

const VB: Vbid = Vbid(0);

/// One vBucket with its active on node 0 and its replica on node 1.
fn topology() -> Topology {
    let config = ClusterConfig {
        nodes: 2,
        replicas: 1,
        vbuckets: 1,
        ..ClusterConfig::default()
    };
    config.topology().expect("valid")
}

/// A document of that seqno.
fn contents_of(high: u64, value: &'static str) -> Contents {
    let item = Item {
        seqno: Seqno(high),
        ..Item::mutation(Key::new(b"k"), Bytes::from_static(value.as_bytes()))
    };
    [item].into_iter().collect()
}

/// The stores of the copies of a vBucket, by number of their nodes, each with a document.
fn stores(values: &[&'static str]) -> Stores {
    let mut stores = Stores::default();
    for (number, value) in values.iter().enumerate() {
        stores.insert(number, VB, contents_of(7, value));
    }
    stores
}

/// A node whose copy has the high seqno `high`.
fn node(number: NodeId, high: u64) -> Node {
    let state = if number == 0 {
        State::Active
    } else {
        State::Replica
    };
    let mut node = Node::new(NodeConfig::default()).expect("a valid configuration");
    let stored = Stored {
        state: Some(VBucketState::new(state, FailoverLog::new(VbUuid(1)))),
        high: Seqno(high),
        purge: Seqno::ZERO,
        prepares: Vec::new(),
        collections: Collections::default(),
    };
    node.warm_up(VB, stored, state, AfterStop::Orderly, &mut Vec::new())
        .expect("it stays what it was");
    node
}

#[test]
fn persisted_seqno_that_falls_stays_or_exceeds_the_high_seqno_is_a_violation() {
    let mut order = PersistenceOrder::default();
    for (seqno, high, items) in [
        (3, 5, 1),
        (5, 5, 1),
        (5, 9, 0),
        (5, 9, 1),
        (4, 9, 1),
        (10, 9, 1),
    ] {
        order.observe(0, VB, Seqno(seqno), Some(Seqno(high)), items);
    }
    let verdict = order.verdict();
    assert_eq!(
        (verdict.checked, verdict.violations),
        (6, 3),
        "{:?}",
        verdict.told
    );
}

#[test]
fn replica_that_is_behind_or_missing_is_a_violation() {
    let (active, same, behind) = (node(0, 7), node(1, 7), node(1, 6));
    assert!(settled::check(&topology(), &[&active, &same]).holds());
    assert_eq!(
        settled::check(&topology(), &[&active, &behind]).violations,
        1
    );
    assert_eq!(settled::check(&topology(), &[&active]).violations, 1);
}

#[test]
fn replica_with_another_document_is_a_violation() {
    let violations =
        |values: &[&'static str]| agreement::check(&topology(), &stores(values), true).violations;
    assert_eq!(violations(&["v", "v"]), 0);
    assert_eq!(violations(&["v", "w"]), 1);
    assert_eq!(violations(&["v"]), 1);
}

#[test]
fn missing_changed_or_extra_documents_are_violations() {
    let stores = stores(&["v"]);
    let union = source::union(&topology(), &stores);
    let verdict = |writes: &[(&'static str, Option<&'static str>)]| {
        let mut oracle = Oracle::default();
        for &(key, value) in writes {
            let value = value.map(|value| Bytes::from_static(value.as_bytes()));
            oracle.apply(&Change {
                key: Bytes::from_static(key.as_bytes()),
                value,
            });
        }
        source::check(&oracle, &union).violations
    };
    assert_eq!(verdict(&[("k", Some("v"))]), 0);
    assert_eq!(verdict(&[("k", Some("w"))]), 1);
    assert_eq!(verdict(&[("k", Some("v")), ("l", Some("v"))]), 1);
    assert_eq!(verdict(&[("k", Some("v")), ("k", None)]), 1);
}

/// Guards against a check that merged the vBuckets: of two documents of one key it saw the later.
#[test]
fn document_in_two_vbuckets_is_a_violation() {
    let config = ClusterConfig {
        nodes: 1,
        replicas: 0,
        vbuckets: 2,
        ..ClusterConfig::default()
    };
    let topology = config.topology().expect("valid");
    let mut stores = stores(&["v"]);
    stores.insert(0, Vbid(1), contents_of(7, "v"));
    let mut oracle = Oracle::default();
    oracle.apply(&Change {
        key: Bytes::from_static(b"k"),
        value: Some(Bytes::from_static(b"v")),
    });
    let union = source::union(&topology, &stores);
    assert_eq!(source::check(&oracle, &union).violations, 1);
}

#[test]
fn marker_without_a_stream_is_a_violation() {
    let mut streams = Streams::default();
    let marker = SnapshotMarker::new(SnapshotType::Memory, Seqno(1), Seqno(3));
    let observation = Observation::Marker { vb: VB, marker };
    streams.observe(1, &observation, &mut Copies::default(), &History::default());
    let [contents, order, _] = streams.verdicts();
    assert_eq!((contents.violations, order.violations), (0, 1));
}

#[test]
fn items_on_disk_without_a_state_are_a_violation() {
    let violations = |high| {
        let mut streams = Streams::default();
        let stored = Stored {
            state: None,
            high: Seqno(high),
            purge: Seqno::ZERO,
            prepares: Vec::new(),
            collections: Collections::default(),
        };
        streams.started(1, VB, &stored, &Digests::default(), &History::default());
        let [contents, ..] = streams.verdicts();
        contents.violations
    };
    assert_eq!((violations(0), violations(3)), (0, 1));
}

#[test]
fn read_of_a_branch_without_writes_is_a_violation() {
    let violations = |seqno, is_known| {
        let mut reads = Reads::default();
        let seen = Seen {
            node: 1,
            vb: VB,
            branch: VbUuid(9),
            seqno: Seqno(seqno),
        };
        reads.seen(seen, None, is_known);
        reads.verdict().violations
    };
    assert_eq!(violations(3, false), 1);
    assert_eq!((violations(3, true), violations(0, false)), (0, 0));
}

#[test]
fn report_of_a_missing_copy_is_a_violation() {
    let mut order = PersistenceOrder::default();
    order.observe(0, VB, Seqno::ZERO, None, 0);
    assert_eq!(order.verdict().violations, 1);
}

/// W21: a check without a history panics in checked builds, and is an error in others.
#[test]
fn check_without_a_history_ends_the_run() {
    let (active, stores) = (node(0, 7), stores(&["v"]));
    let history = History::default();
    let check = || contents::check(&topology(), &[&active], &stores, &history);
    let checked = catch_unwind(AssertUnwindSafe(check));
    assert!(!matches!(checked, Ok(Ok(_))));
}

#[test]
fn node_over_its_limit_or_write_into_a_full_node_is_a_violation() {
    let quota = Quota::new(QuotaConfig::default().with_limit_bytes(1 << 20)).expect("valid");
    let violations = |used_bytes, before_bytes, was_full| {
        let (mut verdict, mut stats) = (memory::verdict(), quota.stats());
        stats.used_bytes = used_bytes;
        let taken = memory::TakenIn {
            bytes: 100,
            before_bytes,
            was_full,
        };
        memory::check(&mut verdict, 0, &stats, taken);
        verdict.violations
    };
    assert_eq!(violations(1 << 20, 1 << 19, false), 0);
    assert_eq!(
        violations(3 << 20, 3 << 20, false),
        0,
        "its limit was lowered"
    );
    assert_eq!(violations(2 << 20, 1 << 19, false), 1);
    assert_eq!(violations(1 << 19, 1 << 20, true), 1);
}
