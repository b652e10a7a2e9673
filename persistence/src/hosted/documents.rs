//! Documents in memory: of one vBucket the newest revisions that are not persisted, its open
//! prepares, and a bounded cache of what its engine has.
//!
//! ```text
//!  put -----------------> | newest revision of a key | <--- find ---> Revision, Absent, or
//!  persisted(seqno) ----> | clean or not             |                Unknown: read the engine,
//!                         | open prepares            | <--- fetched   outside the lock
//!                               | clean, unused
//!                               v
//!                             evicted, when the budget of all vBuckets is exceeded
//! ```
//!
//! A store reads a document from memory first, then from its engine. Between both, a revision must
//! not be lost: it is in memory until it is persisted, and the engine is read only while the key has
//! a place in memory. So a revision that is written during the read is found.
//!
//! The host keeps [`Documents`] behind a lock of the vBucket's. It holds the lock from the lookup of
//! a key to the [`Documents::put`] of what it has written, so that the order of revisions here is
//! that of their seqnos. It reads the engine without the lock.
//!
//! # Invariants
//! - No answer is older than the newest revision that was put or is persisted (D1).
//! - What is not persisted, open prepares and keys with a fetch in progress stay in memory (D2).
//! - The budget counts exactly what its vBuckets hold (D3).
//! - Above the limit no clean revision enters, and each operation evicts up to a few (D4).
//! - A fetch that began before a [`Documents::clear`] is void (D5).
//! - A filter of keys lets every key pass that has a revision (D6).

mod budget;
mod check;
#[expect(
    clippy::module_inception,
    reason = "the wing is named after its main type"
)]
mod documents;
mod entry;
mod eviction;
mod fetch;
mod filtering;
mod filters;
mod key_filter;
mod prepares;
mod stats;
mod table;

pub use budget::CacheBudget;
pub use documents::Documents;
pub use fetch::{Fetch, FetchError, Found, Known};
pub use filtering::{FilterScan, FilterScanVoid};
pub use stats::DocumentsStats;

#[cfg(test)]
mod tests;
