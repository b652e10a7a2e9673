//! Who watches a run, and what it is shown.

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Batches written so far.
    pub batches: u64,
    /// Batches there are, if known.
    pub batches_total: Option<u64>,
    /// Writes so far: seqnos assigned.
    pub seqnos: u64,
    /// Seqnos the furthest replica is behind its active, of the vBuckets that may have fallen behind since the last batches.
    pub lag_seqnos: u64,
    /// Bytes of all checkpoint managers.
    pub checkpoint_bytes: usize,
    /// Everything was written; the cluster comes to rest or is being judged.
    pub is_settling: bool,
}

/// Watches a run. It can't change anything.
pub trait Observer {
    /// Called after every batch.
    fn progress(&mut self, progress: &Progress);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn progress(&mut self, _progress: &Progress) {}
}
