//! Checks of events when they happen, in a run with faults.
//!
//! # Invariants
//!
//! - No check is skipped because something is missing (W21). A node that is down is the exception:
//!   it has nothing that could be checked, and its store is checked when it starts.

use lowtide_checkpoint::internal::Invariant;
use lowtide_checkpoint::{Seqno, VbUuid, Vbid};
use lowtide_persistence::EngineCall;

use super::chaos;
use super::state::World;
use crate::node::{NodeId, Stored};
use crate::sim::error::SimError;
use crate::sim::judge::{TakenIn, memory};
use crate::sim::oracle::{Branched, Copied, Digests};

impl World {
    /// Checks W16 after a node accepted input.
    pub(super) fn taken_in(&mut self, node: NodeId, taken: TakenIn) -> Result<(), SimError> {
        let Some(chaos) = &mut self.chaos else {
            return Ok(());
        };
        let stats = self.hosts.at(node)?.node.quota_stats();
        memory::check(&mut chaos.memory, node, &stats, taken);
        Ok(())
    }

    /// Checks everything that streams delivered to a node.
    pub(super) fn watch(&mut self, node: NodeId) -> Result<(), SimError> {
        let Some(chaos) = &mut self.chaos else {
            return Ok(());
        };
        for observation in self.hosts.at_mut(node)?.node.take_observations() {
            chaos
                .streams
                .observe(node, &observation, &mut chaos.copies, &chaos.history);
        }
        Ok(())
    }

    /// Records an acknowledgement of a node. One of a vBucket that it lacks is a violation of W1.
    pub(super) fn acknowledged(
        &mut self,
        node: NodeId,
        vb: Vbid,
        persisted: (Seqno, Seqno),
    ) -> Result<(), SimError> {
        let Some(chaos) = &mut self.chaos else {
            return Ok(());
        };
        let Some(partition) = self.hosts.copy(node, vb)? else {
            return Ok(());
        };
        let branch = partition.vbucket.failover_log().newest().uuid;
        chaos.persisted.acknowledged(node, vb, branch, persisted);
        let newest = chaos.history.newest(vb)?;
        let copies = self.topology.copies_of(vb);
        chaos
            .persisted
            .all_copies(vb, newest, copies, &chaos.history);
        Ok(())
    }

    /// Lowers a copy's acknowledgements before an engine call that discards its data.
    pub(super) fn call_begins(&mut self, node: NodeId, call: EngineCall) {
        let Some(chaos) = &mut self.chaos else { return };
        if let EngineCall::Rollback(vb, _) | EngineCall::Reset(vb) | EngineCall::Drop(vb) = call {
            chaos.persisted.lowered(node, vb, Seqno::ZERO);
            chaos.reads.forget(node, vb);
        }
        if let EngineCall::Drop(vb) = call {
            chaos.copies.dropped(node, vb);
        }
    }

    /// Records what the store has after such a call.
    pub(super) fn call_discarded(
        &mut self,
        node: NodeId,
        call: EngineCall,
        high: Seqno,
        stored: Digests,
    ) {
        if let EngineCall::Rollback(vb, _) | EngineCall::Reset(vb) = call {
            self.order.restart(node, vb, high);
            if let Some(chaos) = &mut self.chaos {
                chaos.copies.goes_back(node, vb, stored);
            }
        }
    }

    pub(super) fn rolled_back(&mut self, node: NodeId, vb: Vbid) -> Result<(), SimError> {
        if let Some(chaos) = &mut self.chaos {
            chaos.figures.rollbacks += 1;
            let host = self.hosts.at(node)?;
            if host.is_up {
                let partition = host
                    .node
                    .partition(vb)
                    .invariant("W21", "a node has the copy that it rolled back")?;
                let documents = chaos.copies.at(node, vb);
                chaos
                    .streams
                    .rolled_back(node, partition, documents, &chaos.history);
            }
        }
        self.reconcile_soon();
        Ok(())
    }

    /// Compares the store of a starting node with the node's acknowledgements.
    pub(super) fn started(&mut self, node: NodeId, vb: Vbid, stored: &Stored, documents: Digests) {
        self.order.restart(node, vb, stored.high);
        let Some(chaos) = &mut self.chaos else { return };
        chaos
            .persisted
            .started(node, vb, (stored.high, stored.whole()));
        chaos
            .streams
            .started(node, vb, stored, &documents, &chaos.history);
        chaos.copies.started(node, vb, documents);
    }

    /// Records a branch that a copy started; `before` is its previous branch.
    pub(super) fn branched(
        &mut self,
        node: NodeId,
        vb: Vbid,
        before: Option<VbUuid>,
    ) -> Result<(), SimError> {
        let chaos = chaos::required(&mut self.chaos)?;
        let host = self.hosts.at(node)?;
        if !host.is_up {
            // The node lost its power meanwhile, and the branch with it.
            return Ok(());
        }
        let partition = host
            .node
            .partition(vb)
            .invariant("W21", "a node has the copy that began a branch")?;
        let log = partition.vbucket.failover_log();
        let newest = log.newest();
        let id = (vb, newest.uuid);
        let copy = Copied {
            documents: chaos.copies.at(node, vb),
            high: partition.vbucket.high_seqno(),
            purged: host.node.purge_seqno(vb),
        };
        let Branched { lost, violation } = chaos.history.branch(id, before, newest.seqno, copy);
        chaos.branches.check(violation);
        chaos.streams.leads(node, vb);
        chaos.persisted.branched(vb, newest.uuid, &chaos.history);
        chaos.figures.branches += 1;
        chaos.figures.lost_with_branch += lost;
        Ok(())
    }
}
