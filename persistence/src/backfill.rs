//! Backfill: reading from disk what a consumer can no longer get from memory, in bounded steps.
//!
//! ```text
//! reader --BackfillStep--> host --engine calls--> BackfillOutcome --> reader --BackfillStep--> ...
//! ```
//!
//! In goes a step: pin a snapshot of a vBucket, or read the next slice of one. Out comes what it gave, with the pinned
//! scan, from which the reader makes the next step when it has room. What always holds: every slice of a scan is of one
//! commit, whatever is committed, compacted or dropped meanwhile; slices follow one another ascending, without gap or
//! repeat; a step reads at most about its limit. Nothing here owns a thread: the host runs steps where and when it likes.

use lowtide_checkpoint::{Item, Seqno, VBucketState, Vbid};

use crate::contract::{Engine, EngineError, ScanLimit, Snapshot, VBucketInfo};

/// A pinned snapshot, and how far it was read. Dropping it lets go of the snapshot.
#[derive(Debug)]
pub struct BackfillScan {
    vb: Vbid,
    snapshot: Box<dyn Snapshot>,
    /// Where the next slice begins; `None` at the end.
    next: Option<Seqno>,
}

impl BackfillScan {
    /// The highest seqno of the snapshot: memory goes on after it.
    #[must_use]
    pub fn high(&self) -> Seqno {
        self.snapshot.high()
    }

    /// The state that was committed with it; `None` before the first commit.
    #[must_use]
    pub fn state(&self) -> Option<&VBucketState> {
        self.snapshot.state()
    }

    /// Its figures, the purge seqno among them.
    #[must_use]
    pub fn info(&self) -> VBucketInfo {
        self.snapshot.info()
    }

    /// Whether all of it was read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.next.is_none()
    }

    /// Reads it again, from after a seqno on.
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
    /// Pins the vBucket as it is when the step runs, for a reader that has everything up to `after`. Nothing is read yet.
    /// `id` comes back with the outcome.
    pub fn open(id: u64, vb: Vbid, after: Seqno) -> Self {
        Self {
            id,
            work: Work::Open { vb, after },
        }
    }

    /// Reads the next slice of a scan.
    pub fn read(id: u64, scan: BackfillScan, limit: ScanLimit) -> Self {
        Self {
            id,
            work: Work::Read { scan, limit },
        }
    }

    /// The vBucket it reads.
    #[must_use]
    pub fn vb(&self) -> Vbid {
        match &self.work {
            Work::Open { vb, .. } => *vb,
            Work::Read { scan, .. } => scan.vb,
        }
    }

    /// Does it. O(items of the slice) and what the engine takes to find the first.
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

    /// The outcome of a step that was not run, because the store is closed or gone.
    #[must_use]
    pub fn failed(self, error: EngineError) -> BackfillOutcome {
        BackfillOutcome {
            id: self.id,
            vb: self.vb(),
            result: Err(error),
        }
    }
}

/// What a step gave.
#[derive(Debug)]
pub struct BackfillOutcome {
    /// The step's.
    pub id: u64,
    /// The vBucket.
    pub vb: Vbid,
    /// What was read, or why nothing could be.
    pub result: Result<BackfillRead, EngineError>,
}

/// A slice, and the scan it is from.
#[derive(Debug)]
pub struct BackfillRead {
    /// To go on with.
    pub scan: BackfillScan,
    /// Ascending by seqno; none when the scan was just opened.
    pub items: Vec<Item>,
}

#[cfg(test)]
mod tests;
