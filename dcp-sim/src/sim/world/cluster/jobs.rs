//! Long work of the engines: compactions that faults start, and the maintenance that engines request.
//!
//! # Invariants
//!
//! - A node has one job at a time.
//! - A step of a job takes the disk's time, and a pause follows in which the disk serves others.

use lowtide_checkpoint::internal::Invariant;
use lowtide_checkpoint::{Seqno, Vbid};
use lowtide_persistence::{CompactionRequest, JobProgress};

use crate::node::{Event, NodeId};
use crate::sim::error::SimError;
use crate::sim::world::due::Due;
use crate::sim::world::host::{is_internal, unless_internal};
use crate::sim::world::state::World;

/// Pause between two steps of a compaction, in which the disk serves others.
const COMPACTION_PAUSE_MICROS: u64 = 500;

impl World {
    /// Starts the compaction of a vBucket, unless one is in progress. An engine may refuse it: a
    /// disk fails, or the vBucket is not made yet.
    pub(in crate::sim::world) fn compact(
        &mut self,
        node: NodeId,
        vb: Vbid,
        purge_upto: Option<Seqno>,
    ) -> Result<(), SimError> {
        let host = self.hosts.at_mut(node)?;
        if !host.is_up || host.job.is_some() {
            return Ok(());
        }
        let engine = host
            .engine
            .as_ref()
            .invariant("W21", "a node that is up has an open store")?;
        let mut request = CompactionRequest::new();
        request.purge_upto = purge_upto;
        host.job = unless_internal(engine.compact(vb, request))
            .map_err(|source| SimError::Engine { node, source })?;
        // An engine may hide what it purges before its first step.
        self.report_purges(node)?;
        self.begin_job(node)
    }

    /// Starts the maintenance that an engine requests, if no job is in progress.
    pub(super) fn maintain(&mut self, node: NodeId) -> Result<(), SimError> {
        let every = self.config.store.upkeep_flushes.max(1);
        let host = self.hosts.at_mut(node)?;
        if host.job.is_some() || !host.figures.flushes.is_multiple_of(every) {
            return Ok(());
        }
        host.job = host.engine.as_ref().and_then(|engine| engine.maintenance());
        self.begin_job(node)
    }

    /// Schedules the first step of a node's job, if it has one.
    fn begin_job(&mut self, node: NodeId) -> Result<(), SimError> {
        let host = self.hosts.at(node)?;
        if host.job.is_some() {
            self.clock.schedule(0, Due::Compact(node, host.incarnation));
            self.note_begin("compacting", node);
        }
        Ok(())
    }

    pub(in crate::sim::world) fn compact_on(&mut self, node: NodeId) -> Result<(), SimError> {
        let budget = self.config.store.upkeep_step;
        let host = self.hosts.at_mut(node)?;
        let (stepped, micros) = host.timed(|host| host.job.as_mut().map(|job| job.step(budget)));
        if host.has_lost_power() {
            return self.lose_power(node);
        }
        match stepped {
            Some(Ok(
                JobProgress::Working { .. } | JobProgress::Ahead | JobProgress::Reached(_),
            )) => {
                let delay = micros + COMPACTION_PAUSE_MICROS;
                self.clock
                    .schedule(delay, Due::Compact(node, host.incarnation));
                self.report_purges(node)?;
            }
            Some(Err(source)) if is_internal(&source) => {
                return Err(SimError::Engine { node, source });
            }
            // The compaction is done, or failed and left the vBucket its old file.
            Some(_) => return self.compacted(node),
            // It ended when the store was opened again.
            None => {}
        }
        Ok(())
    }

    fn compacted(&mut self, node: NodeId) -> Result<(), SimError> {
        self.hosts.at_mut(node)?.job = None;
        self.note_end("compacting", node);
        self.report_purges(node)
    }

    /// Reports the purged seqnos to the node at once: the next stream may depend on them.
    fn report_purges(&mut self, node: NodeId) -> Result<(), SimError> {
        let host = self.hosts.at(node)?;
        let engine = host
            .engine
            .as_ref()
            .invariant("W21", "a node that is up has an open store")?;
        // The engine's own maintenance does not name its vBucket.
        let mut purged = Vec::new();
        for vb in engine.vbuckets() {
            // A disk that fails now is found by the vBucket's next flush.
            let info = unless_internal(engine.info(vb))
                .map_err(|source| SimError::Engine { node, source })?;
            purged.extend(info.map(|info| (vb, info.purge)));
        }
        for (vb, seqno) in purged {
            self.step(node, Event::Purged { vb, seqno })?;
        }
        Ok(())
    }
}
