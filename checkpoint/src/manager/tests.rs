//! What scenario files can't show: handles, dropped flushes, batches that outlive their queue, memory.

use bytes::Bytes;

use super::*;
use crate::{Key, Operation, SnapshotType, State};

mod dummy;
mod lessons;

const PERSISTING: CheckpointConfig = CheckpointConfig {
    role: Role::Active,
    max_bytes: None,
    quota: None,
    reclaimer: None,
    limits: crate::ItemLimits::DEFAULT,
    persistence: true,
};

fn active() -> CheckpointManager {
    CheckpointManager::new(CheckpointConfig::default(), Seqno::ZERO)
}

fn persisting() -> CheckpointManager {
    CheckpointManager::new(PERSISTING, Seqno::ZERO)
}

fn set(manager: &CheckpointManager, key: &str) -> Queued {
    manager
        .queue(mutation(key, 10))
        .expect("an active takes it")
}

fn mutation(key: &str, value_bytes: usize) -> Item {
    Item::mutation(Key::new(key.as_bytes()), Bytes::from(vec![0; value_bytes]))
}

fn cursor(manager: &CheckpointManager, name: &str) -> Cursor {
    manager
        .register(name, Seqno::ZERO, true)
        .expect("0 is below every seqno")
        .cursor
}

fn flush(manager: &CheckpointManager) -> Flush {
    manager
        .begin_flush(ReadLimit::NONE)
        .expect("no other flush")
}

fn read(manager: &CheckpointManager, cursor: Cursor) -> Batch {
    manager
        .read(cursor, ReadLimit::NONE)
        .expect("it is registered")
}

/// `key@seqno` of each item.
fn held(batch: &Batch) -> Vec<String> {
    batch
        .items()
        .map(|item| format!("{}@{}", item.key, item.seqno))
        .collect()
}

fn assert_sound(manager: &CheckpointManager) {
    assert_eq!(manager.check(), Vec::<String>::new());
}

#[test]
fn a_handle_kept_too_long_touches_nobody() {
    let manager = active();
    set(&manager, "a");
    let old = cursor(&manager, "dcp");
    manager.unregister(old).expect("it is registered");
    // The newcomer gets the same slot.
    let new = cursor(&manager, "indexer");
    let unknown = Err(CheckpointError::UnknownCursor);
    assert_eq!(
        manager.read(old, ReadLimit::NONE).map(|batch| held(&batch)),
        unknown
    );
    assert_eq!(manager.remaining(old), Err(CheckpointError::UnknownCursor));
    assert_eq!(manager.unregister(old), Err(CheckpointError::UnknownCursor));
    assert_eq!(held(&read(&manager, new)), ["a@1"]);
}

#[test]
fn a_replaced_cursors_handle_is_stale_and_its_name_has_the_new_one() {
    let manager = active();
    set(&manager, "a");
    let old = cursor(&manager, "dcp");
    read(&manager, old);
    let new = cursor(&manager, "dcp");
    assert_ne!(old, new);
    assert_eq!(manager.cursor("dcp"), Some(new));
    assert_eq!(manager.remaining(old), Err(CheckpointError::UnknownCursor));
    assert_eq!(manager.remaining(new), Ok(1));
    assert_eq!(manager.stats().cursors, 1);
    // A registration that is refused replaces nothing.
    manager
        .register("dcp", Seqno(2), true)
        .expect_err("2 was not queued yet");
    assert_eq!(manager.cursor("dcp"), Some(new));
}

#[test]
fn the_persistence_cursor_is_moved_by_flushes_only() {
    let manager = persisting();
    set(&manager, "a");
    let persistence = manager
        .cursor(PERSISTENCE)
        .expect("the config asked for it");
    for refused in [
        manager.read(persistence, ReadLimit::NONE).map(drop),
        manager.unregister(persistence),
        manager.register(PERSISTENCE, Seqno::ZERO, true).map(drop),
    ] {
        assert!(
            matches!(refused, Err(CheckpointError::InvalidArgument(_))),
            "{refused:?}"
        );
    }
    assert_eq!(manager.remaining(persistence), Ok(1));
    assert!(matches!(
        active().begin_flush(ReadLimit::NONE),
        Err(CheckpointError::NoPersistenceCursor)
    ));
}

#[test]
fn a_flush_that_is_dropped_has_failed() {
    let manager = persisting();
    set(&manager, "a");
    drop(flush(&manager));
    let again = flush(&manager);
    assert_eq!(held(again.batch()), ["a@1"]);
    again.commit();
    assert!(flush(&manager).batch().is_empty());
}

