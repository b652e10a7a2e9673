//! Which of a connection's streams read from disk, and which wait for their turn.
//!
//! In go streams that need the disk; out come steps for the host. What always holds (S11): at most
//! `running_max` scans of a connection are open at once, one if the client asked for them in sequence; each has at
//! most one step under way, and the next slice of a scan is read only when the stream has sent the one before. So a
//! connection holds at most `running_max` slices in memory, however slow its client is. Who asked first comes first.

use std::collections::{BTreeMap, VecDeque};

use lowtide_checkpoint::Seqno;

pub use lowtide_persistence::{
    BackfillOutcome, BackfillRead, BackfillScan, BackfillStep, ScanLimit,
};

use super::stream_key::StreamKey;

#[derive(Debug)]
pub(super) struct Backfills {
    last_id: u64,
    running: BTreeMap<u64, StreamKey>,
    /// Each with the last seqno its stream has.
    waiting: VecDeque<(StreamKey, Seqno)>,
    steps: Vec<BackfillStep>,
    /// What a step reads.
    slice: ScanLimit,
}

impl Backfills {
    /// Without a stream; each step of a scan reads `slice`.
    pub(super) fn new(slice: ScanLimit) -> Self {
        Self {
            last_id: 0,
            running: BTreeMap::new(),
            waiting: VecDeque::new(),
            steps: Vec::new(),
            slice,
        }
    }

    pub(super) fn set_slice(&mut self, slice: ScanLimit) {
        self.slice = slice;
    }

    /// A stream that has everything up to `after` needs the disk. It waits until fewer than `running_max` others do.
    pub(super) fn want(&mut self, key: StreamKey, after: Seqno, running_max: usize) {
        self.waiting.push_back((key, after));
        self.start(running_max);
    }

    /// The next slice of the scan that a stream was given.
    pub(super) fn read_on(&mut self, key: StreamKey, scan: BackfillScan) {
        let found = self.running.iter().find(|(_, running)| **running == key);
        if let Some((&id, _)) = found {
            self.steps.push(BackfillStep::read(id, scan, self.slice));
        }
    }

    /// Whose step it was; `None` if that stream is gone.
    pub(super) fn stream_of(&self, id: u64) -> Option<StreamKey> {
        self.running.get(&id).copied()
    }

    /// A stream needs the disk no more, or is over.
    pub(super) fn release(&mut self, key: StreamKey, running_max: usize) {
        self.running.retain(|_, running| *running != key);
        self.waiting.retain(|(waiting, _)| *waiting != key);
        self.start(running_max);
    }

    /// The connection is over.
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
