//! Counters, and the figures of checkpoints and cursors.

use bytes::Bytes;

use crate::manager::config::{CheckpointConfig, CursorOptions, Role};
use crate::manager::manager::CheckpointManager;
use crate::manager::read_limit::ReadLimit;
use crate::model::{Item, Key, Seqno, SnapshotMarker, SnapshotType};

fn set(manager: &CheckpointManager, key: &str) {
    manager
        .queue(Item::mutation(
            Key::new(key.as_bytes()),
            Bytes::from_static(b"12345"),
        ))
        .expect("active");
}

fn persisting() -> CheckpointManager {
    let config = CheckpointConfig {
        persistence: true,
        ..CheckpointConfig::in_memory()
    };
    CheckpointManager::new(config, Seqno::ZERO)
}

#[test]
fn queued_item_is_resident_or_in_one_counter() {
    let manager = persisting();
    for key in ["a", "b", "a"] {
        set(&manager, key);
    }
    manager
        .begin_flush(ReadLimit::NONE)
        .expect("no other")
        .commit();
    let bytes_before = manager
        .checkpoints()
        .iter()
        .map(|info| info.payload_bytes + info.overhead_bytes)
        .sum::<usize>();
    assert_eq!(manager.expel(), 2);
    set(&manager, "c");
    let bytes_of_c =
        manager.checkpoints()[0].payload_bytes + manager.checkpoints()[0].overhead_bytes;
    manager.close();
    set(&manager, "d");
    manager
        .begin_flush(ReadLimit::NONE)
        .expect("no other")
        .commit();
    manager.clear(Seqno(2));
    set(&manager, "e");
    let stats = manager.stats();
    assert_eq!(
        (
            stats.enqueued,
            stats.items,
            stats.deduplicated,
            stats.expelled,
            stats.removed,
            stats.cleared
        ),
        (6, 1, 1, 2, 1, 1)
    );
    assert_eq!(
        (stats.expelled_bytes, stats.removed_bytes),
        (bytes_before as u64, bytes_of_c as u64)
    );
    assert_eq!(
        (
            stats.checkpoints_created,
            stats.checkpoints_removed,
            stats.checkpoints
        ),
        (3, 2, 1)
    );
}

#[test]
fn failed_flush_adds_only_a_read() {
    let manager = persisting();
    set(&manager, "a");
    let before = manager.stats();
    manager
        .begin_flush(ReadLimit::NONE)
        .expect("no other")
        .fail();
    assert_eq!(manager.stats(), before);
    let cursor = &manager.cursors()[0];
    assert_eq!(
        (cursor.reads, cursor.remaining, cursor.seqno),
        (1, 1, Seqno::ZERO)
    );
}

#[test]
fn checkpoint_and_cursor_infos_have_exact_figures() {
    let config = CheckpointConfig {
        role: Role::Replica,
        ..CheckpointConfig::in_memory()
    };
    let replica = CheckpointManager::new(config, Seqno::ZERO);
    let slow = replica
        .register(
            "slow",
            Seqno::ZERO,
            CursorOptions::new().with_droppable(false),
        )
        .expect("valid")
        .cursor;
    replica
        .snapshot(SnapshotMarker::new(
            SnapshotType::Memory,
            Seqno(1),
            Seqno(4),
        ))
        .expect("valid");
    for seqno in [1, 2, 4] {
        let item = Item::mutation(Key::new(b"abc"), Bytes::from_static(b"12345"));
        let key = Key::new(format!("k{seqno}").as_bytes());
        replica
            .queue(Item {
                seqno: Seqno(seqno),
                key,
                ..item
            })
            .expect("inside");
    }
    let disk = SnapshotMarker {
        high_completed_seqno: Some(Seqno::ZERO),
        history: true,
        ..SnapshotMarker::new(SnapshotType::Disk, Seqno(5), Seqno(9))
    };
    replica.snapshot(disk).expect("valid");
    let fast = replica
        .register("fast", Seqno(4), CursorOptions::new())
        .expect("valid")
        .cursor;
    replica.read(fast, ReadLimit::NONE).expect("registered");
    replica.read(fast, ReadLimit::NONE).expect("registered");

    let [memory, disk] = replica.checkpoints()[..] else {
        panic!("{replica}")
    };
    let payload_bytes = 3 * (Key::new(b"k1").encoded().len() + 5);
    assert_eq!(
        (memory.id, memory.is_open, memory.items, memory.cursors),
        (3 - 1, false, 3, 1)
    );
    assert_eq!(
        (memory.payload_bytes, memory.gone_up_to),
        (payload_bytes, Seqno::ZERO)
    );
    assert_eq!(
        (memory.range.start, memory.range.end, memory.range.last),
        (Seqno(1), Seqno(4), Some(Seqno(4)))
    );
    assert_eq!(
        (disk.id, disk.is_open, disk.items, disk.cursors),
        (3, true, 0, 1)
    );
    assert_eq!(
        (disk.payload_bytes, disk.overhead_bytes, disk.gone_up_to),
        (0, 0, Seqno(4))
    );
    assert!(disk.range.history && disk.range.snapshot_type == SnapshotType::Disk);

    let cursors = replica.cursors();
    let figures = cursors
        .iter()
        .map(|info| (&*info.name, info.checkpoint_id, info.remaining, info.reads));
    assert_eq!(
        figures.collect::<Vec<_>>(),
        [("fast", 3, 0, 2), ("slow", 2, 3, 0)]
    );
    assert!(cursors[0].droppable && !cursors[1].droppable);
    // Reading the last items of the closed checkpoint removes it.
    replica.read(slow, ReadLimit::NONE).expect("registered");
    assert_eq!(replica.checkpoints().len(), 1);
}
