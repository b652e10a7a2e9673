//! Inspection of a store without an engine: its contents, segment by segment and vBucket by
//! vBucket, and everything that is wrong.
//!
//! # Invariants
//!
//! *T7.* Inspection is read-only and takes no lock. Damage is reported, and the rest is still read.
//! A store that was written to meanwhile is reported as such, and nothing else is said of it.
//! Memory is an entry for each record, a segment, and one record.

mod finding;
mod frame_reader;
mod image_agreement;
mod image_files;
mod layout;
mod layout_builder;
mod log_directory;
mod source;
mod survey;
mod vbucket_contents;

pub use self::finding::{LogFinding, LogFindingKind, LogObserver};
pub use self::layout::{ImageLayout, LogLayout, SegmentKind, SegmentLayout, VBucketLayout};
pub use self::log_directory::LogDirectory;
pub use self::source::is_log_store;
pub(super) use self::vbucket_contents::{KeyRow, VBucketContents};
