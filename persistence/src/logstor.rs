//! The logstor engine: one log for all vBuckets, and an index of each in memory.
//!
//! Batches of any number of vBuckets are committed with one append and one sync. Items are read by
//! key and by seqno. The log consists of segments in preallocated files. Space of dead records is
//! freed by rewriting the live ones.
//!
//! ```text
//! transfer | tools
//! engine
//! recovery | maintenance
//! store
//! commit
//! vbucket
//! index | index_image
//! log
//! format
//! ```
//!
//! A wing uses those below it, and none above. A commit goes straight down: engine, commit, log,
//! vbucket, index. A get does, too: engine, vbucket, index or index image, log. Upkeep lies above
//! the store. A commit that is short of space reaches it through one trait, `CommitHost`.
//!
//! # Invariants
//!
//! Each wing states its own invariants. `docs/invariants.md` has them all, with their checkers.
//!
//! | wing | invariant | ids |
//! |---|---|---|
//! | `format` | bytes of an earlier use are never taken for current ones | L1 to L3 |
//! | `log` | what failed to be written never comes back; needed segments are not freed | L4 to L8 |
//! | `index` | a key has one slot, and references are counted exactly | L9, L10 |
//! | `index_image` | opening with an image gives what reading everything gives | L20, L21 |
//! | `vbucket` | views never change; tombstones outlive what they hide | L11, L12, L38 to L41 |
//! | `commit` | groups are whole, and indexed before their segments are closed | L13, L14, L31 |
//! | `store` | a rollback restores a pinned view; nothing it holds keeps the store | L17, L45 |
//! | `maintenance` | a record is always on disk where the index references it | L15, L16, L23 |
//! | `recovery` | what was acknowledged comes back, and nothing else does | L18, L19, L22 |
//! | `transfer` | a vBucket moves as a whole or not at all | L35, L36, L42 |
//! | `tools` | inspection changes nothing; no bytes make a reader panic | L34 |

mod commit;
mod config;
mod engine;
mod format;
mod hash_key;
mod index;
mod index_image;
mod log;
mod maintenance;
mod recovery;
mod store;
mod tools;
mod transfer;
mod vbucket;

#[cfg(test)]
mod tests;

pub use self::commit::CommitObserver;
pub use self::config::LogstorConfig;
pub use self::engine::Logstor;
pub use self::hash_key::HashKey;
pub use self::maintenance::LogstorStats;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub use self::tools::fuzzing;
pub use self::tools::{
    ImageLayout, LogCheckReport, LogDirectory, LogFinding, LogFindingKind, LogLayout, LogObserver,
    SegmentKind, SegmentLayout, VBucketLayout, check_store, is_log_store,
};
pub use self::transfer::{Export, compact_store};
