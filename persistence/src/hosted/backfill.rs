//! Backfill: reads from disk, in bounded steps, the items that memory no longer holds for a
//! consumer.
//!
//! ```text
//! reader --BackfillStep--> host --engine calls--> BackfillOutcome --> reader --BackfillStep--> ...
//! ```
//!
//! A step pins a snapshot of a vBucket, or reads the next slice of one. Its outcome returns the
//! items and the pinned scan. The reader makes the next step from the scan when it has room.
//! Nothing here owns a thread: the host decides when and where to run a step.
//!
//! # Invariants
//!
//! Every slice of a scan is of one commit, even if the vBucket is written, compacted or dropped
//! meanwhile. Slices follow one another ascending, without gap or repeat. A step reads at most
//! about its limit.

use lowtide_checkpoint::{Item, Seqno, VBucketState, Vbid};

use crate::contract::{Engine, EngineError, ScanLimit, Snapshot, VBucketInfo};

/// A pinned snapshot and the position in it. Dropping it unpins the snapshot.
#[derive(Debug)]
pub struct BackfillScan {
    vb: Vbid,
    snapshot: Box<dyn Snapshot>,
    /// The start of the next slice; `None` at the end.
    next: Option<Seqno>,
}

impl BackfillScan {
    /// Returns the highest seqno of the snapshot. Reading from memory continues after it.
    #[must_use]
    pub fn high(&self) -> Seqno {
        self.snapshot.high()
    }

    /// Returns the state that was committed with it; `None` before the first commit.
    #[must_use]
    pub fn state(&self) -> Option<&VBucketState> {
        self.snapshot.state()
    }

    /// Returns its figures, the purge seqno among them.
    #[must_use]
    pub fn info(&self) -> VBucketInfo {
        self.snapshot.info()
    }

    /// Returns whether all of it was read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.next.is_none()
    }

    /// Moves the scan back to the first item after a seqno.
    pub fn restart(&mut self, after: Seqno) {
        self.next = Some(after.next()).filter(|&from| from <= self.snapshot.high());
    }

    fn read(&mut self, limit: ScanLimit) -> Result<Vec<Item>, EngineError> {
        let Some(from) = self.next else {
            return Ok(Vec::new());
        };
        let slice = self.snapshot.scan(from, self.snapshot.high(), limit)?;
        self.next = slice.next;
        Ok(slice.items)
    }
}

/// One piece of work for the host.
#[derive(Debug)]
#[must_use = "run it, and hand the outcome back"]
pub struct BackfillStep {
    id: u64,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Open {
        vb: Vbid,
        after: Seqno,
    },
    Read {
        scan: BackfillScan,
        limit: ScanLimit,
    },
}

impl BackfillStep {
    /// Returns a step that pins the vBucket as it is when the step runs, for a reader that has
    /// everything up to `after`. It reads nothing yet. The outcome carries `id`.
    pub fn open(id: u64, vb: Vbid, after: Seqno) -> Self {
        Self {
            id,
            work: Work::Open { vb, after },
        }
    }

    /// Returns a step that reads the next slice of a scan.
    pub fn read(id: u64, scan: BackfillScan, limit: ScanLimit) -> Self {
        Self {
            id,
            work: Work::Read { scan, limit },
        }
    }

    /// Returns the vBucket it reads.
    #[must_use]
    pub fn vb(&self) -> Vbid {
        match &self.work {
            Work::Open { vb, .. } => *vb,
            Work::Read { scan, .. } => scan.vb,
        }
    }

    /// Runs the step. O(items of the slice), and the engine's time to find the first.
    pub fn run(self, engine: &dyn Engine) -> BackfillOutcome {
        let (id, vb) = (self.id, self.vb());
        let result = match self.work {
            Work::Open { vb, after } => engine.snapshot(vb).map(|snapshot| {
                let next = Some(after.next()).filter(|&from| from <= snapshot.high());
                BackfillRead {
                    scan: BackfillScan { vb, snapshot, next },
                    items: Vec::new(),
                }
            }),
            Work::Read { mut scan, limit } => {
                scan.read(limit).map(|items| BackfillRead { scan, items })
            }
        };
        BackfillOutcome { id, vb, result }
    }

    /// Returns the outcome of a step that was not run, because the store is closed or gone.
    #[must_use]
    pub fn failed(self, error: EngineError) -> BackfillOutcome {
        BackfillOutcome {
            id: self.id,
            vb: self.vb(),
            result: Err(error),
        }
    }
}

/// The outcome of a step.
#[derive(Debug)]
#[non_exhaustive]
pub struct BackfillOutcome {
    /// The id of the step.
    pub id: u64,
    /// The vBucket.
    pub vb: Vbid,
    /// The slice, or the error.
    pub result: Result<BackfillRead, EngineError>,
}

/// A slice, and the scan it is from.
#[derive(Debug)]
#[non_exhaustive]
pub struct BackfillRead {
    /// The scan, positioned after `items`.
    pub scan: BackfillScan,
    /// The items, ascending by seqno; empty when the scan was just opened.
    pub items: Vec<Item>,
}

#[cfg(test)]
mod tests;
