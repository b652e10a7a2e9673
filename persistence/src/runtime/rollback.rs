//! Taking a replica back: on disk first, then in memory.

use lowtide_checkpoint::{Seqno, State, VBucketError, VBucketState, Vbid};

use super::command::OrElse;
use super::error::StoreError;
use super::opening::put_open_prepares;
use super::partition::Partition;
use super::shared::Shared;
use crate::contract::{CommitBatch, Engine, EngineError, RolledBack};

/// The state of the disk after a rollback.
pub(in crate::runtime) struct OnDisk {
    pub(in crate::runtime) state: VBucketState,
    pub(in crate::runtime) high: Seqno,
}

impl Shared {
    /// Takes a replica back, on disk and in memory. Its flusher calls it, so that no flush of it is
    /// in progress.
    pub(in crate::runtime) fn roll_back(
        &self,
        partition: &Partition,
        to: Seqno,
        or_else: OrElse,
    ) -> Result<OnDisk, StoreError> {
        let vb = partition.id();
        // Nothing is received, and no fetch ends, until memory is as the disk.
        let mut documents = partition.documents();
        let state = partition.vbucket.state();
        if !matches!(state, State::Replica | State::Pending) {
            return Err(VBucketError::WrongState { vb, state }.into());
        }
        let (engine, _) = self.slot.engine()?;
        match engine.rollback(vb, to)? {
            RolledBack::Done { .. } => {}
            RolledBack::NeedsReset { .. } if or_else == OrElse::Reset => {
                let log = partition.vbucket.failover_log();
                self.reset(&*engine, vb, &VBucketState::new(state, log))?;
            }
            RolledBack::NeedsReset { lowest } => {
                return Err(StoreError::NeedsReset { vb, to, lowest });
            }
        }
        partition.views.forget(vb);
        let snapshot = engine.snapshot(vb)?;
        let (high, purged) = (snapshot.high(), snapshot.info().purge);
        let state = match snapshot.state() {
            Some(state) => state.clone(),
            None => VBucketState::new(state, partition.vbucket.failover_log()),
        };
        partition.vbucket.rollback(high, &state)?;
        documents.clear(high);
        put_open_prepares(&mut documents, &*snapshot, &state)?;
        partition.set_purged(purged);
        partition.persisted.roll_back(high);
        // The pruned failover log is committed even if nothing follows.
        partition.vbucket.queue_current_state()?;
        Ok(OnDisk { state, high })
    }

    /// Empties a vBucket on disk. After a failure it may be gone there: the next attempt creates it.
    fn reset(&self, engine: &dyn Engine, vb: Vbid, state: &VBucketState) -> Result<(), StoreError> {
        match engine.drop_vbucket(vb) {
            Ok(()) | Err(EngineError::UnknownVBucket { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        engine.create(vb)?;
        let batch = CommitBatch::new(vb, &[], state).with_timestamp(self.host.now_nanos());
        engine
            .commit(&[batch])
            .into_iter()
            .try_for_each(|result| result.map(drop))?;
        Ok(())
    }
}
