//! The couchstore engine: one append-only file per vBucket, in the format of Couchbase's own library.
//!
//! In go batches, out come files that the vendor's tools read, and the other way round (format versions 11 to 14;
//! encrypted files are read, not written). Two copy-on-write b-trees index documents by key and by seqno, a third
//! holds local documents; a commit appends bodies, changed nodes and a header, and is durable after one sync. What
//! always holds is said where it is kept:
//!
//! | file | keeps |
//! |---|---|
//! | `writer` | nothing acknowledged is overwritten; failed commits are cut off |
//! | `recover` | what was acknowledged comes back, nothing else does |
//! | `find` | damage under an activated header is an error |
//! | `btree_modify` | trees have the vendor's shape |
//! | `btree_read` | damaged trees end in errors |
//! | `node_cache` | what is in memory is what the file holds, within a budget |
//! | `window` | what is read ahead is checked like anything else |
//! | `writer/room` | behind a commit lie zeros, few, and no commit fails for them |
//! | `version` | a file keeps its version, and each is as durable |
//! | `vbucket` | readers see whole, durable commits and never wait |
//! | `directory` | a vBucket is there as a whole or not at all |
//! | `history` | what a rollback finds is a commit, and not one that was given up |
//! | `vbucket/rollback`, `vbucket/purge` | what was rolled back or purged stays away |
//! | `group` | batches of different vBuckets share nothing |
//! | `compact` | a file is replaced by a smaller one with the same content, beside commits |
//! | `compact/audit` | what is compacted is verified, so that no damage is hidden and no sound copy removed |
//! | `compact/single` | the same to another file, without a store; the old one is only read |
//! | `fuzzing` | no bytes make it panic, hang or take memory without measure |
//! | `encryption` | encrypted files open with their key only |
//! | `check`, `survey` | damage anywhere is told, and the work goes on beside it |
//! | `document`, `rev_meta`, `vbstate` | items and states as the vendor stores them |

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
pub use self::store::{StoreFile, StoreListing, list_store, name_of_store_file};
pub use self::tools::{
    Cell, CheckObserver, CheckReport, CouchFile, Finding, FindingKind, HeaderInfo, Layout, Loss,
    SalvageObserver, Salvaged, Severity, TreeLayout, Use, check_file, salvage,
};
