//! N5: reads of clients, and the states without a readable snapshot.

use lowtide_checkpoint::{Item, SnapshotMarker, SnapshotType, VBucketError};

use super::engine::{Rig, rig};
use super::*;
use crate::consumer::Replicas;

/// A replica with the complete snapshot 1-2 on disk.
fn replica() -> Rig {
    let mut rig = rig(NodeConfig::default());
    rig.step(Event::SetState {
        vb: VB,
        state: State::Replica,
        uuid: None,
    });
    receive(&mut rig, (1, 2), &[(1, "a"), (2, "b")]);
    rig.flush();
    rig
}

/// Receives items of the snapshot `range`. A range that has begun continues.
fn receive(rig: &mut Rig, range: (u64, u64), items: &[(u64, &str)]) {
    let partitions = &mut rig.node.partitions;
    if partitions
        .get(VB)
        .expect("there")
        .vbucket
        .resume_point()
        .snapshot_end
        != Seqno(range.1)
    {
        let marker = SnapshotMarker::new(SnapshotType::Memory, Seqno(range.0), Seqno(range.1));
        partitions.apply_marker(VB, marker).expect("it follows");
    }
    for &(seqno, key) in items {
        let item = Item::mutation(Key::new(key.as_bytes()), Bytes::from(seqno.to_string()));
        partitions
            .apply_item(
                VB,
                Item {
                    seqno: Seqno(seqno),
                    ..item
                },
            )
            .expect("inside");
    }
    let _due = rig.node.shards.of_mut(VB).queued(VB);
}

/// Returns the seqno of the document that a client reads.
fn get(rig: &Rig, key: &str) -> Result<Option<u64>, ReadError> {
    let found = rig
        .node
        .reader(VB)?
        .get(rig.engine(), &Key::new(key.as_bytes()))?;
    Ok(found.map(|document| document.seqno.0))
}

fn is_unavailable(read: &Result<Option<u64>, ReadError>) -> bool {
    matches!(read, Err(ReadError::Unavailable { .. }))
}

#[test]
fn reads_see_all_writes_on_an_active_and_complete_snapshots_on_a_replica() {
    let mut rig = rig(NodeConfig::default());
    rig.set("a", 10).expect("active");
    assert_eq!(
        get(&rig, "a").expect("active"),
        Some(1),
        "no disk has it yet"
    );

    let mut rig = replica();
    receive(&mut rig, (3, 5), &[(4, "b")]);
    assert_eq!(
        get(&rig, "b").expect("a replica"),
        Some(2),
        "memory is ahead"
    );
    rig.flush();
    assert_eq!(
        get(&rig, "b").expect("a replica"),
        Some(2),
        "the disk is, too"
    );
    receive(&mut rig, (3, 5), &[(5, "a")]);
    assert_eq!(get(&rig, "a").expect("a replica"), Some(1));
    rig.flush();
    assert_eq!(
        (
            get(&rig, "a").expect("whole"),
            get(&rig, "b").expect("whole")
        ),
        (Some(5), Some(4))
    );
}

#[test]
fn reads_see_everything_after_a_promotion_inside_a_snapshot() {
    let mut rig = replica();
    receive(&mut rig, (3, 5), &[(4, "b")]);
    rig.flush();
    rig.step(Event::SetState {
        vb: VB,
        state: State::Active,
        uuid: Some(VbUuid(77)),
    });
    assert_eq!(get(&rig, "b").expect("active"), Some(4));
}

#[test]
fn reads_are_unavailable_during_a_rollback() {
    let mut rig = replica();
    receive(&mut rig, (3, 5), &[(4, "b")]);
    rig.flush();
    let mut actions = Vec::new();
    rig.node.roll_back(VB, Seqno(2), &mut actions);
    rig.wanted.extend(actions);
    assert!(is_unavailable(&get(&rig, "a")));
    rig.answer();
    assert_eq!(get(&rig, "b").expect("rolled back"), Some(2));

    rig.step(Event::SetState {
        vb: VB,
        state: State::Dead,
        uuid: None,
    });
    let refused = get(&rig, "a");
    let is_refused = |error: &ReadError| {
        matches!(
            error,
            ReadError::Node(NodeError::VBucket(VBucketError::WrongState {
                state: State::Dead,
                ..
            }))
        )
    };
    assert!(refused.as_ref().is_err_and(is_refused), "{refused:?}");
    rig.step(Event::Drop { vb: VB });
    assert!(matches!(
        get(&rig, "a"),
        Err(ReadError::Node(NodeError::NotHere { .. }))
    ));
}

#[test]
fn reads_are_unavailable_after_a_reopening_inside_a_snapshot() {
    let mut rig = replica();
    receive(&mut rig, (3, 5), &[(4, "b")]);
    rig.flush();
    assert_eq!(get(&rig, "b").expect("pinned"), Some(2));
    // A sync fails. The next attempt detects the poisoned store and reopens it.
    rig.disk.fail_sync(1);
    receive(&mut rig, (3, 5), &[(5, "a")]);
    rig.flush();
    rig.flush();
    assert!(
        matches!(rig.wanted[..], [Action::Call(EngineCall::Reopen)]),
        "{:?}",
        rig.wanted
    );
    assert!(
        is_unavailable(&get(&rig, "b")),
        "what the old store pinned, the new one may overwrite"
    );
    rig.answer();
    rig.flush();
    assert_eq!(
        (
            get(&rig, "a").expect("whole"),
            get(&rig, "b").expect("whole")
        ),
        (Some(5), Some(4))
    );
}
