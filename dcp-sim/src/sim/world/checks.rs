//! Checks of events when they happen.

use lowtide_checkpoint::{Seqno, VbUuid, Vbid};

use super::state::World;
use crate::node::{EngineCall, NodeId, Stored};
use crate::sim::judge::{TakenIn, memory};
use crate::sim::oracle::{Branched, Copied};

impl World {
    /// Checks W16 after a node accepted input.
    pub(super) fn taken_in(&mut self, node: NodeId, taken: TakenIn) {
        let (Some(chaos), Some(host)) = (&mut self.chaos, self.hosts.get(node)) else {
            return;
        };
        memory::check(&mut chaos.memory, node, &host.node.quota_stats(), taken);
    }

    /// Checks everything that streams delivered to a node.
    pub(super) fn watch(&mut self, node: NodeId) {
        let (Some(chaos), Some(host)) = (&mut self.chaos, self.hosts.get_mut(node)) else {
            return;
        };
        for observation in host.node.take_observations() {
            chaos.streams.observe(node, &observation, &chaos.history);
        }
    }

    pub(super) fn acknowledged(&mut self, node: NodeId, vb: Vbid, persisted: (Seqno, Seqno)) {
        let (Some(chaos), Some(host)) = (&mut self.chaos, self.hosts.get(node)) else {
            return;
        };
        let Some(partition) = host.node.partition(vb) else {
            return;
        };
        let branch = partition.vbucket.failover_log().newest().uuid;
        chaos.persisted.acknowledged(node, vb, branch, persisted);
        if let Some(newest) = chaos.history.newest(vb) {
            let copies = self.topology.copies_of(vb);
            chaos
                .persisted
                .all_copies(vb, newest, copies, &chaos.history);
        }
    }

    /// Lowers a copy's acknowledgements before an engine call that discards its data.
    pub(super) fn call_begins(&mut self, node: NodeId, call: EngineCall) {
        let Some(chaos) = &mut self.chaos else { return };
        if let EngineCall::Rollback(vb, _) | EngineCall::Reset(vb) | EngineCall::Drop(vb) = call {
            chaos.persisted.lowered(node, vb, Seqno::ZERO);
            chaos.reads.forget(node, vb);
        }
    }

    pub(super) fn call_discarded(&mut self, node: NodeId, call: EngineCall, high: Seqno) {
        if let EngineCall::Rollback(vb, _) | EngineCall::Reset(vb) = call {
            self.order.restart(node, vb, high);
        }
    }

    pub(super) fn rolled_back(&mut self, node: NodeId, vb: Vbid, _seqno: Seqno) {
        if let (Some(chaos), Some(host)) = (&mut self.chaos, self.hosts.get(node)) {
            chaos.figures.rollbacks += 1;
            if let Some(partition) = host.node.partition(vb) {
                chaos.streams.rolled_back(node, partition, &chaos.history);
            }
        }
        self.reconcile_soon();
    }

    /// Compares the store of a starting node with the node's acknowledgements.
    pub(super) fn started(&mut self, node: NodeId, vb: Vbid, stored: &Stored) {
        self.order.restart(node, vb, stored.high);
        let Some(chaos) = &mut self.chaos else { return };
        chaos
            .persisted
            .started(node, vb, (stored.high, stored.whole()));
        chaos.streams.started(node, vb, stored, &chaos.history);
    }

    /// Records a branch that a copy started; `before` is its previous branch.
    pub(super) fn branched(&mut self, node: NodeId, vb: Vbid, before: Option<VbUuid>) {
        let (Some(chaos), Some(host)) = (&mut self.chaos, self.hosts.get(node)) else {
            return;
        };
        let Some(partition) = host.node.partition(vb) else {
            return;
        };
        let log = partition.vbucket.failover_log();
        let newest = log.newest();
        let id = (vb, newest.uuid);
        let copy = Copied {
            documents: &partition.documents,
            high: partition.vbucket.high_seqno(),
            purged: host.node.purge_seqno(vb),
        };
        let Branched { lost, violation } = chaos.history.branch(id, before, newest.seqno, copy);
        chaos.branches.check(violation);
        chaos.streams.leads(node, vb);
        chaos.persisted.branched(vb, newest.uuid, &chaos.history);
        chaos.figures.branches += 1;
        chaos.figures.lost_with_branch += lost;
    }
}
