//! The answers to a lookup, and the fetch of a document that memory does not know.

use lowtide_checkpoint::{Item, Key};

/// The result of a lookup.
#[derive(Debug)]
pub enum Found {
    /// The newest revision. It may be a tombstone.
    Revision(Item),
    /// The key has no revision, neither in memory nor in the engine.
    Absent,
    /// Only the engine knows. The host reads the newest committed revision without the lock of the
    /// documents, and ends the fetch.
    Unknown(Fetch),
}

/// The answer of memory alone, without a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known<'a> {
    /// The newest revision. It may be a tombstone.
    Revision(&'a Item),
    /// The key has no revision, neither in memory nor in the engine.
    Absent,
    /// Only the engine knows.
    Unknown,
}

/// A read of the engine in progress. The key keeps its place in memory until the fetch ends with
/// [`Documents::fetched`] or [`Documents::abandon`]. One that is dropped keeps the place until the
/// documents are cleared.
///
/// [`Documents::fetched`]: super::Documents::fetched
/// [`Documents::abandon`]: super::Documents::abandon
#[derive(Debug)]
#[must_use = "a fetch that does not end keeps its key in memory"]
pub struct Fetch {
    pub(super) key: Key,
    pub(super) generation: u64,
}

impl Fetch {
    /// Returns the key to read, in the committed name space.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }
}

/// The reason why the result of a fetch is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The documents were cleared meanwhile, or are another vBucket's: the caller looks the key up
    /// again.
    #[error("the documents were cleared since the fetch began: look the key up again")]
    Void,
    /// The item is not a committed revision of the fetched key.
    #[error("fetched item {found:?} is not a committed revision of {expected:?}")]
    OtherDocument {
        /// Key of the fetch.
        expected: Key,
        /// Key of the item.
        found: Key,
    },
}
