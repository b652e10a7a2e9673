//! Where a simulated cluster's writes come from: a git history, a file of JSON lines, or a generated mix.
//!
//! In goes what the user named; out come batches of sets and deletes, each with a label that says where it is from.
//! What always holds: the same input (and seed) gives the same batches in the same order, on every machine; a source
//! never guesses: input it does not understand is an error that names the place.

use bytes::Bytes;

use super::error::InputError;

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The user's key, without a collection prefix: any bytes.
    pub key: Bytes,
    /// What to store; `None` deletes.
    pub value: Option<Bytes>,
}

impl Change {
    /// Bytes of its key and value.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// Writes that belong together, in order. It may be empty: a commit need not change a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeBatch {
    /// Where it is from: a commit id, a line, an operation's number.
    pub label: String,
    /// The writes, first to last.
    pub changes: Vec<Change>,
}

/// A finite, repeatable stream of batches.
pub trait Source: Send {
    /// The next batch, or `None` when there are no more. After an error the source is at its end.
    ///
    /// # Errors
    /// Whatever keeps the source from reading on; see [`InputError`].
    fn next_batch(&mut self) -> Result<Option<ChangeBatch>, InputError>;

    /// How many batches the source has from first to last, read or not, if that is known without reading them.
    fn batches_total(&self) -> Option<u64>;

    /// One line for people: what this is and where it is from.
    fn describe(&self) -> String;
}
