//! The simulated machines: each is a node, its store and its disk.
//!
//! # Invariants
//!
//! - A node that an event or the topology names is there (W21).
//! - The node of a machine that is down has no vBuckets and no engine.
//! - Events for a machine that went down belong to an earlier incarnation, and are dropped.

use lowtide_checkpoint::Vbid;
use lowtide_checkpoint::internal::{Invariant, Violation};
use lowtide_persistence::disk::PowerLoss;
use lowtide_persistence::{Engine, EngineError, Job};

use crate::node::{Node, NodeConfig, NodeError, NodeId, Partition};
use crate::sim::hardware::{NodeStorage, disk_time};
use crate::sim::record::NodeFigures;

/// Loss of a machine that goes down, besides the memory of its node.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) enum Loss {
    /// Nothing: the process dies, and its writes remain. A later power loss may still lose the
    /// unsynced ones.
    Process,
    /// The power, and the unsynced writes except these.
    Power(PowerLoss),
}

/// All machines, by number of their node.
#[derive(Debug)]
pub(in crate::sim) struct Hosts(Vec<Host>);

impl Hosts {
    pub(in crate::sim) fn new(hosts: Vec<Host>) -> Self {
        Self(hosts)
    }

    pub(in crate::sim) fn at(&self, node: NodeId) -> Result<&Host, Violation> {
        self.0
            .get(node)
            .invariant("W21", "the node is one of the cluster's")
    }

    pub(in crate::sim) fn at_mut(&mut self, node: NodeId) -> Result<&mut Host, Violation> {
        self.0
            .get_mut(node)
            .invariant("W21", "the node is one of the cluster's")
    }

    pub(in crate::sim) fn len(&self) -> usize {
        self.0.len()
    }

    pub(in crate::sim) fn iter(&self) -> impl Iterator<Item = &Host> {
        self.0.iter()
    }

    pub(in crate::sim) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Host> {
        self.0.iter_mut()
    }

    /// Returns a node's copy of a vBucket. A node that is down has none.
    pub(in crate::sim) fn copy(
        &self,
        node: NodeId,
        vb: Vbid,
    ) -> Result<Option<&Partition>, Violation> {
        Ok(self.at(node)?.node.partition(vb))
    }
}

/// Returns `true` for a bug of an engine. It ends a run with faults, too: the verdicts of that run
/// would prove nothing.
pub(super) fn is_internal(error: &EngineError) -> bool {
    matches!(error, EngineError::Internal { .. })
}

/// Returns `None` for an error that a failing disk may cause.
pub(super) fn unless_internal<T>(result: Result<T, EngineError>) -> Result<Option<T>, EngineError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_internal(&error) => Err(error),
        Err(_) => Ok(None),
    }
}

/// A node with its store.
#[derive(Debug)]
pub(in crate::sim) struct Host {
    pub(in crate::sim) node: Node,
    /// `None` while the node is down or its store is closed.
    pub(in crate::sim) engine: Option<Box<dyn Engine>>,
    pub(in crate::sim) storage: NodeStorage,
    pub(in crate::sim) figures: NodeFigures,
    pub(in crate::sim) is_up: bool,
    /// Number of starts.
    pub(in crate::sim) incarnation: u32,
    /// Compaction in progress.
    pub(in crate::sim) job: Option<Box<dyn Job>>,
    /// Factor by which the disk is slower than usual.
    pub(in crate::sim) slowness: u64,
    /// Deviation of its clock from the true time; positive if ahead.
    pub(in crate::sim) clock_offset_nanos: i64,
    /// Time at which the last read for a write ends.
    pub(in crate::sim) fetches_end_micros: u64,
    /// The last stop was orderly, without losses.
    pub(in crate::sim) was_stopped_in_order: bool,
}

impl Host {
    pub(in crate::sim) fn new(node: Node, engine: Box<dyn Engine>, storage: NodeStorage) -> Self {
        Self {
            node,
            engine: Some(engine),
            storage,
            figures: NodeFigures::default(),
            is_up: true,
            incarnation: 0,
            job: None,
            slowness: 1,
            clock_offset_nanos: 0,
            fetches_end_micros: 0,
            was_stopped_in_order: false,
        }
    }

    /// Returns the time of its clock at a true time, in nanoseconds.
    pub(in crate::sim) fn time(&self, true_nanos: u64) -> u64 {
        true_nanos.saturating_add_signed(self.clock_offset_nanos)
    }

    /// Returns `true` if the disk lost its power, perhaps in the middle of a call.
    pub(in crate::sim) fn has_lost_power(&self) -> bool {
        self.storage
            .faulty
            .as_ref()
            .is_some_and(|disk| disk.is_off())
    }

    /// Returns `true` if requests to it are answered.
    pub(in crate::sim) fn serves(&self) -> bool {
        self.is_up && !self.has_lost_power()
    }

    /// Takes the machine down, with the loss of its memory and that of `loss`.
    ///
    /// # Errors
    /// If the configuration is invalid.
    pub(in crate::sim) fn crash(
        &mut self,
        loss: Loss,
        config: &NodeConfig,
    ) -> Result<(), NodeError> {
        // The power goes first: nothing that is dropped afterwards may write.
        if let Some(disk) = &self.storage.faulty {
            disk.power_off();
        }
        self.job = None;
        self.engine = None;
        if let Some(disk) = &self.storage.faulty {
            disk.clear_faults();
            match loss {
                Loss::Process => disk.restart(),
                Loss::Power(keep) => disk.crash(keep),
            }
        }
        self.node = Node::new(config.clone())?;
        self.is_up = false;
        self.incarnation += 1;
        Ok(())
    }

    /// Performs disk work. Returns its result and its duration in virtual time.
    pub(in crate::sim) fn timed<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> (T, u64) {
        let before = self.storage.disk.stats();
        let result = work(self);
        let micros = disk_time::micros(&self.storage.disk.stats().since(&before));
        (result, micros * self.slowness)
    }
}
