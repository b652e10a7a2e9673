//! The check of one file at a header, byte by byte of what it reaches.
//!
//! # Invariants
//!
//! T1. Damage is reported, the check continues, and nothing is written. Memory is a node for each
//! level of a tree, one body, and at most a 32nd of the live part of the file, besides what the
//! observer keeps.

mod body_check;
mod digest;
mod file_check;
mod finding;
pub(crate) mod index_comparison;
mod observer;
mod row_check;
pub(crate) mod row_flaws;
mod state_check;

#[cfg(test)]
pub(crate) mod tests;

pub use self::file_check::check_file;
pub use self::finding::{Finding, FindingKind};
pub use self::observer::{CheckObserver, CheckReport};

pub(crate) use self::digest::Digest;
pub(crate) use self::file_check::check_commit;
