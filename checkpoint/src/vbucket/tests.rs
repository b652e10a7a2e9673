//! Tests of the vBucket: one file per theme, and the helpers that they share.

use bytes::Bytes;

use super::error::VBucketError;
use super::recover::AfterStop;
use super::vbucket::VBucket;
use crate::limits::ItemLimits;
use crate::manager::{CheckpointConfig, CursorOptions, ReadLimit, Role};
use crate::model::{
    Cas, FailoverEntry, FailoverLog, Item, Key, Operation, Seqno, SnapshotMarker, SnapshotType,
    State, VBucketState, VbUuid, Vbid,
};
use crate::resume::ResumePoint;

mod branches;
mod clock;
mod commit_state;
mod durable;
mod inside_a_snapshot;
#[cfg(all(debug_assertions, not(checkpoint_loom)))]
mod lock_order;
mod recover;
mod rollback;
mod snapshots;
mod subscribe;
mod transitions;

const PERSISTING: CheckpointConfig = CheckpointConfig {
    role: Role::Active,
    max_bytes: None,
    quota: None,
    reclaimer: None,
    limits: ItemLimits::DEFAULT,
    persistence: true,
};

fn vbucket(state: State) -> (VBucket, VBucketState) {
    let persisted = VBucketState::new(state, FailoverLog::new(VbUuid(7)));
    (VBucket::new(Vbid(3), &persisted, PERSISTING), persisted)
}

fn set(key: &str) -> Item {
    Item::mutation(Key::new(key.as_bytes()), Bytes::from_static(b"v"))
}

fn at(seqno: u64, key: &str) -> Item {
    Item {
        seqno: Seqno(seqno),
        cas: Cas(seqno << 20),
        ..set(key)
    }
}

fn marker(start: u64, end: u64) -> SnapshotMarker {
    SnapshotMarker::new(SnapshotType::Memory, Seqno(start), Seqno(end))
}

fn disk(start: u64, end: u64, completed: u64) -> SnapshotMarker {
    SnapshotMarker {
        high_completed_seqno: Some(Seqno(completed)),
        ..SnapshotMarker::new(SnapshotType::Disk, Seqno(start), Seqno(end))
    }
}

/// Recovers a vBucket that has `high` on disk, after an orderly stop.
fn recovered(vb: Vbid, persisted: &VBucketState, high: u64) -> VBucket {
    let high = Seqno(high);
    VBucket::recover(
        vb,
        persisted,
        high,
        persisted.state,
        AfterStop::Orderly,
        PERSISTING,
    )
    .expect("it stays")
}

fn flush(vbucket: &VBucket, before: &VBucketState) -> VBucketState {
    let flush = vbucket
        .manager()
        .begin_flush(ReadLimit::NONE)
        .expect("no other flush");
    let state = vbucket.state_with(flush.batch(), before, Seqno::ZERO);
    flush.commit();
    state
}

fn range(state: &VBucketState) -> (u64, u64) {
    (state.snapshot_start.0, state.snapshot_end.0)
}
