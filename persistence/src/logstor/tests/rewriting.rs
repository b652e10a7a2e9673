//! Separation and compaction, at each of their points, concurrently with commits, readers and
//! purges.

mod compaction;
mod pacing;
mod purges;
mod readers;
mod separation;
mod stores;
