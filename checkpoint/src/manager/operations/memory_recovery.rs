//! Memory recovery of one manager: close the open checkpoint, expel, drop cursors.
//!
//! Dropping a cursor sends its consumer to the disk, so it is the last resort. It frees memory only
//! if the cursor is furthest behind.
//!
//! # Invariants
//! - Each step runs only while there is something left to recover (C17).
//! - Cursors are dropped from the lowest up, those that wait for the same item together. A cursor at
//!   or above one that must stay is never dropped. None is dropped where nothing would be freed.

use std::sync::Arc;

use crate::manager::locked_state::LockedState;
#[cfg(checkpoint_loom)]
use crate::{manager::cursors::CursorState, model::Seqno};

/// The result of memory recovery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Number of checkpoints opened because one was closed.
    pub checkpoints_created: usize,
    /// Number of items expelled.
    pub expelled: usize,
    /// Names of the dropped cursors, in this order. Their handles are unknown now, and their
    /// consumers register again.
    pub cursors_dropped: Vec<Arc<str>>,
    /// Bytes of keys, values and the queue's overhead that are no longer needed. Memory held by
    /// readers' batches is freed when these are dropped.
    pub freed_bytes: usize,
    /// Whether `freed_bytes` reaches the requested number.
    pub is_satisfied: bool,
}

impl LockedState {
    #[cfg(checkpoint_loom)]
    /// Runs the first of two steps of `Fault::DropInTwoSteps`: drops every droppable cursor.
    pub(crate) fn drop_all(&mut self) -> (u64, Seqno) {
        let droppable = |cursor: &&CursorState| cursor.droppable;
        let names: Vec<_> = self
            .cursors
            .iter()
            .filter(droppable)
            .map(|cursor| Arc::clone(&cursor.name))
            .collect();
        for name in names {
            self.cursors
                .by_name(&name)
                .map(|cursor| self.cursors.remove(cursor));
        }
        self.record_change();
        self.passed_by_all()
    }

    pub(crate) fn recover(&mut self, bytes: usize) -> Recovered {
        let mut done = Recovered::default();
        let before = self.live_bytes();
        let freed = |state: &Self| before.saturating_sub(state.live_bytes());
        if bytes > 0 && self.open.live.items > 0 {
            self.open_next();
            done.checkpoints_created = 1;
        }
        while freed(self) < bytes {
            done.expelled += self.expel();
            if freed(self) >= bytes || !self.drop_lowest(&mut done.cursors_dropped) {
                break;
            }
        }
        done.freed_bytes = freed(self);
        done.is_satisfied = done.freed_bytes >= bytes;
        done
    }

    fn live_bytes(&self) -> usize {
        self.checkpoints()
            .map(|checkpoint| checkpoint.live.bytes)
            .sum()
    }

    /// Drops the lowest cursors, all that wait for the same item, if that frees an item. Returns
    /// whether it dropped any.
    fn drop_lowest(&mut self, dropped: &mut Vec<Arc<str>>) -> bool {
        self.sync_all_progress();
        let Some((lowest, _)) = self.lowest() else {
            return false;
        };
        let stays = self
            .cursors
            .iter()
            .filter(|cursor| !cursor.droppable)
            .map(|cursor| cursor.position);
        let backup = self.flush.map(|flush| flush.backup_position);
        let barrier = stays.chain(backup).min().unwrap_or(self.queue.end());
        let Some((awaited, _)) = self.queue.live_items(lowest, barrier).next() else {
            return false;
        };
        let names: Vec<_> = self
            .cursors
            .iter()
            .filter(|cursor| cursor.position <= awaited)
            .map(|cursor| Arc::clone(&cursor.name))
            .collect();
        for name in names {
            if let Some(cursor) = self.cursors.by_name(&name) {
                self.cursors.remove(cursor);
                self.dropped += 1;
                dropped.push(name);
            }
        }
        self.remove_unreferenced();
        self.record_change();
        true
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::Recovered;
    use crate::error::CheckpointError;
    use crate::manager::config::CheckpointConfig;
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
        let manager = manager(CheckpointConfig::default());
        let register = |&(name, _, droppable): &(&str, usize, bool)| {
            manager
                .register(name, Seqno::ZERO, droppable)
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
        let manager = manager(CheckpointConfig::default());
        let reader = manager
            .register("reader", Seqno::ZERO, true)
            .expect("valid")
            .cursor;
        set(&manager, 1).expect("no quota");
        manager.read(reader, ReadLimit::NONE).expect("registered");
        set(&manager, 2).expect("no quota");
        let recovered = manager.recover(100);
        assert_eq!((recovered.checkpoints_created, recovered.expelled), (1, 1));
        assert!(
            recovered.is_satisfied && recovered.cursors_dropped.is_empty(),
            "{recovered:?}"
        );
    }

    #[test]
    fn recover_drops_lowest_cursors_first_and_no_more_than_needed() {
        let manager = with_cursors(&[("a", 2, true), ("b", 5, true), ("c", 8, true)]);
        let recovered = manager.recover(3 * 200);
        assert_eq!(
            (names(&recovered.cursors_dropped), recovered.is_satisfied),
            (vec!["a"], true)
        );
        let recovered = manager.recover(usize::MAX);
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
        assert_eq!(names(&manager.recover(200).cursors_dropped), ["a", "b"]);
    }

    #[test]
    fn recover_drops_no_cursor_when_nothing_would_be_freed() {
        let manager = with_cursors(&[("a", 2, true), ("stays", 2, false), ("c", 8, true)]);
        let recovered = manager.recover(usize::MAX);
        assert_eq!(
            (names(&recovered.cursors_dropped), recovered.freed_bytes),
            (vec![], 0)
        );
        assert_eq!(
            manager.recover(0),
            Recovered {
                is_satisfied: true,
                ..Recovered::default()
            }
        );
    }

    #[test]
    fn recover_keeps_items_of_a_flush_in_progress() {
        let manager = manager(CheckpointConfig {
            persistence: true,
            ..CheckpointConfig::default()
        });
        set(&manager, 1).expect("no quota");
        let flush = manager.begin_flush(ReadLimit::NONE).expect("no other");
        assert_eq!(manager.recover(usize::MAX).freed_bytes, 0);
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
            ..CheckpointConfig::default()
        };
        let managers = [manager(config.clone()), manager(config)];
        let reader = managers[0]
            .register("reader", Seqno::ZERO, true)
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
        let recovered = managers[0].recover(quota.excess_bytes());
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
            ..CheckpointConfig::default()
        });
        manager
            .register("reader", Seqno::ZERO, true)
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
}
