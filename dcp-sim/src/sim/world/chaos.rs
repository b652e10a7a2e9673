//! A run in which things go wrong: what is known of its history, what it has been seen to do, and when it is over.
//!
//! First comes a time in which faults strike, then one in which everything must come to rest. What always holds: whatever
//! the clients, the streams and the disks said is checked when it is said, at the cost of what was said.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Key, Seqno, VbUuid, Vbid};

use super::state::{Due, World};
use crate::node::{EngineCall, Event, NodeId, Stored};
use crate::producer::ProducerLimits;
use crate::sim::config::{FaultConfig, FaultKind, FaultPlan};
use crate::sim::error::SimError;
use crate::sim::judge::{Persisted, Reads, Streams, TakenIn, branches, liveness, memory};
use crate::sim::oracle::{Branched, Copied, History};
use crate::sim::record::{FaultFigures, Verdict};
use crate::sim::rng::SimRng;

/// After the last fault everything must have come to rest within this virtual time.
pub(in crate::sim) const SETTLE_MICROS: u64 = 60_000_000;
/// The stream of the seed that the cluster's manager and the clients draw from.
const STREAM: u64 = 1;
/// The one that clients who read draw from.
const READERS: u64 = 2;
/// Batches that come one after the other without a pause, on average.
const BURST: u64 = 24;
/// Batches that are expected where their source does not say.
const BATCHES_EXPECTED: u64 = 10_000;

/// Nodes are told how late it is this often, while faults strike.
const TICK_MICROS: u64 = 20_000;
/// A backfill may stand still for so long: less than most faults that hold acknowledgements back last.
const STANDSTILL_NANOS_MAX: u64 = 100_000_000;

/// Faults last less than a second, and so must a backfill that stands still, for its limit to be met.
pub(super) fn limit_standstill(limits: &mut ProducerLimits) {
    limits.standstill_nanos = limits.standstill_nanos.min(STANDSTILL_NANOS_MAX);
}

/// What a run with faults knows beside its nodes.
#[derive(Debug)]
pub(in crate::sim) struct Chaos {
    pub(in crate::sim) plan: FaultPlan,
    pub(in crate::sim) history: History,
    pub(in crate::sim) persisted: Persisted,
    pub(in crate::sim) figures: FaultFigures,
    pub(super) rng: SimRng,
    pub(super) readers: SimRng,
    /// Nodes that nobody can reach, with how many reasons there are for each.
    pub(super) cut_off: BTreeMap<NodeId, usize>,
    pub(super) is_reconcile_due: bool,
    /// vBuckets that are being taken over, and by whom.
    pub(super) taking_over: BTreeMap<Vbid, NodeId>,
    /// Until then faults strike.
    pub(super) ends_micros: u64,
    /// When the last fault was, once that is over.
    pub(super) calm_micros: Option<u64>,
    memory: Verdict,
    pub(super) reads: Reads,
    pub(super) streams: Streams,
    branches: Verdict,
}

impl Chaos {
    pub(super) fn new(
        faults: FaultConfig,
        seed: u64,
        first_branches: impl Iterator<Item = (Vbid, VbUuid)>,
    ) -> Self {
        let mut history = History::default();
        for (vb, uuid) in first_branches {
            history.begin(vb, uuid);
        }
        Self {
            plan: FaultPlan::new(faults, seed),
            history,
            persisted: Persisted::default(),
            figures: FaultFigures::default(),
            rng: SimRng::stream(seed, STREAM),
            readers: SimRng::stream(seed, READERS),
            cut_off: BTreeMap::new(),
            is_reconcile_due: false,
            taking_over: BTreeMap::new(),
            ends_micros: 0,
            calm_micros: None,
            memory: memory::verdict(),
            reads: Reads::default(),
            streams: Streams::default(),
            branches: branches::verdict(),
        }
    }

    pub(super) fn uuid(&mut self) -> VbUuid {
        VbUuid(self.rng.uuid())
    }

    /// How long a client waits for its answer.
    pub(super) fn answer_micros(&mut self) -> u64 {
        self.rng.range(100, 2_000)
    }

    /// How long until an end learns that its connection is lost.
    pub(super) fn notice_micros(&mut self) -> u64 {
        self.rng.range(100, 20_000)
    }

    /// How long a node that died is down.
    pub(super) fn restart_micros(&mut self) -> u64 {
        self.rng.range(5_000, 300_000)
    }

    pub(super) fn record(
        &mut self,
        branch: (Vbid, VbUuid),
        seqno: Seqno,
        key: Key,
        revision: u64,
        is_live: bool,
    ) {
        self.branches
            .check(self.history.record(branch, seqno, key, revision, is_live));
    }

    /// A copy is made anew.
    pub(super) fn made(&mut self, node: NodeId, vb: Vbid) {
        self.persisted.made(node, vb);
    }

    /// The verdicts that only a run with faults has.
    pub(in crate::sim) fn verdicts(self) -> (FaultFigures, Vec<Verdict>) {
        let mut figures = self.figures;
        for kind in &self.plan.config.kinds {
            figures.struck.entry(kind.name()).or_default();
        }
        let mut verdicts: Vec<_> = self.streams.verdicts().into();
        verdicts.extend([
            self.branches,
            self.persisted.verdict(),
            self.memory,
            self.reads.verdict(),
        ]);
        (figures, verdicts)
    }
}

