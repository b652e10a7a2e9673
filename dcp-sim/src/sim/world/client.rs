//! The client: it writes the source's batches to the actives, waits for memory, and measures the
//! lag of replicas.
//!
//! In a run with faults a write may be refused, or its answer may be lost. Then the client does not
//! know whether it was accepted. The client does not retry, and no later write depends on it.

use lowtide_checkpoint::internal::Invariant;
use lowtide_checkpoint::{CheckpointError, VBucketError, Vbid};

use super::chaos;
use super::due::Due;
use super::host::is_internal;
use super::state::World;
use super::view::{Observer, RunProgress};
use crate::input::Change;
use crate::node::{Action, Event, NodeError, NodeId};
use crate::sim::error::SimError;
use crate::sim::judge::{TakenIn, managers};
use crate::sim::limits;
use crate::sim::record::TraceEvent;

/// Virtual time of a batch, and of each of its writes.
const BATCH_MICROS: u64 = 20;
const WRITE_MICROS: u64 = 5;
/// Pause of a client that finds no checkpoint memory.
const WAIT_MICROS: u64 = 1_000;
/// Number of copies per batch whose lag is measured.
const COPIES_A_BATCH: usize = 64;
/// Number of batches between two audits of the managers.
const AUDIT_BATCHES: u64 = 1_024;

impl World {
    pub(super) fn client(&mut self, observer: &mut dyn Observer) -> Result<(), SimError> {
        let Some(wait_micros) = self.pause() else {
            return Ok(());
        };
        let used_bytes = self.fullest_node_bytes();
        let quota_bytes = self.config.checkpoint_quota_bytes;
        if used_bytes > quota_bytes {
            if self.clock.is_empty() {
                return Err(SimError::Stalled {
                    used_bytes,
                    quota_bytes,
                });
            }
            self.figures.client_waits += 1;
            self.clock.schedule(WAIT_MICROS, Due::Client);
            return Ok(());
        }
        let Some(batch) = self.source.next_batch()? else {
            return Ok(());
        };
        limits::check(&batch, &self.config.node.limits)?;
        self.figures.batches += 1;
        for change in &batch.changes {
            self.write(change)?;
        }
        let micros = self.clock.now_micros();
        self.trace.write(&TraceEvent::Batch {
            micros,
            label: &batch.label,
            changes: batch.changes.len(),
        })?;
        if self.figures.batches.is_multiple_of(AUDIT_BATCHES) {
            managers::check(&mut self.managers, self.hosts.iter().map(|host| &host.node));
        }
        self.figures.checkpoint_bytes_max = self
            .figures
            .checkpoint_bytes_max
            .max(self.fullest_node_bytes());
        let progress = self.progress()?;
        observer.progress(&progress);
        let busy_micros = BATCH_MICROS + WRITE_MICROS * batch.changes.len() as u64;
        self.clock.schedule(busy_micros + wait_micros, Due::Client);
        Ok(())
    }

    fn write(&mut self, change: &Change) -> Result<(), SimError> {
        self.oracle.apply(change);
        let vb = self.topology.vbucket_of(&change.key);
        let key = self.foreign.key(&change.key);
        let event = Event::Write {
            vb,
            key,
            value: change.value.clone(),
        };
        let node = self.topology.active(vb);
        if self.chaos.is_some() && !self.is_reachable(node)? {
            self.refused();
            return Ok(());
        }
        self.step_with_write(node, vb, change.bytes(), event)
    }

    /// Steps a node with a write, or with what the engine had for one. In a run with faults the node
    /// may refuse it.
    pub(super) fn step_with_write(
        &mut self,
        node: NodeId,
        vb: Vbid,
        bytes: usize,
        event: Event,
    ) -> Result<(), SimError> {
        if self.chaos.is_none() {
            return self.step(node, event);
        }
        let has_waited = matches!(event, Event::Fetched { .. });
        let true_nanos = self.clock.now_nanos();
        let before_bytes = self.memory_bytes(node)?;
        let host = self.hosts.at_mut(node)?;
        // The node recovers memory before it decides, and so does the judge.
        let was_full = host.node.is_memory_full();
        match host.node.step(event, host.time(true_nanos)) {
            Ok(actions) => {
                if self.taken(node, vb, &actions, has_waited)? {
                    self.taken_in(
                        node,
                        TakenIn {
                            bytes,
                            before_bytes,
                            was_full,
                        },
                    )?;
                }
                self.carry_out(node, actions)
            }
            Err(error) if is_refusal(&error) => {
                self.refused();
                Ok(())
            }
            Err(source) => Err(SimError::Node {
                node,
                micros: self.clock.now_micros(),
                source,
            }),
        }
    }

