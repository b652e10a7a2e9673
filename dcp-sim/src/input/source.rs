//! The trait of all sources, and the batches of changes that they return.

use bytes::Bytes;

use super::error::InputError;

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The user's key, without a collection prefix: any bytes.
    pub key: Bytes,
    /// Value to store; `None` deletes.
    pub value: Option<Bytes>,
}

impl Change {
    /// Returns the size of its key and value.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// Writes that belong together, in order. A batch may be empty: a commit may change no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeBatch {
    /// Origin: a commit id, a line, or an operation's number.
    pub label: String,
    /// The writes in order.
    pub changes: Vec<Change>,
}

/// Finite, repeatable stream of batches.
pub trait Source: Send {
    /// Returns the next batch, or `None` at the end. After an error the source is at its end.
    ///
    /// # Errors
    /// Any [`InputError`] that ends the source.
    fn next_batch(&mut self) -> Result<Option<ChangeBatch>, InputError>;

    /// Returns the total number of batches, if it is known without reading them.
    fn batches_total(&self) -> Option<u64>;

    /// Returns one line for people: the kind and origin of the source.
    fn describe(&self) -> String;
}
