//! The sizes at which nodes are cut. They give our trees the shape of the vendor's
//! (`docs/formats/couchstore.md`).

/// A changed node longer than this is cut.
pub(crate) const THRESHOLD_BYTES: usize = 1279;
/// Bytes that are cut off at once.
pub(crate) const CUT_BYTES: usize = THRESHOLD_BYTES * 2 / 3;
/// A node with at most this many entries is not cut.
pub(crate) const UNCUT_ENTRIES: usize = 3;
/// An interior node with fewer entries would add a level to the tree for nothing.
pub(crate) const INTERIOR_ENTRIES_MIN: usize = 2;
