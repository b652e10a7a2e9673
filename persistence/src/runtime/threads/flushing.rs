//! One flush of a shard, and the report of its results: by the shard's flusher, or by a thread that
//! leads.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lowtide_checkpoint::{CheckpointError, VBucket, Vbid};

use crate::contract::{Engine, EngineError};
use crate::flusher::{Flushed, Persisted};
use crate::hosted::{Backoff, FlushNext};
use crate::runtime::host::micros_since;
use crate::runtime::partition::Partition;
use crate::runtime::report::observer::StoreEvent;
use crate::runtime::shard::Shard;
use crate::runtime::shared::Shared;

impl Shared {
    /// Takes note of marked vBuckets.
    pub(super) fn queue_dirty(&self, shard: &mut Shard, dirty: Vec<Vbid>) {
        for vb in dirty {
            let Some(partition) = self.partitions.get(vb) else {
                continue;
            };
            partition.dirty.clear();
            // The caller looks whether a flush is due.
            let _became_due = shard.flushes.queued(vb);
        }
    }

    /// Flushes everything that is due, to the engine that the shard is attached to. What failed is in
    /// the shard.
    pub(super) fn flush_once(&self, shard: &mut Shard, engine: &dyn Engine) {
        if let Err(error) = self.try_flush(shard, engine) {
            // A manager refuses a flush only after an error of its own.
            let error = EngineError::InvalidArgument(error.to_string());
            self.flush_failed(shard, error, Backoff::PAUSE_MICROS_MAX);
        }
    }

    fn try_flush(&self, shard: &mut Shard, engine: &dyn Engine) -> Result<(), CheckpointError> {
        let lookup = |vb| self.partitions.get(vb).map(Flushing);
        let Some(group) = shard.flushes.begin(lookup)? else {
            return Ok(());
        };
        let vbuckets = group.vbuckets().count();
        let begun = Instant::now();
        let committed = group.commit(engine, self.host.now_nanos());
        let commit_micros = micros_since(begun);
        let items = committed.items();
        let outcome = shard.flushes.finish(committed)?;
        let mut failure = None;
        for Flushed { vb, result } in outcome.flushed {
            match result {
                Ok(persisted) => self.report_persisted(vb, &persisted),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            None => {
                shard.last_failure = None;
                self.health.flushed(shard.number);
                self.observe(&StoreEvent::Flushed {
                    flusher: shard.number,
                    vbuckets,
                    items,
                    commit_micros,
                });
            }
            Some(error) => match outcome.next {
                FlushNext::Reopen => shard.failed_engine = Some((shard.generation, error)),
                FlushNext::After { pause_micros } => self.flush_failed(shard, error, pause_micros),
                FlushNext::Idle | FlushNext::Due => {
                    self.flush_failed(shard, error, Backoff::PAUSE_MICROS_MAX);
                }
            },
        }
        self.upkeep_due.raise();
        self.flushed();
        Ok(())
    }

    /// Reports a failure, and pauses.
    pub(super) fn flush_failed(&self, shard: &mut Shard, error: EngineError, pause_micros: u64) {
        self.observe(&StoreEvent::FlushFailed {
            flusher: shard.number,
            error: &error,
        });
        let error = Arc::new(error);
        shard.last_failure = Some(Arc::clone(&error));
        self.health.flush_failed(shard.number, error);
        shard.paused_until = Instant::now().checked_add(Duration::from_micros(pause_micros));
    }

    /// Reports what is durable to readers and waiters.
    fn report_persisted(&self, vb: Vbid, persisted: &Persisted) {
        let Some(partition) = self.partitions.get(vb) else {
            return;
        };
        self.documents_persisted(&partition, persisted.seqno);
        partition.persisted.advance(persisted.seqno);
        partition.vbucket.manager().expel();
    }
}

/// A vBucket in a flush.
struct Flushing(Arc<Partition>);

impl Borrow<VBucket> for Flushing {
    fn borrow(&self) -> &VBucket {
        &self.0.vbucket
    }
}