    /// Records an accepted write. It belongs to the history, with or without an answer to its
    /// client. Returns `false` if the write waits for a read of the engine.
    fn taken(
        &mut self,
        node: NodeId,
        vb: Vbid,
        actions: &[Action],
        has_waited: bool,
    ) -> Result<bool, SimError> {
        let item = actions.iter().find_map(|action| match action {
            Action::Written { item, .. } => Some(item),
            _ => None,
        });
        let Some(item) = item else {
            return Ok(false);
        };
        let host = self.hosts.at(node)?;
        let partition = host
            .node
            .partition(vb)
            .invariant("W21", "a node has the vBucket of a write that it accepted")?;
        let incarnation = host.incarnation;
        let branch = partition.vbucket.failover_log().newest().uuid;
        let purged = host.node.purge_seqno(vb);
        let chaos = chaos::required(&mut self.chaos)?;
        chaos.record(node, (vb, branch), item, purged, has_waited);
        let delay = chaos.answer_micros();
        self.clock
            .schedule(delay, Due::Answer(node, incarnation, 1));
        Ok(true)
    }

    /// Delivers an answer, if its node is up and reachable.
    pub(super) fn answer(
        &mut self,
        node: NodeId,
        incarnation: u32,
        writes: u64,
    ) -> Result<(), SimError> {
        let arrives = self.is_incarnation(node, incarnation)? && self.is_reachable(node)?;
        let figures = &mut chaos::required(&mut self.chaos)?.figures;
        if arrives {
            figures.acknowledged += writes;
        } else {
            figures.unknown += writes;
        }
        Ok(())
    }

    fn fullest_node_bytes(&self) -> usize {
        self.hosts
            .iter()
            .map(|host| host.node.checkpoint_bytes())
            .max()
            .unwrap_or(0)
    }

    pub(super) fn progress(&mut self) -> Result<RunProgress, SimError> {
        // With many copies the lag is measured less often, since each measurement visits all of
        // them.
        let copies = usize::from(self.config.vbuckets) * (self.config.replicas + 1);
        if self
            .figures
            .batches
            .is_multiple_of((copies / COPIES_A_BATCH).max(1) as u64)
        {
            self.lag_seqnos = self.lag()?;
            self.figures.lag_seqnos_max = self.figures.lag_seqnos_max.max(self.lag_seqnos);
        }
        Ok(RunProgress {
            batches: self.figures.batches,
            batches_total: self.source.batches_total(),
            seqnos: self.figures.mutations,
            lag_seqnos: self.lag_seqnos,
            checkpoint_bytes: self
                .hosts
                .iter()
                .map(|host| host.node.checkpoint_bytes())
                .sum(),
            is_settling: false,
        })
    }

    /// Returns the largest lag of a replica in seqnos. Without faults a replica lags only by recent
    /// writes: only vBuckets written since the last measurement are visited.
    fn lag(&mut self) -> Result<u64, SimError> {
        let written = std::mem::take(&mut self.written);
        match self.chaos {
            None => self.largest_lag(written.into_iter()),
            Some(_) => self.largest_lag(self.topology.vbuckets()),
        }
    }

    fn largest_lag(&self, vbs: impl Iterator<Item = Vbid>) -> Result<u64, SimError> {
        let mut largest = 0;
        for vb in vbs {
            let active = self.high_seqno(self.topology.active(vb), vb)?;
            for replica in self.topology.replicas(vb) {
                // A replica may be ahead of an active that took over.
                largest = active
                    .saturating_sub(self.high_seqno(replica, vb)?)
                    .max(largest);
            }
        }
        Ok(largest)
    }
}

/// Returns `true` for an error of a node that works correctly and refuses the write.
fn is_refusal(error: &NodeError) -> bool {
    match error {
        NodeError::NotHere { .. } => true,
        // The vBucket is not in the engine yet, or the disk fails.
        NodeError::Fetch(error) => !is_internal(error),
        NodeError::VBucket(VBucketError::WrongState { .. }) => true,
        NodeError::VBucket(VBucketError::Checkpoint { source, .. }) => {
            matches!(source, CheckpointError::NoMemory { .. })
        }
        _ => false,
    }
}
