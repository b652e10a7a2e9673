//! The couchstore engine: one append-only file per vBucket, in the format of Couchbase's own
//! library.
//!
//! Files of this engine are read by the vendor's tools, and the vendor's files by this engine
//! (format versions 11 to 14; encrypted files are read, not written). Two copy-on-write b-trees
//! index documents by key and by seqno, and a third holds local documents. A commit appends bodies,
//! changed nodes and a header, and is durable after one sync.
//!
//! # Invariants
//!
//! - `format`: no bytes make it panic, hang or allocate without measure; items and states are
//!   stored as the vendor stores them (E19 to E21).
//! - `file`: bytes that are read are those that were written; damage under an activated header is
//!   an error; encrypted files open with their key only (E18, E22, E23).
//! - `btree`: trees have the vendor's shape; a damaged tree ends with an error.
//! - `read`: a read sees one commit, and takes no lock; purges spare the highest seqno of a
//!   collection (E27).
//! - `write`: nothing acknowledged is overwritten; a failed commit is cut off; opening brings back
//!   what was acknowledged, and nothing else (E24 to E26).
//! - `store`: a vBucket exists as a whole or not at all; readers never wait; a rollback finds a
//!   commit; what was purged or rolled back stays away (E7, E8, E10, E11, E14, E15).
//! - `compact`: a smaller file with the same content takes the place of the old one, next to
//!   commits; damage is never hidden (E12, E13, E16, E17, E28 to E30).
//! - `tools`: damage anywhere is reported, and the rest is still read (T1, T2, T5, T6).

mod btree;
mod compact;
mod config;
mod engine;
mod file;
mod format;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod read;
mod stats;
mod store;
mod store_context;
mod tools;
mod write;

#[cfg(test)]
mod tests;

pub use self::btree::NodeShape;
pub use self::compact::compact_file;
pub use self::config::{CommitMode, CompactionConfig, CouchstoreConfig};
pub use self::engine::Couchstore;
pub use self::file::Keyring;
pub use self::format::{DocInfo, FormatVersion, Tree};
pub use self::stats::CouchstoreStats;
pub use self::store::{StoreFile, StoreListing, list_store, name_of_store_file};
pub use self::tools::{
    Cell, CheckObserver, CheckReport, CouchFile, Finding, FindingKind, HeaderInfo, Layout, Loss,
    SalvageObserver, Salvaged, TreeLayout, Use, check_file, salvage,
};
