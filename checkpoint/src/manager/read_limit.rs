//! The bounds of a read: how much a reader wants, and where the batch may end.
//!
//! Both are apart from the operations because the guarded data and the public handle use them, too.

use crate::error::CheckpointError;

/// The amount a reader wants.
///
/// A batch ends between checkpoints once it has reached either limit, and holds at least one
/// checkpoint. Only the persistence cursor stops inside a checkpoint, in a snapshot from disk, with
/// the item that reaches a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadLimit {
    /// Number of items.
    pub items: usize,
    /// Bytes of keys, values and the queue's overhead.
    pub bytes: usize,
}

impl ReadLimit {
    /// No limit.
    pub const NONE: Self = Self {
        items: usize::MAX,
        bytes: usize::MAX,
    };

    /// Sets the number of items.
    #[must_use]
    pub const fn with_items(mut self, items: usize) -> Self {
        self.items = items;
        self
    }

    /// Sets the bytes.
    #[must_use]
    pub const fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Returns an error for a limit that allows nothing.
    pub(crate) fn require_any(&self) -> Result<(), CheckpointError> {
        if self.items == 0 || self.bytes == 0 {
            return Err(CheckpointError::InvalidArgument(
                "a read limit must allow at least one item and one byte",
            ));
        }
        Ok(())
    }
}

/// The places at which a read may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadEnd {
    /// Between checkpoints.
    Checkpoint,
    /// Between checkpoints, or at a limit inside a snapshot from disk. Used by the flusher.
    Limit,
    /// Like `Limit`, but at a snapshot's end if the batch reaches one.
    Boundary,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setter_of_a_read_limit_sets_its_own_field() {
        assert_eq!(
            ReadLimit::NONE.with_items(1).with_bytes(2),
            ReadLimit { items: 1, bytes: 2 }
        );
    }
}
