//! Transfer of vBuckets between stores: export and import of one, and the compaction of a store
//! into another.
//!
//! ```text
//! Export::next_piece -> pieces of bytes, by the host -> Logstor::import
//! ```
//!
//! # Invariants
//!
//! - A vBucket moves as a whole, concurrently with all other work, or not at all (L35, L36).
//! - A store that is compacted into another is only read (L42).

mod export;
mod export_format;
mod import;
mod import_source;
mod store_copy;

pub use self::export::Export;
pub use self::store_copy::compact_store;
