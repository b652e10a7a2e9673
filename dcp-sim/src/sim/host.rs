//! One simulated machine: a node, its store, its disk, and whether it is up.
//!
//! What always holds: a machine that is down has a node without vBuckets and no engine; whatever was under way for a
//! machine that went down since is of an earlier incarnation, and is dropped.

use lowtide_persistence::disk::Keep;
use lowtide_persistence::{Engine, Job};

use super::disk_time;
use super::report::NodeFigures;
use super::storage::NodeStorage;
use crate::node::{Node, NodeConfig};

/// What a machine that goes down loses beside the memory of its node.
#[derive(Clone, Copy, Debug)]
pub(super) enum Loss {
    /// Nothing: its process died, and what that wrote is there. What was not synced may still be lost with the power.
    Process,
    /// The power, and of what was not synced all but that.
    Power(Keep),
}

/// A node with its store.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) node: Node,
    /// `None` while the node is down, or its store is closed.
    pub(super) engine: Option<Box<dyn Engine>>,
    pub(super) storage: NodeStorage,
    pub(super) figures: NodeFigures,
    pub(super) is_up: bool,
    /// How often it was started.
    pub(super) incarnation: u32,
    /// A compaction under way.
    pub(super) job: Option<Box<dyn Job>>,
    /// How many times longer than it should the disk takes.
    pub(super) slowness: u64,
    /// How far its clock is ahead of the true time.
    pub(super) clock_offset_nanos: i64,
    /// It shut down in order: nothing was lost.
    pub(super) was_stopped_in_order: bool,
}

impl Host {
    pub(super) fn new(node: Node, engine: Box<dyn Engine>, storage: NodeStorage) -> Self {
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
    pub(super) fn time(&self, true_nanos: u64) -> u64 {
        true_nanos.saturating_add_signed(self.clock_offset_nanos)
    }

    /// Whether the disk has lost its power, in the middle of whatever was done.
    pub(super) fn has_lost_power(&self) -> bool {
        self.storage
            .faulty
            .as_ref()
            .is_some_and(|disk| disk.is_off())
    }

    /// Whether somebody who asks it gets an answer.
    pub(super) fn serves(&self) -> bool {
        self.is_up && !self.has_lost_power()
    }

    /// It is gone, with its memory and whatever else it loses.
    pub(super) fn crash(&mut self, loss: Loss, config: &NodeConfig) {
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
    pub(super) fn timed<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> (T, u64) {
        let before = self.storage.disk.stats();
        let result = work(self);
        let micros = disk_time::micros(&self.storage.disk.stats().since(&before));
        (result, micros * self.slowness)
    }
}
