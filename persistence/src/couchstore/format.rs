//! The vendor's format as bytes and values. It opens no file and takes no lock.
//!
//! Every structure of a file is encoded and decoded here. So the format is one place to compare
//! with `docs/formats/couchstore.md`, and one place that the fuzz targets feed with arbitrary
//! bytes.
//!
//! # Invariants
//!
//! - No bytes make a decoder panic, or allocate more than a multiple of their own length (E21).
//! - A decoded value has passed every check that needs no other byte of the file.

pub(super) mod block;
mod checksum;
pub(super) mod chunk_head;
pub(super) mod document;
pub(super) mod document_info;
pub(super) mod fields;
pub(super) mod header;
mod index_row;
pub(super) mod node;
mod pointer;
mod reduction;
pub(super) mod snappy;
pub(super) mod vbucket_state;
mod version;

pub use self::document_info::DocInfo;
pub use self::reduction::Tree;
pub use self::version::FormatVersion;

pub(super) use self::checksum::Checksum;
pub(super) use self::chunk_head::ChunkHead;
pub(super) use self::document::{Document, RevisionMeta};
pub(super) use self::document_info::Row;
pub(super) use self::fields::Fields;
pub(super) use self::header::{Header, HeaderError};
pub(super) use self::index_row::{by_id, by_seqno};
pub(super) use self::node::{Entries, Entry, Node, NodeKind};
pub(super) use self::pointer::Pointer;
pub(super) use self::reduction::Reduction;
pub(super) use self::snappy::Compressor;
pub(super) use self::vbucket_state::StoreFigures;
