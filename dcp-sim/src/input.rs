//! Sources of a simulated cluster's writes: a git history, a file of JSON lines, or a generated
//! workload.
//!
//! A source returns batches of sets and deletes, each with a label that names its origin.
//!
//! # Invariants
//!
//! - An input (with its seed) always gives equal batches in equal order, on every machine.
//! - A source never guesses: invalid input is an error that names the place.

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
