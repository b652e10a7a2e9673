//! The history of a git repository as writes: every commit a batch, every path it changed a set or a delete.
//!
//! In goes a directory in a repository, out come its commits from the first to HEAD, along first parents: a merge is one
//! batch with everything it brought. A key is a path's bytes from the repository's root; a value is the file's content,
//! a link's target, or a submodule's commit id as hex digits. A commit that only changes a mode sets the path to what it
//! was. What always holds: HEAD is looked up once, so the batches and [`GitSource::tree`] are of the same commit,
//! whatever happens to the repository meanwhile; neither the environment nor the user's git settings change a byte.

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
