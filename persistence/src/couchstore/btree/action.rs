//! One change of a tree.

use bytes::Bytes;

/// One change of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    pub(crate) key: Bytes,
    /// The new value, or `None` to remove the key.
    pub(crate) value: Option<Bytes>,
}
