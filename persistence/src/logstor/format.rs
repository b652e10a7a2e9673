//! Bytes and values: how records, frames and states lie on disk. No file, no lock, no shared
//! ownership.
//!
//! Everything that reads a log, whether it opens it, serves it, rewrites it or only inspects it,
//! goes by these formats. They stand apart so that they can be tested and fuzzed by themselves.
//!
//! # Invariants
//!
//! - What a segment held in an earlier use is never taken for a part of the current use (L1):
//!   `frame`, `frame_scan`.
//! - Every frame says up to which append nothing is in doubt (L2): `frame`.
//! - Items and states are decoded as they were encoded; a record with a changed bit is rejected
//!   (L3): `record`, `vbucket_state`.
//! - No bytes make a decoder panic, or take more memory than a multiple of their length (L34).
//! - A purge leaves each collection's highest seqno where it was (L40, L41):
//!   `collection_high_seqnos`, `purged_tombstones`.

mod collection_high_seqnos;
mod fingerprint;
mod frame;
mod frame_scan;
mod integers;
mod location;
mod purged_tombstones;
mod record;
mod vbucket_state;

pub(super) use self::collection_high_seqnos::{
    CollectionHighSeqnos, collection_of_item, collection_of_record,
};
pub(super) use self::fingerprint::Fingerprint;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use self::frame::keyed_crc;
pub(super) use self::frame::{
    Fragment, FrameDetail, FrameHeader, FrameKind, HEADER_BYTES, MAGIC, frame_bytes,
};
pub(super) use self::frame_scan::{
    ScannedFrame, payload_of, records_in, scan_frames, verified_records_in,
};
pub(super) use self::integers::{to_u32, to_u64, to_usize, u32_at, u64_at};
pub(super) use self::location::Location;
pub(super) use self::purged_tombstones::PurgedTombstones;
pub(super) use self::record::{
    FIXED_BYTES, KEY_BYTES_MAX, RecordView, SEQNO_MAX, VALUE_BYTES_MAX, decode_item,
    decode_item_ref, encode_item, encode_state_record, epoch_of, epoch_range, is_tombstone,
    record_bytes,
};
pub(super) use self::vbucket_state::{STATE_BYTES_MAX, decode_state, encode_state};
