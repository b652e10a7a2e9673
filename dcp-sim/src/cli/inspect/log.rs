//! `dcp-sim inspect` of a log store's directory: segments, vBuckets, and what opening it would do.

use std::io::{self, Write};

use lowtide_persistence::logstor::{ImageLayout, LogLayout, SegmentLayout, VBucketLayout};
use serde::Serialize;

use super::{InspectArguments, StateFigures, log_picture};
use crate::cli::log_store::{JsonFinding, Watch};
use crate::cli::output::Output;
use crate::cli::store::{Other, SCHEMA};
use crate::cli::{Exit, Failure, log_store};

#[derive(Serialize)]
pub(super) struct Document {
    schema: u32,
    command: &'static str,
    engine: &'static str,
    pub(super) path: String,
    segment_bytes: u32,
    segments_per_file: u32,
    files: u64,
    pub(super) file_bytes: u64,
    pub(super) live_bytes: u64,
    pub(super) dead_bytes: u64,
    pub(super) free_bytes: u64,
    last_append: u64,
    settled_append: u64,
    pub(super) vbuckets: Vec<VBucketFigures>,
    segments: Vec<SegmentFigures>,
    /// Newest first.
    images: Vec<ImageFigures>,
    /// What opening the store would repair; nothing is known if it would fail.
    pub(super) repairs: Vec<String>,
    /// Why opening it would fail.
    pub(super) refusal: Option<String>,
    #[serde(skip)]
    pub(super) lines: Vec<String>,
    findings: Vec<JsonFinding>,
    findings_left_out: u64,
    others: Vec<Other>,
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
    /// Each with the highest seqno that counts, if that is bounded.
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
struct SegmentFigures {
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
struct ImageFigures {
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

pub(super) fn inspect(arguments: &InspectArguments, out: &mut Output) -> Result<Exit, Failure> {
    let mut watch = Watch::new();
    let store = log_store::read(&arguments.path, &mut watch)?;
    let (repairs, refusal) = match store.opening() {
        Ok(report) => {
            let repairs = report.repairs.into_iter();
            (
                repairs
                    .map(|(path, what)| format!("{}: {what}", path.display()))
                    .collect(),
                None,
            )
        }
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let layout: LogLayout = store.layout();
    let document = Document {
        schema: SCHEMA,
        command: "inspect",
        engine: "logstor",
        path: arguments.path.display().to_string(),
        segment_bytes: layout.segment_bytes,
        segments_per_file: layout.segments_per_file,
        files: layout.files,
        file_bytes: layout.file_bytes,
        live_bytes: layout.live_bytes,
        dead_bytes: layout.dead_bytes,
        free_bytes: layout.free_bytes,
        last_append: layout.last_append,
        settled_append: layout.settled_append,
        vbuckets: layout.vbuckets.iter().map(VBucketFigures::from).collect(),
        segments: layout.segments.iter().map(SegmentFigures::from).collect(),
        images: layout.images.iter().map(ImageFigures::from).collect(),
        repairs,
        refusal,
        lines: watch.lines,
        findings: watch.kept,
        findings_left_out: watch.left_out,
        others: log_store::others(store.others()),
    };
    if arguments.json {
        serde_json::to_writer(&mut *out, &document).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        let text = log_picture::of_store(&document, &layout, arguments.segments);
        out.styled(&text)?;
        log_store::note(&document.others);
    }
    Ok(if watch.damage > 0 || document.refusal.is_some() {
        Exit::Corrupt
    } else {
        Exit::Ok
    })
}
