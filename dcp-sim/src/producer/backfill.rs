//! Schedule of a connection's disk scans: which streams read from disk, and which wait.
//!
//! Streams that need the disk register here; the result is steps for the host.
//!
//! # Invariants
//!
//! - S11. At most `running_max` scans of a connection are open at once, or one if the client
//!   requested sequential backfills. Each scan has at most one step in progress. Its next slice is
//!   read only after the stream sent the previous one. So a connection holds at most `running_max`
//!   slices in memory, however slow its client is. Streams are served in the order of their
//!   requests.

use std::collections::{BTreeMap, VecDeque};

use lowtide_checkpoint::Seqno;
use lowtide_checkpoint::internal::{Invariant, Violation};

pub use lowtide_persistence::{
    BackfillOutcome, BackfillRead, BackfillScan, BackfillStep, ScanLimit,
};

use super::stream_key::StreamKey;

#[derive(Debug, Default)]
pub(super) struct Backfills {
    last_id: u64,
    running: BTreeMap<u64, StreamKey>,
    /// Waiting streams, each with the last seqno it has.
    waiting: VecDeque<(StreamKey, Seqno)>,
    steps: Vec<BackfillStep>,
}

impl Backfills {
    /// Queues a stream that has everything up to `after` and needs the disk. It starts when fewer
    /// than `running_max` scans are open.
    pub(super) fn request_scan(&mut self, key: StreamKey, after: Seqno, running_max: usize) {
        self.waiting.push_back((key, after));
        self.start(running_max);
    }

    /// Requests the next slice of a stream's scan, up to `slice`.
    pub(super) fn request_slice(
        &mut self,
        key: StreamKey,
        scan: BackfillScan,
        slice: ScanLimit,
    ) -> Result<(), Violation> {
        let found = self.running.iter().find(|(_, running)| **running == key);
        let (&id, _) = found.invariant("S11", "a stream that reads a scan holds one")?;
        self.steps.push(BackfillStep::read(id, scan, slice));
        Ok(())
    }

    /// Returns the stream of a step, or `None` if that stream ended.
    pub(super) fn stream_of(&self, id: u64) -> Option<StreamKey> {
        self.running.get(&id).copied()
    }

    /// Removes a stream that no longer needs the disk.
    pub(super) fn release(&mut self, key: StreamKey, running_max: usize) {
        self.running.retain(|_, running| *running != key);
        self.waiting.retain(|(waiting, _)| *waiting != key);
        self.start(running_max);
    }

    /// Drops all streams and steps: the connection is closed.
    pub(super) fn clear(&mut self) {
        self.running.clear();
        self.waiting.clear();
        self.steps.clear();
    }

    pub(super) fn take_steps(&mut self) -> Vec<BackfillStep> {
        std::mem::take(&mut self.steps)
    }

    fn start(&mut self, running_max: usize) {
        while self.running.len() < running_max {
            let Some((key, after)) = self.waiting.pop_front() else {
                return;
            };
            self.last_id += 1;
            self.running.insert(self.last_id, key);
            self.steps
                .push(BackfillStep::open(self.last_id, key.vb, after));
        }
    }
}
