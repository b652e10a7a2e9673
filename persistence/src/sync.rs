//! The locks of this crate, and their ranks. The locks themselves are checkpoint's: one kind, one order
//! and one switch to loom for the whole workspace.
//!
//! # Lock order
//! A thread takes locks in ascending rank and holds at most one of each, read locks included. Debug
//! builds panic otherwise. `docs/lock-order.md` has the order of all crates. This crate's part:
//!
//! | field | rank | protects |
//! |---|---|---|
//! | `Store::threads` | 0 | the threads of a store that are to be joined |
//! | `Partitions` | 1 | the vBuckets of an open store |
//! | `Partition::documents` | 2 | documents in memory, and the order of a vBucket's writes |
//! | `EngineSlot::current` | 3 | the engine that is open |
//! | `Inbox::pending` | 4 | what a flusher thread has to do |
//! | `PersistedSeqno::waiting` | 5 | those that wait until a write is persisted |
//! | `HealthWatch` | 6 | the health of a store, and those that wait for it |
//! | `Shared::memory_waiters` | 7 | those that wait for memory |
//! | `Followers` | 8 | the followers that a store wakes |
//! | `ReadViews` | 9 | the pins that readers of a replica see |
//! | `Maintenance::steps` | 10 | the directory: read by a step of a job, written by `close` |
//! | `GroupCommit::active` | 11 | the segment that commits write: held to lead or to pause them |
//! | `GroupCommit::queue` | 12 | calls that wait to commit |
//! | `CommitRequest::batches` | 13 | the batches of a call |
//! | `CommitRequest::outcome` | 14 | the results of a call |
//! | `RunningJobs` | 15 | the rewriting jobs that there are |
//! | `RunningRound` | 16 | one round of rewriting, which a commit can take away |
//! | `Maintenance::backpressure` | 17 | the round of commits |
//! | `Maintenance::outputs` | 18 | the segments that copies go to: one thread copies at a time |
//! | `Registry::relocating` | 19 | locations of records: written by a rollback, read by rewriting |
//! | `VBucketIndex::loading` | 20 | the loading of a vBucket: one thread at a time |
//! | `LogSnapshot::buffer` | 21 | the buffer that a snapshot reads into |
//! | `Registry::vbuckets` | 22 | the vBuckets that serve |
//! | `Registry::importing` | 23 | vBuckets that are being imported |
//! | `Registry::retired` | 24 | indexes that are not written any more |
//! | `Log::manifest` | 25 | the catalog, and edits of it |
//! | `VBucketIndex::inner` | 26 | the index and the figures of a vBucket |
//! | `Registry::quarantined` | 27 | segments of unreadable vBuckets |
//! | `SegmentTable::growth` | 28 | the file that is being made |
//! | `Maintenance::next_gc_check_generation` | 29 | the time of the next check for garbage |
//! | `SegmentTable::inner` | 30 | free and closed segments |
//! | `SegmentTable::uses` | 31 | the use of each segment, by which references are counted |
//! | `BlockCache::queue` | 32 | the order of eviction |
//! | `CachedBlocks` | 33 | one block in memory; only tried under the queue |
//! | `Log::sequence` | 34 | the number of the next append |
//! | `ImageSchedule::inner` | 35 | the time of the next image |
//! | `KnownFrames` | 36 | frames of a segment that scans have found |
//! | `GroupCommit::observer` | 37 | the observer of commits |
//! | `Store::directory_lock` | 38 | the lock of the store's directory, until the store is closed |
//! | `probe_all's probed` | 39 | results of the tasks that open a store |
//! | `Pieces::failure` | 40 | the error of reading a store that is copied |
//! | `Couchstore::open` | 41 | the directory of a store that is open |
//! | `Couchstore::vbuckets` | 42 | the vBuckets of a store |
//! | `VBucket::active` | 43 | the writer of a vBucket's file |
//! | `VBucket::purges` | 44 | purges during a compaction |
//! | `VBucket::published` | 45 | the commit that readers see |
//! | `NodeCache::nodes` | 46 | decoded nodes of all files |
//! | `OverlayDisk::names` | 47 | names that differ from the disk below |
//! | `OverlayFile::written` | 48 | bytes that differ from the disk below |
//! | `Pool::files` | 49 | the files of a pool, and which are open |
//! | `PooledFile::handle` | 50 | the handle of a file |
//! | `PooledFile::path` | 51 | the name of a file |
//! | `Gate::plan` | 52 | the faults of a disk for tests |
//! | `Handles` | 53 | the number of open handles of a disk for tests |
//! | `MemoryDisk::tree` | 54 | the names of a disk in memory |
//! | `Inode::contents` | 55 | the bytes of a file in memory |
//! | `a test's own` | 63 | what a unit test shares between threads |
//!
//! The engines' locks are above [`ReadViews`](crate::ReadViews), which calls them, and below the
//! disks', which they call. Checkpoint's ranks are above all of them.

pub(crate) mod ranks;

pub(crate) use lowtide_checkpoint::internal::sync::{
    AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, RwLock, RwLockReadGuard, TryMutex, native,
};
