//! The segmented log on a disk: segments and their frames, appends, and the manifest.
//!
//! All vBuckets share the log. This wing knows records by their place only: which of them are
//! needed is known above.
//!
//! # Invariants
//!
//! - What failed to be written never comes back (L2, L6): `append`, `manifest`.
//! - After a failed sync nothing more is written (L4): `store_context`.
//! - A segment's live count is exactly the references to it, and a segment is freed only when
//!   nothing needs or reads it (L5, L33): `segment`, `segment_table`.
//! - What was dropped, purged or rolled back is hidden for good (L7): `manifest`.
//! - What is kept in memory is what the disk has (L26): `block_cache`.

mod append;
mod block_cache;
mod cached_blocks;
mod counters;
mod frame_bounds;
mod frame_builder;
mod frame_lookup;
mod manifest;
mod segment;
mod segment_scan;
mod segment_table;
mod segment_use;
mod store_context;

pub(super) use self::append::Log;
pub(super) use self::block_cache::{BlockCache, CACHED_RECORD_BYTES_MAX};
pub(super) use self::frame_bounds::FrameBounds;
pub(super) use self::frame_builder::{FrameBuilder, FrameSlot, OpenSegment};
pub(super) use self::frame_lookup::find_frame;
pub(super) use self::manifest::{
    Catalog, CatalogEntry, EpochStart, Lineage, MANIFEST_NAME, Manifest, ManifestEdit, RetiredTail,
    read_manifest,
};
pub(super) use self::segment::{LogFile, Segment};
pub(super) use self::segment_scan::{
    ScannedRecord, ScannedSegment, ScannedState, high_seqnos_of, scan_large_record, scan_segment,
};
pub(super) use self::segment_table::{SegmentTable, SegmentUses, SpaceTarget};
pub(super) use self::segment_use::{ClosedSegment, Origin, SegmentPurpose};
pub(super) use self::store_context::{StoreContext, store_closed};
