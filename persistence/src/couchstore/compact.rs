//! Compaction: a vBucket's file is written anew, without what nobody can reach, while commits and reads go on.
//!
//! ```text
//! copy by seqno, until little comes            | of one commit of the old file after the other, without any lock
//! index by id -> index by seqno -> local docs  | of the last of them
//!   compact-copied
//! catch-up rounds                              | from commit to commit, without any lock
//!   compact-caught-up
//! header, two syncs                            | the target is whole and durable
//!   compact-before-rename
//! lock: last small round, rename, sync, swap   | commits wait
//!   compact-after-rename
//! old file removed                             | snapshots keep it open
//! ```
//!
//! In goes a request, out comes a smaller file with the same content, less what `filter` says. Always:
//! - E17. What a compaction that failed, or was dropped, leaves behind is nothing: the vBucket goes on with the file it
//!   has, and only a rename that can't be made durable poisons the store.
//! - At any moment a crash leaves the old file or the new one under the vBucket's newest name, each with everything
//!   that was acknowledged: `directory::revisions`.
//! - What is in memory does not grow with the file: `build`, `sort`, `vbucket::taken_out`.
//! - Commits and purges beside it go on, and are in the new file: `catch_up`.

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
