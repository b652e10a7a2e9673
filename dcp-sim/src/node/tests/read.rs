//! N5: what a client reads, and when there is nothing to read.

use lowtide_checkpoint::{Item, SnapshotMarker, SnapshotType, VBucketError};

use super::engine::{Rig, rig};
use super::*;
use crate::consumer::Replicas;

/// A replica that has the snapshot 1-2 whole on disk.
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

/// Of the snapshot `range` these seqnos and keys arrive; a range that has begun already goes on.
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
    rig.node.dirty.insert(VB);
}

/// The seqno of what a client finds.
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
fn an_active_shows_what_was_written_and_a_replica_whole_snapshots_from_its_disk() {
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
fn a_copy_that_is_promoted_inside_a_snapshot_shows_all_it_has() {
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
fn between_two_states_there_is_nothing_to_read() {
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
fn a_store_that_was_opened_anew_inside_a_snapshot_shows_nothing_before_its_end() {
    let mut rig = replica();
    receive(&mut rig, (3, 5), &[(4, "b")]);
    rig.flush();
    assert_eq!(get(&rig, "b").expect("pinned"), Some(2));
    // A sync fails; the next attempt finds the store poisoned, and has it opened anew.
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
