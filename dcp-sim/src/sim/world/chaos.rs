//! A run in which things go wrong: what is known of its history, what it has been seen to do, and when it is over.
//!
//! First comes a time in which faults strike, then one in which everything must come to rest. What always holds: whatever
//! the clients, the streams and the disks said is checked when it is said, at the cost of what was said.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Key, Seqno, VbUuid, Vbid};

use crate::node::NodeId;
use crate::producer::ProducerLimits;
use crate::sim::config::{FaultConfig, FaultPlan};
use crate::sim::judge::{Persisted, Reads, Streams, branches, memory};
use crate::sim::oracle::History;
use crate::sim::record::{FaultFigures, Verdict};
use crate::sim::rng::SimRng;

/// The stream of the seed that the cluster's manager and the clients draw from.
const STREAM: u64 = 1;
/// The one that clients who read draw from.
const READERS: u64 = 2;

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
    pub(super) memory: Verdict,
    pub(super) reads: Reads,
    pub(super) streams: Streams,
    pub(super) branches: Verdict,
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
