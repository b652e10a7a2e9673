//! The locks of this crate, and their ranks. The locks themselves are checkpoint's: one kind, one order
//! and one switch to loom for the whole workspace.
//!
//! # Lock order
//! A thread takes locks in ascending rank and holds at most one of each, read locks included. Debug
//! builds panic otherwise. `docs/lock-order.md` has the order of all crates. This crate's part:
//!
//! | field | rank | protects |
//! |---|---|---|
//! | `ReadViews` | 0 | the pins that readers of a replica see |
//! | `Maintenance::steps` | 1 | the directory: read by a step of a job, written by `close` |
//! | `GroupCommit::active` | 2 | the segment that commits write: held to lead or to pause them |
//! | `GroupCommit::queue` | 3 | calls that wait to commit |
//! | `CommitRequest::batches` | 4 | the batches of a call |
//! | `CommitRequest::outcome` | 5 | the results of a call |
//! | `RunningJobs` | 6 | the rewriting jobs that there are |
//! | `RunningRound` | 7 | one round of rewriting, which a commit can take away |
//! | `Maintenance::backpressure` | 8 | the round of commits |
//! | `Maintenance::outputs` | 9 | the segments that copies go to: one thread copies at a time |
//! | `Registry::relocating` | 10 | locations of records: written by a rollback, read by rewriting |
//! | `VBucketIndex::loading` | 11 | the loading of a vBucket: one thread at a time |
//! | `LogSnapshot::buffer` | 12 | the buffer that a snapshot reads into |
//! | `Registry::vbuckets` | 13 | the vBuckets that serve |
//! | `Registry::importing` | 14 | vBuckets that are being imported |
//! | `Registry::retired` | 15 | indexes that are not written any more |
//! | `Log::manifest` | 16 | the catalog, and edits of it |
//! | `VBucketIndex::inner` | 17 | the index and the figures of a vBucket |
//! | `Registry::quarantined` | 18 | segments of unreadable vBuckets |
//! | `SegmentTable::growth` | 19 | the file that is being made |
//! | `Maintenance::next_gc_check_generation` | 20 | the time of the next check for garbage |
//! | `SegmentTable::inner` | 21 | free and closed segments |
//! | `SegmentTable::uses` | 22 | the use of each segment, by which references are counted |
//! | `BlockCache::queue` | 23 | the order of eviction |
//! | `CachedBlocks` | 24 | one block in memory; only tried under the queue |
//! | `Log::sequence` | 25 | the number of the next append |
//! | `ImageSchedule::inner` | 26 | the time of the next image |
//! | `KnownFrames` | 27 | frames of a segment that scans have found |
//! | `GroupCommit::observer` | 28 | the observer of commits |
//! | `Store::directory_lock` | 29 | the lock of the store's directory, until the store is closed |
//! | `probe_all's probed` | 30 | results of the tasks that open a store |
//! | `Pieces::failure` | 31 | the error of reading a store that is copied |
//! | `Couchstore::open` | 32 | the directory of a store that is open |
//! | `Couchstore::vbuckets` | 33 | the vBuckets of a store |
//! | `VBucket::active` | 34 | the writer of a vBucket's file |
//! | `VBucket::purges` | 35 | purges during a compaction |
//! | `VBucket::published` | 36 | the commit that readers see |
//! | `NodeCache::nodes` | 37 | decoded nodes of all files |
//! | `OverlayDisk::names` | 38 | names that differ from the disk below |
//! | `OverlayFile::written` | 39 | bytes that differ from the disk below |
//! | `Pool::files` | 40 | the files of a pool, and which are open |
//! | `PooledFile::handle` | 41 | the handle of a file |
//! | `PooledFile::path` | 42 | the name of a file |
//! | `Gate::plan` | 43 | the faults of a disk for tests |
//! | `Handles` | 44 | the number of open handles of a disk for tests |
//! | `MemoryDisk::tree` | 45 | the names of a disk in memory |
//! | `Inode::contents` | 46 | the bytes of a file in memory |
//! | `a test's own` | 63 | what a unit test shares between threads |
//!
//! The engines' locks are above [`ReadViews`](crate::ReadViews), which calls them, and below the
//! disks', which they call. Checkpoint's ranks are above all of them.

pub(crate) mod ranks;

pub(crate) use lowtide_checkpoint::internal::sync::{
    AtomicU64, Mutex, MutexGuard, Ordering, RwLock, RwLockReadGuard, TryMutex, native,
};
