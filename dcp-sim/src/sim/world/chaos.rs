//! State of a run with faults: its history, its verdicts so far, and its end.
//!
//! A safety phase, in which faults strike, is followed by a liveness phase, in which everything must
//! come to rest.
//!
//! # Invariants
//!
//! - Every result of clients, streams and disks is checked when it arrives, in time proportional to
//!   its size.

use std::collections::BTreeMap;

use lowtide_checkpoint::internal::{Invariant, Violation};
use lowtide_checkpoint::{Item, Seqno, VbUuid, Vbid};

use crate::node::NodeId;
use crate::producer::ProducerLimits;
use crate::sim::config::{FaultConfig, FaultPlan};
use crate::sim::judge::{Persisted, Reads, Streams, branches, memory, writes};
use crate::sim::oracle::{Copies, History, Revision};
use crate::sim::record::{FaultFigures, InvariantVerdict};
use crate::sim::rng::SimRng;

/// Stream of the seed for the cluster's manager and the clients.
const STREAM: u64 = 1;
/// Stream of the seed for reading clients.
const READERS: u64 = 2;

/// Longest standstill of a backfill; shorter than most faults that delay acknowledgements.
const STANDSTILL_NANOS_MAX: u64 = 100_000_000;

/// Limits the standstill of backfills. Faults last less than a second, so the limit must be shorter
/// to be reached.
pub(super) fn limit_standstill(limits: &mut ProducerLimits) {
    limits.standstill_nanos = limits.standstill_nanos.min(STANDSTILL_NANOS_MAX);
}

/// Condition of a step that only a run with faults takes.
pub(super) const ONLY_WITH_FAULTS: &str = "only a run with faults has this step";

/// Returns the state of a run with faults, for a step that only such a run takes (W21).
pub(super) fn required(chaos: &mut Option<Chaos>) -> Result<&mut Chaos, Violation> {
    chaos.as_mut().invariant("W21", ONLY_WITH_FAULTS)
}

/// State of a run with faults, besides its nodes.
#[derive(Debug)]
pub(in crate::sim) struct Chaos {
    pub(in crate::sim) plan: FaultPlan,
    pub(in crate::sim) history: History,
    pub(super) copies: Copies,
    pub(in crate::sim) persisted: Persisted,
    pub(in crate::sim) figures: FaultFigures,
    pub(super) rng: SimRng,
    pub(super) readers: SimRng,
    /// Nodes that are unreachable, with the number of reasons for each.
    pub(super) cut_off: BTreeMap<NodeId, usize>,
    pub(super) is_reconcile_due: bool,
    /// vBuckets in a takeover, with their new actives.
    pub(super) taking_over: BTreeMap<Vbid, NodeId>,
    /// End of the safety phase.
    pub(super) ends_micros: u64,
    /// Start of the liveness phase; `None` before.
    pub(super) liveness_micros: Option<u64>,
    /// An event was left when the time to settle was over.
    pub(super) is_late: bool,
    pub(super) memory: InvariantVerdict,
    pub(super) reads: Reads,
    pub(super) streams: Streams,
    pub(super) branches: InvariantVerdict,
    writes: InvariantVerdict,
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
            copies: Copies::default(),
            persisted: Persisted::default(),
            figures: FaultFigures::default(),
            rng: SimRng::stream(seed, STREAM),
            readers: SimRng::stream(seed, READERS),
            cut_off: BTreeMap::new(),
            is_reconcile_due: false,
            taking_over: BTreeMap::new(),
            ends_micros: 0,
            liveness_micros: None,
            is_late: false,
            memory: memory::verdict(),
            reads: Reads::default(),
            streams: Streams::default(),
            branches: branches::verdict(),
            writes: writes::verdict(),
        }
    }

    pub(super) fn uuid(&mut self) -> VbUuid {
        VbUuid(self.rng.uuid())
    }

    /// Draws the delay of a client's answer.
    pub(super) fn answer_micros(&mut self) -> u64 {
        self.rng.range(100, 2_000)
    }

    /// Draws the delay until an end notices a lost connection.
    pub(super) fn notice_micros(&mut self) -> u64 {
        self.rng.range(100, 20_000)
    }

    /// Draws the downtime of a node.
    pub(super) fn restart_micros(&mut self) -> u64 {
        self.rng.range(5_000, 300_000)
    }

    /// Records a write that a node accepted on that branch, at once or after it has waited. Tombstones
    /// up to `purged` may be missing there.
    pub(super) fn record(
        &mut self,
        node: NodeId,
        branch: (Vbid, VbUuid),
        item: &Item,
        purged: Seqno,
        has_waited: bool,
    ) {
        let copy = self.copies.at(node, branch.0);
        self.writes
            .check(writes::violation(copy.get(&item.key), item, purged));
        copy.apply(item);
        let Revision {
            digest, is_live, ..
        } = Revision::of(item);
        let place = (item.seqno, item.key.clone());
        let recorded = self
            .history
            .record(branch, place, (digest, is_live), has_waited);
        self.branches.check(recorded);
    }

    /// Records that a copy was created again.
    pub(super) fn made(&mut self, node: NodeId, vb: Vbid) {
        self.persisted.made(node, vb);
    }

    /// Returns the figures and verdicts that only a run with faults has.
    pub(in crate::sim) fn verdicts(self) -> (FaultFigures, Vec<InvariantVerdict>) {
        let mut figures = self.figures;
        for kind in &self.plan.config.kinds {
            figures.struck.entry(kind.name()).or_default();
        }
        let mut verdicts: Vec<_> = self.streams.verdicts().into();
        verdicts.extend([
            self.branches,
            self.writes,
            self.persisted.verdict(),
            self.memory,
            self.reads.verdict(),
        ]);
        (figures, verdicts)
    }
}
