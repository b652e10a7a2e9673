//! Opening a store: its vBuckets come back from the engine, and missing ones are created.
//!
//! # Invariants
//!
//! - R9. A vBucket exists once its state was committed. One that the engine has without a commit was
//!   never acknowledged: it is created again if it is wanted, and removed if not.

use std::sync::Arc;

use lowtide_checkpoint::{
    AfterStop, FailoverLog, Operation, Seqno, State, VBucket, VBucketState, VbUuid, Vbid,
};

use super::error::StoreError;
use super::partition::{Partition, PartitionParts};
use super::shared::Shared;
use crate::contract::{CommitBatch, Engine, EngineError, RecoveryReport, ScanLimit, Snapshot};
use crate::hosted::Documents;
use crate::read_views::ReadViews;

/// The findings of opening a store.
#[derive(Debug)]
#[non_exhaustive]
pub struct OpenReport {
    /// Whether the store was closed in order. Otherwise every active has begun a branch.
    pub was_orderly: bool,
    /// The vBuckets that cannot be read, each with its damage. They do not serve; they can be
    /// dropped.
    pub unreadable: Vec<(Vbid, EngineError)>,
    /// The engine's own findings.
    pub recovery: RecoveryReport,
}

/// A vBucket that is ready to be served, and what its flusher needs.
pub(super) struct Opened {
    pub(super) partition: Arc<Partition>,
    pub(super) state: VBucketState,
    pub(super) high: Seqno,
}

/// The limit of one slice of the search for open prepares.
const SLICE: ScanLimit = ScanLimit::new(4_096, 16 << 20);

impl Shared {
    /// Returns the number of a vBucket's flusher.
    pub(super) fn shard_of(&self, vb: Vbid) -> usize {
        usize::from(vb.0) % self.inboxes.len().max(1)
    }

    /// Brings back a vBucket from the engine. Returns `None` if it has no commit.
    pub(super) fn restore(
        &self,
        engine: &dyn Engine,
        vb: Vbid,
        was_orderly: bool,
        views: ReadViews,
    ) -> Result<Option<Opened>, StoreError> {
        let snapshot = engine.snapshot(vb)?;
        let Some(state) = snapshot.state().cloned() else {
            return Ok(None);
        };
        let after = if was_orderly {
            AfterStop::Orderly
        } else {
            AfterStop::Unclean {
                uuid: self.draw_uuid(),
            }
        };
        let (high, purged) = (snapshot.high(), snapshot.info().purge);
        let vbucket = VBucket::recover(
            vb,
            &state,
            high,
            state.state,
            after,
            self.checkpoint_config(),
        )?;
        let mut documents = Documents::new(self.cache.clone(), high);
        put_open_prepares(&mut documents, &*snapshot, &state)?;
        let partition = Arc::new(Partition::new(PartitionParts {
            vbucket,
            shard: self.shard_of(vb),
            leader: self.leader.clone(),
            views,
            documents,
            high,
            purged,
        }));
        Ok(Some(Opened {
            partition,
            state,
            high,
        }))
    }

    /// Creates a vBucket, durably.
    pub(super) fn create(
        &self,
        engine: &dyn Engine,
        vb: Vbid,
        state: State,
        views: ReadViews,
    ) -> Result<Opened, StoreError> {
        match engine.create(vb) {
            Ok(()) => {}
            // It has no commit, or it would be open.
            Err(EngineError::VBucketExists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let state = VBucketState::new(state, FailoverLog::new(self.draw_uuid()));
        let batch = CommitBatch::new(vb, &[], &state).with_timestamp(self.host.now_nanos());
        for result in engine.commit(&[batch]) {
            result?;
        }
        let partition = Arc::new(Partition::new(PartitionParts {
            vbucket: VBucket::new(vb, &state, self.checkpoint_config()),
            shard: self.shard_of(vb),
            leader: self.leader.clone(),
            views,
            documents: Documents::new(self.cache.clone(), Seqno::ZERO),
            high: Seqno::ZERO,
            purged: Seqno::ZERO,
        }));
        Ok(Opened {
            partition,
            state,
            high: Seqno::ZERO,
        })
    }

    /// Draws the name of a branch.
    pub(super) fn draw_uuid(&self) -> VbUuid {
        loop {
            let uuid = self.host.draw_uuid();
            if uuid != 0 {
                return VbUuid(uuid);
            }
        }
    }
}

/// Puts the durable writes that have not ended into memory.
pub(super) fn put_open_prepares(
    documents: &mut Documents,
    snapshot: &dyn Snapshot,
    state: &VBucketState,
) -> Result<(), EngineError> {
    let last = state.prepared_seqno;
    let mut next = Some(state.high_completed_seqno.next()).filter(|&from| from <= last);
    while let Some(from) = next {
        let slice = snapshot.scan(from, last, SLICE)?;
        let prepares = slice.items.into_iter();
        prepares
            .filter(|item| item.operation == Operation::Prepare)
            .for_each(|item| documents.put(item));
        next = slice.next;
    }
    Ok(())
}
