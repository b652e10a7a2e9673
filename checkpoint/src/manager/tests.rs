//! Tests of the manager: one file per theme, and the helpers that they share.
//!
//! They cover what scenario files cannot show: handles, dropped flushes, batches that outlive their
//! queue, and memory.

use bytes::Bytes;

use super::batch::CursorBatch;
use super::config::{CheckpointConfig, CursorOptions, Role};
use super::cursors::Cursor;
use super::flush::Flush;
use super::manager::CheckpointManager;
use super::operations::Queued;
use super::read_limit::ReadLimit;
use crate::error::CheckpointError;
use crate::limits::ItemLimits;
use crate::model::{Item, Key, Operation, Seqno, SnapshotMarker, SnapshotType, State};

mod batches;
mod cursors;
mod dummy;
mod flushes;
mod impossible;
mod lessons;
mod limits;
mod memory;
mod queueing;

const PERSISTING: CheckpointConfig = CheckpointConfig::persistent();

fn active() -> CheckpointManager {
    CheckpointManager::new(CheckpointConfig::in_memory(), Seqno::ZERO)
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
        .register(name, Seqno::ZERO, CursorOptions::new())
        .expect("0 is below every seqno")
        .cursor
}

fn flush(manager: &CheckpointManager) -> Flush {
    manager
        .begin_flush(ReadLimit::NONE)
        .expect("no other flush")
}

fn read(manager: &CheckpointManager, cursor: Cursor) -> CursorBatch {
    manager
        .read(cursor, ReadLimit::NONE)
        .expect("it is registered")
}

/// Returns `key@seqno` of each item.
fn held(batch: &CursorBatch) -> Vec<String> {
    batch
        .items()
        .map(|item| format!("{}@{}", item.key, item.seqno))
        .collect()
}

fn assert_sound(manager: &CheckpointManager) {
    assert_eq!(manager.check(), Vec::<String>::new());
}
