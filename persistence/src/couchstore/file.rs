//! One file: its chunks, its headers, its cipher, and the commits that can be read from it.
//!
//! # Invariants
//!
//! - The bytes below the end of a durable commit never change, so reads of it need no lock.
//! - A reader gets what the file holds: a checksum or the cipher's tag has matched (E22, E23).
//! - Damage below an activated header is an error, and never a reason to use an older commit.
//! - An encrypted file opens with its key only, and is not written (E18).

mod appender;
pub(super) mod chunk;
mod cipher;
mod commit_view;
pub(super) mod encryption;
mod extents;
pub(super) mod header_chain;
pub(super) mod header_search;
mod keyring;
mod node_cache;
mod node_reader;
pub(super) mod read_ahead;
mod source;

pub use self::keyring::Keyring;

pub(super) use self::appender::Appender;
pub(super) use self::chunk::ChunkReader;
pub(super) use self::commit_view::CommitView;
pub(super) use self::extents::Extents;
pub(super) use self::header_chain::Earlier;
pub(super) use self::node_cache::{FileNodes, NodeCache};
pub(super) use self::node_reader::CacheHint;
pub(super) use self::read_ahead::ReadAhead;
pub(super) use self::source::Source;
