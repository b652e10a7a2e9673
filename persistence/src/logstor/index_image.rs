//! Index images: the index as a file, so that opening a store reads that and what was appended
//! since, not everything.
//!
//! This wing is the file format, its reader and its writer. The job that makes an image is in
//! `maintenance`.
//!
//! ```text
//! rows, in blocks | directory, a frame of crate::shared::record
//! magic u32 | version u32 | directory's offset u64 | directory's bytes u64
//! ```
//!
//! # Invariants
//!
//! - Opening with an image gives what opening by reading everything gives (L20). An image covers
//!   uses of segments, each up to a byte. It says of every key which of the covered records wins,
//!   and in which segments the others are. What it does not cover is read. A use that is over is
//!   detected by its segment's first header, and its records are taken off. So an image is true for
//!   ever, whatever is written or freed later; it only becomes useless.
//! - The section of a vBucket that was rolled back since is not used: records that were hidden
//!   count again.
//! - An image has its name only when it is whole and durable. One that is missing or damaged costs
//!   time, never data (L21). Each of its blocks has a checksum, and so has its directory.
//! - Rows of a section ascend by fingerprint, and the directory has the last fingerprint of each
//!   block. So the row of a key is found by reading one block, before the rest is in memory.

mod directory;
mod file_names;
mod image;
mod image_files;
mod merge;
mod record_sort;
mod row;
mod section_writer;

pub(super) use self::directory::{
    CoveredSegment, ImageDirectory, ImageSection, LargeFragment, SegmentContents, StateRow,
    store_id,
};
pub(super) use self::file_names::image_number;
pub(super) use self::image::Image;
pub(super) use self::image_files::{newest_image, remove_other_images};
pub(super) use self::merge::{RowMerge, sort_for_merge};
pub(super) use self::record_sort::RecordSorter;
pub(super) use self::row::ImageRow;
pub(super) use self::section_writer::SectionWriter;
