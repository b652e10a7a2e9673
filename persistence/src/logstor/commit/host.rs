//! Requests of a commit to the upkeep of its store.

/// The upkeep of a store, as commits see it. This is the one way from the commit path up to the
/// rewriting.
pub(in crate::logstor) trait CommitHost {
    /// Frees segments, because there is none left for a commit. Returns whether it freed any.
    fn reclaim(&self) -> bool;

    /// Does the part of the rewriting that a commit owes for the bytes it wrote, so that free
    /// segments remain.
    fn relieve(&self, written: u64);
}
