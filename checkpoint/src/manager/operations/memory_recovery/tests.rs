//! Memory recovery: the order of its steps, and what it never drops.

use bytes::Bytes;

use super::MemoryRecovery;
use crate::error::CheckpointError;
use crate::manager::config::{CheckpointConfig, CursorOptions};
use crate::manager::manager::CheckpointManager;
use crate::manager::read_limit::ReadLimit;
use crate::memory::{MemoryState, Quota, QuotaConfig};
use crate::model::{Item, Key, Seqno};

fn manager(config: CheckpointConfig) -> CheckpointManager {
    CheckpointManager::new(config, Seqno::ZERO)
}

fn set(manager: &CheckpointManager, key: usize) -> Result<(), CheckpointError> {
    let item = Item::mutation(
        Key::new(format!("{key}").as_bytes()),
        Bytes::from(vec![0; 200]),
    );
    manager.queue(item).map(|_| ())
}

fn names(dropped: &[std::sync::Arc<str>]) -> Vec<&str> {
    dropped.iter().map(|name| &**name).collect()
}

/// Creates a manager with ten items, each in its own checkpoint, and `(name, items read, droppable)`
/// cursors.
fn with_cursors(cursors: &[(&str, usize, bool)]) -> CheckpointManager {
    let manager = manager(CheckpointConfig::in_memory());
    let register = |&(name, _, droppable): &(&str, usize, bool)| {
        manager
            .register(
                name,
                Seqno::ZERO,
                CursorOptions::new().with_droppable(droppable),
            )
            .expect("valid")
            .cursor
    };
    let handles: Vec<_> = cursors.iter().map(register).collect();
    for key in 0..10 {
        set(&manager, key).expect("no quota");
        for (&(_, read, _), &handle) in cursors.iter().zip(&handles) {
            if key < read {
                manager.read(handle, ReadLimit::NONE).expect("registered");
            }
        }
        manager.close();
    }
    manager
}

#[test]
fn recover_drops_no_cursor_while_expelling_is_enough() {
    let manager = manager(CheckpointConfig::in_memory());
    let reader = manager
        .register("reader", Seqno::ZERO, CursorOptions::new())
        .expect("valid")
        .cursor;
    set(&manager, 1).expect("no quota");
    manager.read(reader, ReadLimit::NONE).expect("registered");
    set(&manager, 2).expect("no quota");
    let recovered = manager.recover_memory(100);
    assert_eq!((recovered.checkpoints_created, recovered.expelled), (1, 1));
    assert!(
        recovered.is_satisfied && recovered.cursors_dropped.is_empty(),
        "{recovered:?}"
    );
}

#[test]
fn recover_drops_lowest_cursors_first_and_no_more_than_needed() {
    let manager = with_cursors(&[("a", 2, true), ("b", 5, true), ("c", 8, true)]);
    let recovered = manager.recover_memory(3 * 200);
    assert_eq!(
        (names(&recovered.cursors_dropped), recovered.is_satisfied),
        (vec!["a"], true)
    );
    let recovered = manager.recover_memory(usize::MAX);
    assert_eq!(
        (names(&recovered.cursors_dropped), recovered.is_satisfied),
        (vec!["b", "c"], false)
    );
    assert_eq!(manager.stats().items, 0);
    assert_eq!(manager.check(), [""; 0]);
}

#[test]
fn recover_drops_cursors_that_wait_for_the_same_item_together() {
    let manager = with_cursors(&[("a", 2, true), ("b", 2, true), ("c", 8, true)]);
    assert_eq!(
        names(&manager.recover_memory(200).cursors_dropped),
        ["a", "b"]
    );
}

#[test]
fn recover_drops_no_cursor_when_nothing_would_be_freed() {
    let manager = with_cursors(&[("a", 2, true), ("stays", 2, false), ("c", 8, true)]);
    let recovered = manager.recover_memory(usize::MAX);
    assert_eq!(
        (names(&recovered.cursors_dropped), recovered.freed_bytes),
        (vec![], 0)
    );
    assert_eq!(
        manager.recover_memory(0),
        MemoryRecovery {
            is_satisfied: true,
            ..MemoryRecovery::default()
        }
    );
}

#[test]
fn recover_keeps_items_of_a_flush_in_progress() {
    let manager = manager(CheckpointConfig {
        persistence: true,
        ..CheckpointConfig::in_memory()
    });
    set(&manager, 1).expect("no quota");
    let flush = manager.begin_flush(ReadLimit::NONE).expect("no other");
    assert_eq!(manager.recover_memory(usize::MAX).freed_bytes, 0);
    flush.fail();
    let again = manager.begin_flush(ReadLimit::NONE).expect("no other");
    assert_eq!(again.batch().items().count(), 1);
}

#[test]
fn full_quota_refuses_writes_until_memory_is_recovered() {
    let quota = Quota::new(QuotaConfig {
        limit_bytes: 64 << 10,
        ..QuotaConfig::default()
    })
    .expect("valid");
    let config = CheckpointConfig {
        quota: Some(quota.clone()),
        ..CheckpointConfig::in_memory()
    };
    let managers = [manager(config.clone()), manager(config)];
    let reader = managers[0]
        .register("reader", Seqno::ZERO, CursorOptions::new())
        .expect("valid")
        .cursor;
    let written = (0..)
        .find(|&key| set(&managers[0], key).is_err())
        .expect("the quota is small");
    assert!(written > 100, "{written}");
    assert!(
        matches!(set(&managers[1], 1), Err(CheckpointError::NoMemory { .. })),
        "it is one quota for both"
    );
    assert_eq!(
        managers[0].high_seqno(),
        Seqno(written as u64),
        "a refused write uses up no seqno"
    );

    managers[0]
        .read(reader, ReadLimit::NONE)
        .expect("registered");
    let recovered = managers[0].recover_memory(quota.excess_bytes());
    assert!(recovered.cursors_dropped.is_empty(), "{recovered:?}");
    assert_eq!(quota.state(), MemoryState::Available);
    set(&managers[1], 1).expect("there is room again");
    drop(managers);
    assert_eq!(quota.used_bytes(), 0);
}

#[test]
fn checkpoint_is_closed_at_its_share_of_the_quota() {
    let quota = Quota::new(QuotaConfig {
        limit_bytes: 100 << 10,
        ..QuotaConfig::default()
    })
    .expect("valid");
    let manager = manager(CheckpointConfig {
        quota: Some(quota),
        ..CheckpointConfig::in_memory()
    });
    manager
        .register("reader", Seqno::ZERO, CursorOptions::new())
        .expect("valid");
    for key in 0..100 {
        set(&manager, key).expect("within the quota");
    }
    let checkpoints = manager.stats().checkpoints;
    assert!(
        (3..=5).contains(&checkpoints),
        "{checkpoints} for a third of the quota in tenths of it"
    );
}
