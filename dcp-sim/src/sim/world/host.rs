//! One simulated machine: a node, its store, its disk, and whether it is up.
//!
//! What always holds: a machine that is down has a node without vBuckets and no engine; whatever was under way for a
//! machine that went down since is of an earlier incarnation, and is dropped.

use lowtide_persistence::disk::Keep;
use lowtide_persistence::{Engine, Job};

use crate::node::{Node, NodeConfig};
use crate::sim::hardware::{NodeStorage, disk_time};
use crate::sim::record::NodeFigures;

/// What a machine that goes down loses beside the memory of its node.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) enum Loss {
    /// Nothing: its process died, and what that wrote is there. What was not synced may still be lost with the power.
    Process,
    /// The power, and of what was not synced all but that.
    Power(Keep),
}

/// A node with its store.
#[derive(Debug)]
pub(in crate::sim) struct Host {
    pub(in crate::sim) node: Node,
    /// `None` while the node is down, or its store is closed.
    pub(in crate::sim) engine: Option<Box<dyn Engine>>,
    pub(in crate::sim) storage: NodeStorage,
    pub(in crate::sim) figures: NodeFigures,
    pub(in crate::sim) is_up: bool,
    /// How often it was started.
    pub(in crate::sim) incarnation: u32,
    /// A compaction under way.
    pub(in crate::sim) job: Option<Box<dyn Job>>,
    /// How many times longer than it should the disk takes.
    pub(in crate::sim) slowness: u64,
    /// How far its clock is ahead of the true time.
    pub(in crate::sim) clock_offset_nanos: i64,
    /// It shut down in order: nothing was lost.
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
            was_stopped_in_order: false,
        }
    }

    /// What its clock shows at a true time, in nanoseconds.
    pub(in crate::sim) fn time(&self, true_nanos: u64) -> u64 {
        true_nanos.saturating_add_signed(self.clock_offset_nanos)
    }

    /// Whether the disk has lost its power, in the middle of whatever was done.
    pub(in crate::sim) fn has_lost_power(&self) -> bool {
        self.storage
            .faulty
            .as_ref()
            .is_some_and(|disk| disk.is_off())
    }

    /// Whether somebody who asks it gets an answer.
    pub(in crate::sim) fn serves(&self) -> bool {
        self.is_up && !self.has_lost_power()
    }

    /// It is gone, with its memory and whatever else it loses.
    pub(in crate::sim) fn crash(&mut self, loss: Loss, config: &NodeConfig) {
        // First the power: nothing that is dropped may write any more.
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
        self.node = Node::new(config.clone());
        self.is_up = false;
        self.incarnation += 1;
    }

    /// Does something with the disk, and says how long that takes in virtual time.
    pub(in crate::sim) fn timed<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> (T, u64) {
        let before = self.storage.disk.stats();
        let result = work(self);
        let micros = disk_time::micros(&self.storage.disk.stats().since(&before));
        (result, micros * self.slowness)
    }
}