#[test]
fn a_flush_in_progress_keeps_what_it_would_read_again() {
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
        "less what was replaced, and what came since"
    );
    second.commit();
    assert_eq!((manager.stats().checkpoints, manager.expel()), (1, 1));
}

#[test]
fn a_refused_flush_leaves_no_trace() {
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
        // Its end, whatever it is, neither moves the cursor nor ends the flush that came after it.
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
fn a_batch_stays_the_snapshot_it_was() {
    let manager = active();
    let slow = cursor(&manager, "slow");
    for key in ["a", "b", "c"] {
        set(&manager, key);
    }
    let before = read(&manager, slow);
    for key in ["a", "c", "d"] {
        set(&manager, key);
    }
    let after = read(&manager, slow);
    assert_eq!(manager.expel(), 4);
    manager.clear(Seqno::ZERO);
    set(&manager, "x");
    assert_eq!(
        held(&before),
        ["a@1", "b@2", "c@3"],
        "as at 3, whatever replaced them"
    );
    assert_eq!(before.ranges()[0].end, Seqno(3));
    assert_eq!(held(&after), ["a@4", "c@5", "d@6"]);
    assert_eq!(held(&before), ["a@1", "b@2", "c@3"], "walked again");
}

#[test]
fn a_batch_walked_while_it_is_superseded_is_not_torn() {
    let manager = active();
    let slow = cursor(&manager, "slow");
    for number in 0..50 {
        set(&manager, &format!("k{number}"));
    }
    let batch = read(&manager, slow);
    let mut walk = batch.items();
    let first: Vec<_> = walk.by_ref().take(25).map(|item| item.seqno.0).collect();
    for number in 0..50 {
        assert_eq!(
            set(&manager, &format!("k{number}")).effect,
            Effect::Replaced
        );
    }
    assert_eq!(
        manager.expel(),
        0,
        "what the batch holds was replaced, not expelled"
    );
    let rest: Vec<_> = walk.map(|item| item.seqno.0).collect();
    assert_eq!([first, rest].concat(), (1..=50).collect::<Vec<_>>());
}

#[test]
fn memory_returns_to_the_baseline() {
    let manager = persisting();
    let baseline = manager.stats().memory_bytes();
    assert_eq!(baseline, 0);
    let dcp = cursor(&manager, "dcp");
    for round in 0..3 {
        for number in 0..200 {
            set(&manager, &format!("k{}", number % (round + 50)));
        }
        manager.close();
    }
    set(&manager, "last");
    assert!(manager.stats().queue_bytes > 0 && manager.stats().index_bytes > 0);

    let batch = read(&manager, dcp);
    let persisted = flush(&manager);
    let full = manager.stats();
    assert_eq!(full.reader_bytes, 0, "the queue holds it too");
    persisted.commit();
    assert_eq!(manager.expel(), 1);

    let stats = manager.stats();
    assert_eq!(
        (stats.items, stats.queue_bytes, stats.index_bytes),
        (0, 0, 0)
    );
    assert_eq!(
        stats.reader_bytes, full.queue_bytes,
        "all of it is the batch's now"
    );
    assert_eq!(stats.memory_bytes(), stats.reader_bytes);
    drop(batch);
    assert_eq!(manager.stats().memory_bytes(), baseline);
}

#[test]
fn reader_bytes_are_what_only_batches_hold() {
    let manager = active();
    let (slow, fast) = (cursor(&manager, "slow"), cursor(&manager, "fast"));
    for number in 0..64 {
        set(&manager, &format!("k{number:02}"));
    }
    let queued = manager.stats().queue_bytes;
    let batch = read(&manager, slow);
    assert_eq!(manager.expel(), 0, "fast has read nothing");
    assert_eq!(manager.stats().reader_bytes, 0);

    manager.unregister(fast).expect("it is registered");
    assert_eq!(manager.expel(), 64);
    assert_eq!(
        (manager.stats().queue_bytes, manager.stats().reader_bytes),
        (0, queued)
    );

    // Two batches over the same chunks hold them once.
    let manager = active();
    let (one, two) = (cursor(&manager, "one"), cursor(&manager, "two"));
    set(&manager, "a");
    let queued = manager.stats().queue_bytes;
    let batches = [read(&manager, one), read(&manager, two)];
    assert_eq!(manager.expel(), 1);
    assert_eq!(manager.stats().reader_bytes, queued);
    drop(batches);
    assert_eq!(manager.stats().reader_bytes, 0);
    drop(batch);
}

#[test]
fn what_clear_drops_is_discharged() {
    let manager = active();
    let slow = cursor(&manager, "slow");
    for number in 0..100 {
        set(&manager, &format!("k{number}"));
    }
    let queued = manager.stats().queue_bytes;
    let batch = read(&manager, slow);
    manager.clear(Seqno(40));
    let stats = manager.stats();
    assert_eq!(
        (stats.queue_bytes, stats.index_bytes, stats.reader_bytes),
        (0, 0, queued)
    );
    assert_eq!(batch.items().count(), 100);
    drop(batch);
    assert_eq!(manager.stats().memory_bytes(), 0);
}

#[test]
fn a_batch_may_outlive_its_manager() {
    let manager = active();
    let slow = cursor(&manager, "slow");
    set(&manager, "a");
    let batch = read(&manager, slow);
    drop(manager);
    assert_eq!(held(&batch), ["a@1"]);
}

#[test]
#[cfg_attr(miri, ignore = "too many steps")]
fn index_memory_follows_what_is_resident() {
    let manager = active();
    let reader = cursor(&manager, "reader");
    for number in 0..10_000 {
        set(&manager, &format!("k{number}"));
    }
    let full = manager.stats().index_bytes;
    read(&manager, reader);
    // One item stays, so that the open checkpoint never is empty; the rest has gone.
    set(&manager, "stays");
    manager.expel();
    for number in 0..20_000 {
        set(&manager, &format!("n{number}"));
        read(&manager, reader);
        set(&manager, "stays");
        manager.expel();
    }
    let stats = manager.stats();
    assert!(
        stats.items <= 2 && stats.index_bytes < full / 8,
        "{} of {full} bytes",
        stats.index_bytes
    );
    assert_sound(&manager);
}

#[test]
fn a_clone_is_the_same_manager() {
    let manager = active();
    let other = manager.clone();
    set(&other, "a");
    assert_eq!(manager.high_seqno(), Seqno(1));
    assert_eq!(held(&read(&other, cursor(&manager, "dcp"))), ["a@1"]);
}

#[test]
fn a_refused_item_changes_nothing() {
    let replica = CheckpointManager::new(
        CheckpointConfig {
            role: Role::Replica,
            ..CheckpointConfig::default()
        },
        Seqno(5),
    );
    replica
        .snapshot(SnapshotMarker::new(
            SnapshotType::Memory,
            Seqno(6),
            Seqno(9),
        ))
        .expect("valid");
    replica
        .queue(Item {
            seqno: Seqno(7),
            ..mutation("a", 1)
        })
        .expect("inside");
    let (shown, stats) = (replica.to_string(), replica.stats());
    let refused = [
        (
            7,
            CheckpointError::OutOfOrder {
                seqno: Seqno(7),
                high: Seqno(7),
            },
        ),
        (
            10,
            CheckpointError::OutOfRange {
                seqno: Seqno(10),
                start: Seqno(6),
                end: Seqno(9),
            },
        ),
    ];
    for (seqno, error) in refused {
        assert_eq!(
            replica.queue(Item {
                seqno: Seqno(seqno),
                ..mutation("b", 1)
            }),
            Err(error)
        );
    }
    let state = Item::new(Operation::SetVBucketState(State::Active), Key::new(b""));
    replica
        .queue(Item {
            seqno: Seqno(8),
            ..state
        })
        .expect_err("a state has no seqno of its own");
    assert_eq!((replica.to_string(), replica.stats()), (shown, stats));
}

#[test]
fn a_cut_disk_snapshot_is_flushed_in_slices() {
    let config = CheckpointConfig {
        limits: crate::ItemLimits::DEFAULT,
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
    // An empty checkpoint behind it must not draw the rest into the slice.
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

#[test]
fn queue_all_stops_at_the_first_item_that_is_refused() {
    let manager = CheckpointManager::new(CheckpointConfig::default(), Seqno::ZERO);
    let refused = Item {
        seqno: Seqno(7),
        ..mutation("c", 1)
    };
    let mut queued = Vec::new();
    let items = [
        mutation("a", 1),
        mutation("a", 2),
        refused,
        mutation("d", 1),
    ];
    assert!(matches!(
        manager.queue_all(items, &mut queued),
        Err(CheckpointError::InvalidArgument(_))
    ));
    let queued: Vec<_> = queued
        .iter()
        .map(|queued| (queued.seqno.0, queued.effect))
        .collect();
    assert_eq!(queued, [(1, Effect::New), (2, Effect::Replaced)]);
    assert_eq!((manager.high_seqno(), manager.stats().items), (Seqno(2), 1));
}