impl World {
    /// From here on things go wrong.
    pub(super) fn begin_faults(&mut self) {
        let Some(chaos) = &mut self.chaos else { return };
        let duration_micros = chaos.plan.config.duration_micros;
        chaos.ends_micros = self.clock.now_micros() + duration_micros;
        self.clock.schedule(duration_micros, Due::Calm);
        for kind in chaos.plan.config.kinds.clone() {
            self.strike_later(kind);
        }
        self.read_later();
        self.begin_foreign();
        self.clock.schedule(TICK_MICROS, Due::Tick);
    }

    /// Tells every node how late it is, as long as faults strike: what stands still after that moves on by itself.
    pub(super) fn tick(&mut self) -> Result<(), SimError> {
        if self
            .chaos
            .as_ref()
            .is_some_and(|chaos| chaos.calm_micros.is_none())
        {
            self.clock.schedule(TICK_MICROS, Due::Tick);
        }
        (0..self.hosts.len()).try_for_each(|node| self.step(node, Event::Tick))
    }

    /// Schedules the next fault of a kind, if it comes in the time for faults.
    pub(super) fn strike_later(&mut self, kind: FaultKind) {
        let Some(chaos) = &mut self.chaos else { return };
        let delay = chaos.plan.next(kind);
        if self.clock.now_micros() + delay < chaos.ends_micros {
            self.clock.schedule(delay, Due::Strike(kind));
        }
    }

    /// From here on nothing does.
    pub(super) fn calm(&mut self) -> Result<(), SimError> {
        let now = self.clock.now_micros();
        if let Some(chaos) = &mut self.chaos {
            chaos.calm_micros = Some(now);
        }
        for host in &self.hosts {
            if let Some(disk) = &host.storage.faulty {
                disk.clear_faults();
            }
        }
        self.reconcile_soon();
        Ok(())
    }

    /// Whether what should have come to rest has not.
    pub(super) fn is_out_of_time(&self) -> bool {
        let calm = self.chaos.as_ref().and_then(|chaos| chaos.calm_micros);
        calm.is_some_and(|calm| self.clock.now_micros() > calm + SETTLE_MICROS)
    }

    /// W14, and how long it took.
    pub(in crate::sim) fn settling(&mut self) -> Option<Verdict> {
        let is_at_rest = self.clock.is_empty();
        let now = self.clock.now_micros();
        let chaos = self.chaos.as_mut()?;
        let settled = chaos
            .calm_micros
            .filter(|_| is_at_rest)
            .map(|calm| now - calm);
        chaos.figures.settling_micros = settled.unwrap_or(SETTLE_MICROS);
        Some(liveness::check(settled, SETTLE_MICROS))
    }

    /// How long the client waits before its next batch; `None` if it writes no more.
    pub(super) fn think(&mut self) -> Option<u64> {
        let batches = self.source.batches_total().unwrap_or(BATCHES_EXPECTED);
        let Some(chaos) = &mut self.chaos else {
            return Some(0);
        };
        if chaos.calm_micros.is_some() {
            return None;
        }
        // The writes come over all of the time in which things go wrong, most of them right after one another: so that
        // faults meet a cluster that is busy, and one that is not.
        let mean = chaos.plan.config.duration_micros / batches.max(1);
        let pauses = chaos.rng.range(1, BURST) == 1;
        Some(if pauses {
            chaos.rng.range(0, mean * BURST * 2)
        } else {
            0
        })
    }

    pub(super) fn refused(&mut self) {
        if let Some(chaos) = &mut self.chaos {
            chaos.figures.refused += 1;
        }
    }

    /// A node has taken something in: W16.
    pub(super) fn taken_in(&mut self, node: NodeId, taken: TakenIn) {
        let (Some(chaos), Some(host)) = (&mut self.chaos, self.hosts.get(node)) else {
            return;
        };
        if let Some(stats) = host.node.quota_stats() {
            memory::check(&mut chaos.memory, node, &stats, taken);
        }
    }

    /// Checks what streams have brought a node.
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

    /// What an engine is about to give up is no longer what its node said it has.
    pub(super) fn call_begins(&mut self, node: NodeId, call: EngineCall) {
        let Some(chaos) = &mut self.chaos else { return };
        if let EngineCall::Rollback(vb, _) | EngineCall::Reset(vb) | EngineCall::Drop(vb) = call {
            chaos.persisted.given_up(node, vb, Seqno::ZERO);
            chaos.reads.given_up(node, vb);
        }
    }

    pub(super) fn call_gave_up(&mut self, node: NodeId, call: EngineCall, high: Seqno) {
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

    /// A node starts: what its store has of a vBucket is compared with what the node said it had.
    pub(super) fn started(&mut self, node: NodeId, vb: Vbid, stored: &Stored) {
        self.order.restart(node, vb, stored.high);
        let Some(chaos) = &mut self.chaos else { return };
        chaos
            .persisted
            .started(node, vb, (stored.high, stored.whole()));
        chaos.streams.started(node, vb, stored, &chaos.history);
    }

    /// A copy has begun a branch; `before` is the one it was on.
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
