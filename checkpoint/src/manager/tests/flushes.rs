//! Flushes: failure, refusal, rollback, and slices of a disk snapshot.

use super::*;

#[test]
fn dropped_flush_has_failed() {
    let manager = persisting();
    set(&manager, "a");
    drop(flush(&manager));
    let again = flush(&manager);
    assert_eq!(held(again.batch()), ["a@1"]);
    again.commit();
    assert!(flush(&manager).batch().is_empty());
}

#[test]
fn flush_in_progress_keeps_its_items() {
    let manager = persisting();
    set(&manager, "a");
    manager.close();
    set(&manager, "b");
    let first = flush(&manager);
    assert_eq!(manager.expel(), 0);
    assert_eq!(
        manager.stats().checkpoints,
        2,
        "the closed one is still needed"
    );
    set(&manager, "b");
    first.fail();
    let second = flush(&manager);
    assert_eq!(
        held(second.batch()),
        ["a@1", "b@3"],
        "without replaced items, with items queued since"
    );
    second.commit();
    assert_eq!((manager.stats().checkpoints, manager.expel()), (1, 1));
}

#[test]
fn refused_flush_leaves_no_trace() {
    let manager = persisting();
    set(&manager, "a");
    let nothing = ReadLimit { items: 0, bytes: 1 };
    assert!(matches!(
        manager.begin_flush(nothing),
        Err(CheckpointError::InvalidArgument(_))
    ));
    let first = flush(&manager);
    assert!(matches!(
        manager.begin_flush(ReadLimit::NONE),
        Err(CheckpointError::FlushInProgress)
    ));
    first.commit();
    assert!(flush(&manager).batch().is_empty());
}

#[test]
fn clear_makes_the_flush_in_progress_void() {
    for success in [true, false] {
        let manager = persisting();
        set(&manager, "a");
        set(&manager, "b");
        let void = flush(&manager);
        manager.clear(Seqno(1));
        assert_eq!(set(&manager, "c").seqno, Seqno(2));
        // Its end neither moves the cursor nor ends the flush begun after it.
        let next = flush(&manager);
        if success {
            void.commit()
        } else {
            void.fail()
        }
        assert!(matches!(
            manager.begin_flush(ReadLimit::NONE),
            Err(CheckpointError::FlushInProgress)
        ));
        assert_eq!(held(next.batch()), ["c@2"]);
        next.fail();
        let again = flush(&manager);
        assert_eq!(held(again.batch()), ["c@2"], "after {success}");
        assert_sound(&manager);
    }
}

#[test]
fn large_disk_snapshot_is_flushed_in_slices() {
    let config = CheckpointConfig {
        limits: ItemLimits::DEFAULT,
        role: Role::Replica,
        max_bytes: None,
        quota: None,
        reclaimer: None,
        persistence: true,
    };
    let replica = CheckpointManager::new(config, Seqno::ZERO);
    let marker = SnapshotMarker {
        high_completed_seqno: Some(Seqno(1)),
        ..SnapshotMarker::new(SnapshotType::Disk, Seqno(1), Seqno(5))
    };
    replica.snapshot(marker).expect("valid");
    for seqno in 1..=5 {
        replica
            .queue(Item {
                seqno: Seqno(seqno),
                ..mutation("a", 1000)
            })
            .expect("inside");
    }
    // An empty checkpoint behind it must not add the rest to the slice.
    replica
        .snapshot(SnapshotMarker::new(
            SnapshotType::Memory,
            Seqno(6),
            Seqno(9),
        ))
        .expect("valid");
    let limits = [
        ReadLimit {
            items: 2,
            ..ReadLimit::NONE
        },
        ReadLimit {
            bytes: 1500,
            ..ReadLimit::NONE
        },
    ];
    let slices = limits.map(|limit| {
        let flush = replica.begin_flush(limit).expect("no other flush");
        let slice = (held(flush.batch()), flush.batch().more());
        flush.commit();
        slice
    });
    let slice = |from: u64| (vec![format!("a@{from}"), format!("a@{}", from + 1)], true);
    assert_eq!(slices, [slice(1), slice(3)]);
    assert_eq!(held(flush(&replica).batch()), ["a@5"]);
}
