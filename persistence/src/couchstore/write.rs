//! Writing one file: commits, and the repair of the tail that a crash left behind.
//!
//! # Invariants
//!
//! - The file up to the end of the last good commit is never written again, except for that
//!   commit's block type.
//! - A failed commit leaves nothing: what it wrote is cut off durably before anything else is
//!   written.
//! - What was acknowledged comes back when the file is opened, and nothing else does.
//! - Both indexes hold the same rows, each key once and each seqno once.

mod activation;
mod index_update;
mod preallocation;
pub(super) mod tail_recovery;
mod writer;

pub(super) use self::activation::activate;
pub(super) use self::writer::Writer;
