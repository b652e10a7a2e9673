//! The history of a git repository as writes: each commit is a batch, and each changed path a set
//! or a delete.
//!
//! # Invariants
//!
//! - HEAD is resolved once. So the batches and [`GitSource::tree`] belong to one commit, regardless
//!   of later changes of the repository.
//! - Neither the environment nor the user's git settings change a byte.

mod blobs;
mod command;
mod history;
mod object_id;
mod output;
mod partial;
mod pipeline;
mod process;
mod source;
mod tree;

pub use object_id::ObjectId;
pub use source::GitSource;
pub use tree::{EntryKind, Paths, TreeEntry, TreeReport, verify_tree};

#[cfg(test)]
mod tests;
