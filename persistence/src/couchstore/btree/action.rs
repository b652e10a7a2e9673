//! One change of a tree: the insertion or the removal of a key.

use bytes::Bytes;

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    pub(crate) key: Bytes,
    /// The new value, or `None` to remove the key.
    pub(crate) value: Option<Bytes>,
}
