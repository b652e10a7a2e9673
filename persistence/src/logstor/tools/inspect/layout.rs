//! The layout of a store, as values for people and programs.
//!
//! # Invariants
//!
//! Every byte of the log files is in one segment, and counts as live, dead or free. Live records
//! are those that the index of the opened store references (T8).

use std::path::PathBuf;

use lowtide_checkpoint::{Seqno, VBucketState, Vbid};

use crate::contract::VBucketInfo;

/// Use of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// It was never written to.
    Unused,
    /// It is free again.
    Free,
    /// It was written by commits.
    Commits,
    /// It was written by rewriting.
    Moved,
    /// It holds a large record, or a fragment of one.
    Large,
}

impl SegmentKind {
    /// Returns one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unused => "unused",
            Self::Free => "free",
            Self::Commits => "commits",
            Self::Moved => "moved",
            Self::Large => "large",
        }
    }

    /// Returns whether it holds records.
    #[must_use]
    pub const fn is_used(self) -> bool {
        !matches!(self, Self::Unused | Self::Free)
    }
}

/// Layout of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentLayout {
    /// Number.
    pub id: u32,
    /// File.
    pub path: PathBuf,
    /// Offset in the file.
    pub offset: u64,
    /// Use.
    pub kind: SegmentKind,
    /// Number of the use; `None` if it was never used.
    pub generation: Option<u64>,
    /// Frames that count.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// End of the frames.
    pub used_bytes: u32,
    /// Bytes of needed records.
    pub live_bytes: u64,
    /// Number of needed records.
    pub live_records: u64,
    /// The existing vBuckets with records in it, needed or not, ascending.
    pub owners: Vec<Vbid>,
    /// It has damage.
    pub damaged: bool,
}

/// Layout of a vBucket.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct VBucketLayout {
    /// Number.
    pub vb: Vbid,
    /// Figures.
    pub info: VBucketInfo,
    /// State.
    pub state: Option<VBucketState>,
    /// Epochs of its records, with the highest seqno that counts if that is bounded. The last one
    /// is being written.
    pub epochs: Vec<(u32, Option<Seqno>)>,
    /// Highest seqno of each collection, by id.
    pub collections: Vec<(u32, Seqno)>,
    /// Bytes of needed records.
    pub live_bytes: u64,
    /// Purged tombstones that hide an older record until that is gone.
    pub hidden: u64,
    /// Records that are not needed.
    pub stale_records: u64,
}

/// Layout of an index image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageLayout {
    /// File.
    pub path: PathBuf,
    /// Length.
    pub bytes: u64,
    /// Append up to which it knows everything; `None` if opening the store would not use it.
    pub last_append: Option<u64>,
    /// Keys.
    pub keys: u64,
    /// Uses of segments that it covers.
    pub segments: u64,
    /// Covered uses that go on: opening the store does not read them.
    pub segments_current: u64,
}

/// Layout of a store.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LogLayout {
    /// Bytes of a segment.
    pub segment_bytes: u32,
    /// Segments of a file.
    pub segments_per_file: u32,
    /// Bytes of the log files.
    pub file_bytes: u64,
    /// Log files.
    pub files: u64,
    /// Bytes of needed records.
    pub live_bytes: u64,
    /// Other bytes of the segments in use.
    pub dead_bytes: u64,
    /// Bytes of segments that are free or were never used.
    pub free_bytes: u64,
    /// Highest number of an append.
    pub last_append: u64,
    /// Append up to which all were settled when the last one was written.
    pub settled_append: u64,
    /// Segments, by number.
    pub segments: Vec<SegmentLayout>,
    /// vBuckets, by number.
    pub vbuckets: Vec<VBucketLayout>,
    /// Index images, newest first: opening the store uses the first usable one.
    pub images: Vec<ImageLayout>,
}
