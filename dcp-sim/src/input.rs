//! Where a simulated cluster's writes come from: a git history, a file of JSON lines, or a generated mix.
//!
//! In goes what the user named; out come batches of sets and deletes, each with a label that says where it is from.
//! What always holds: the same input (and seed) gives the same batches in the same order, on every machine; a source
//! never guesses: input it does not understand is an error that names the place.

mod error;
mod generated;
mod git;
mod json_lines;
mod peeked;
mod shared;
mod source;
mod vbucket;

pub use error::InputError;
pub use generated::{
    Distribution, GeneratedSource, Mix, MixSource, Preset, PresetSource, ValueSpread,
};
pub use git::{EntryKind, GitSource, ObjectId, Paths, TreeEntry, TreeReport, verify_tree};
pub use json_lines::JsonLines;
pub use peeked::Peeked;
pub use shared::SharedSource;
pub use source::{Change, ChangeBatch, Source};
pub use vbucket::vbucket_of;
