//! Highest seqnos of collections on a node.

use lowtide_checkpoint::{AfterStop, Key};

use super::engine::rig;
use super::*;

/// Guards S23 for items that were written, received, loaded and rolled back to.
#[test]
fn collection_high_seqnos_are_exact_after_writes_streams_loads_and_rollbacks() {
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
    let mut loaded = Node::new(NodeConfig::default()).expect("a valid configuration");
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

/// Guards S23: seqnos that an engine may have purged are unknown.
#[test]
fn collection_high_seqnos_are_unknown_after_a_purge_that_may_include_them() {
    use crate::producer::Partitions;
    for keeps_collections_highest in [false, true] {
        let mut rig = rig(NodeConfig {
            keeps_collections_highest,
            ..NodeConfig::default()
        });
        rig.set("a", 10).expect("active");
        assert!(
            crate::node::streamed::streamed!(rig.node)
                .collections(VB)
                .is_some()
        );
        rig.step(Event::Purged {
            vb: VB,
            seqno: Seqno(1),
        });
        let is_known = crate::node::streamed::streamed!(rig.node)
            .collections(VB)
            .is_some();
        assert_eq!(is_known, keeps_collections_highest);
    }
}
