//! Figures of a log store, also as JSON.

use lowtide_persistence::logstor::{ImageLayout, SegmentLayout, VBucketLayout};
use serde::Serialize;

use super::figures::StateFigures;
use crate::cli::tools::log_store::JsonFinding;
use crate::cli::tools::store::Other;

#[derive(Serialize)]
pub(super) struct LogDocument {
    pub(super) schema: u32,
    pub(super) command: &'static str,
    pub(super) engine: &'static str,
    pub(super) path: String,
    pub(super) segment_bytes: u32,
    pub(super) segments_per_file: u32,
    pub(super) files: u64,
    pub(super) file_bytes: u64,
    pub(super) live_bytes: u64,
    pub(super) dead_bytes: u64,
    pub(super) free_bytes: u64,
    pub(super) last_append: u64,
    pub(super) settled_append: u64,
    pub(super) vbuckets: Vec<VBucketFigures>,
    pub(super) segments: Vec<SegmentFigures>,
    /// Newest first.
    pub(super) images: Vec<ImageFigures>,
    /// Repairs by opening the store; unknown if opening would fail.
    pub(super) repairs: Vec<String>,
    /// Error of opening the store.
    pub(super) refusal: Option<String>,
    #[serde(skip)]
    pub(super) lines: Vec<String>,
    pub(super) findings: Vec<JsonFinding>,
    pub(super) findings_left_out: u64,
    pub(super) others: Vec<Other>,
}

#[derive(Serialize)]
pub(super) struct VBucketFigures {
    pub(super) vb: u16,
    pub(super) high_seqno: u64,
    pub(super) purge_seqno: u64,
    pub(super) documents: u64,
    pub(super) tombstones: u64,
    pub(super) hidden_tombstones: u64,
    pub(super) live_bytes: u64,
    pub(super) stale_records: u64,
    /// Each with its highest valid seqno, if that is bounded.
    pub(super) epochs: Vec<(u32, Option<u64>)>,
    /// Each with its highest seqno.
    collections: Vec<(u32, u64)>,
    pub(super) state: Option<StateFigures>,
}

impl From<&VBucketLayout> for VBucketFigures {
    fn from(vb: &VBucketLayout) -> Self {
        Self {
            vb: vb.vb.0,
            high_seqno: vb.info.high.0,
            purge_seqno: vb.info.purge.0,
            documents: vb.info.items,
            tombstones: vb.info.deleted,
            hidden_tombstones: vb.hidden,
            live_bytes: vb.live_bytes,
            stale_records: vb.stale_records,
            epochs: vb
                .epochs
                .iter()
                .map(|&(epoch, cap)| (epoch, cap.map(|cap| cap.0)))
                .collect(),
            collections: vb
                .collections
                .iter()
                .map(|&(collection, seqno)| (collection, seqno.0))
                .collect(),
            state: vb.state.clone().map(StateFigures::from),
        }
    }
}

#[derive(Serialize)]
pub(super) struct SegmentFigures {
    id: u32,
    path: String,
    offset: u64,
    kind: &'static str,
    generation: Option<u64>,
    frames: u64,
    records: u64,
    used_bytes: u32,
    live_bytes: u64,
    live_records: u64,
    owners: Vec<u16>,
    damaged: bool,
}

impl From<&SegmentLayout> for SegmentFigures {
    fn from(segment: &SegmentLayout) -> Self {
        Self {
            id: segment.id,
            path: segment.path.display().to_string(),
            offset: segment.offset,
            kind: segment.kind.name(),
            generation: segment.generation,
            frames: segment.frames,
            records: segment.records,
            used_bytes: segment.used_bytes,
            live_bytes: segment.live_bytes,
            live_records: segment.live_records,
            owners: segment.owners.iter().map(|vb| vb.0).collect(),
            damaged: segment.damaged,
        }
    }
}

#[derive(Serialize)]
pub(super) struct ImageFigures {
    path: String,
    bytes: u64,
    /// `null` if opening the store would not use it.
    last_append: Option<u64>,
    keys: u64,
    segments: u64,
    segments_current: u64,
}

impl From<&ImageLayout> for ImageFigures {
    fn from(image: &ImageLayout) -> Self {
        Self {
            path: image.path.display().to_string(),
            bytes: image.bytes,
            last_append: image.last_append,
            keys: image.keys,
            segments: image.segments,
            segments_current: image.segments_current,
        }
    }
}
