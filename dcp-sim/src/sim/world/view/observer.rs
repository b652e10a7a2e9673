//! Observers of a run, and the progress that they receive.

/// Progress of a run.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct RunProgress {
    /// Batches written so far.
    pub batches: u64,
    /// Total number of batches, if known.
    pub batches_total: Option<u64>,
    /// Writes so far: assigned seqnos.
    pub seqnos: u64,
    /// Largest lag of a replica in seqnos, of the vBuckets that may lag since the last batches.
    pub lag_seqnos: u64,
    /// Bytes of all checkpoint managers.
    pub checkpoint_bytes: usize,
    /// `true` after the last write: the cluster comes to rest, or is judged.
    pub is_settling: bool,
}

/// Observer of a run. It cannot change anything.
pub trait Observer {
    /// Receives the progress after every batch.
    fn progress(&mut self, progress: &RunProgress);
}

/// Observer that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn progress(&mut self, _progress: &RunProgress) {}
}
