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

use crate::internal::invariant::Invariant;
use crate::manager::locked_state::LockedState;
#[cfg(checkpoint_loom)]
use crate::{manager::cursors::CursorState, model::Seqno};

/// The result of memory recovery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryRecovery {
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
    /// Runs the first of two steps of `Fault::DropInTwoSteps`: drops every droppable cursor.
    #[cfg(checkpoint_loom)]
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

    pub(crate) fn recover_memory(&mut self, bytes: usize) -> MemoryRecovery {
        let mut done = MemoryRecovery::default();
        let before = self.live_bytes();
        let freed = |state: &Self| {
            before
                .checked_sub(state.live_bytes())
                .expected("C17", "memory recovery adds no item")
                // Nothing counts as freed, so that the caller looks for memory elsewhere.
                .unwrap_or(0)
        };
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
            if let Some(cursor) = self
                .cursors
                .by_name(&name)
                .expected("C4", "each name has a cursor")
            {
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
mod tests;
