//! Compaction: a vBucket's file is written again without its unreachable parts, while commits and
//! reads continue.
//!
//! ```text
//! copy by seqno, until little comes            | one commit after another, no lock
//! index by id -> index by seqno -> local docs  | of the last of them
//!   compact-copied
//! catch-up rounds                              | from commit to commit, no lock
//!   compact-caught-up
//! header, two syncs                            | the target is whole and durable
//!   compact-before-rename
//! lock: last small round, rename, sync, swap   | commits wait
//!   compact-after-rename
//! old file removed                             | snapshots keep it open
//! ```
//!
//! The new file has the same content, except what `filter` removes.
//!
//! # Invariants
//!
//! - E17. A compaction that failed or was dropped leaves nothing behind. The vBucket continues with
//!   its file, and only a rename that cannot be made durable poisons the store.
//! - At any moment a crash leaves the old file or the new one under the vBucket's newest name, each
//!   with everything acknowledged: `store::directory::revisions`.
//! - Memory does not grow with the file: `bulk_builder`, `sort`, `store::vbucket::purge_log`.
//! - Concurrent commits and purges continue, and are in the new file: `catch_up`.

mod audit;
mod bulk_builder;
mod catch_up;
mod copy;
mod files;
mod filter;
mod indexing;
mod install;
mod job;
pub(super) mod single;
mod sort;
mod stages;
mod target;
mod trigger;

pub use self::single::compact_file;

pub(super) use self::job::Compaction;
