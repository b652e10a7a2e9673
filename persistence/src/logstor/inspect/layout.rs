//! A store's figures: what was found goes in; segments with what lives in them, vBuckets and sums come out.
//!
//! Always (T8): every byte of the log files is in one segment, and counts as live, dead or free; what lives is what
//! the index of an opened store names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lowtide_checkpoint::{Seqno, VBucketState, Vbid};

use crate::contract::VBucketInfo;
use crate::logstor::frame::FrameKind;

use super::contents::Contents;
use super::images::ImageFile;
use super::source::Source;
use super::survey::{Found, Survey};

/// What a segment is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// Never written to.
    Unused,
    /// Free again.
    Free,
    /// Commits wrote it.
    Commits,
    /// Rewriting wrote it.
    Moved,
    /// It holds a large record, or a piece of one.
    Large,
}

impl SegmentKind {
    /// One word.
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

    /// Whether it holds records.
    #[must_use]
    pub const fn is_used(self) -> bool {
        !matches!(self, Self::Unused | Self::Free)
    }
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentLayout {
    /// Its number.
    pub id: u32,
    /// In which file.
    pub path: PathBuf,
    /// Where in the file.
    pub offset: u64,
    /// What it is used for.
    pub kind: SegmentKind,
    /// Which use of it this is; `None` if it was never used.
    pub generation: Option<u64>,
    /// Frames that count.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Where the frames end.
    pub used_bytes: u32,
    /// Bytes of records that somebody needs.
    pub live_bytes: u64,
    /// How many of them there are.
    pub live_records: u64,
    /// The vBuckets that have records in it, needed or not, ascending; those that are gone are not among them.
    pub owners: Vec<Vbid>,
    /// Something in it is damaged.
    pub damaged: bool,
}

/// A vBucket.
#[derive(Clone, Debug, PartialEq)]
pub struct VBucketLayout {
    /// Which.
    pub vb: Vbid,
    /// Its figures.
    pub info: VBucketInfo,
    /// Its state.
    pub state: Option<VBucketState>,
    /// The epochs its records have, with the highest seqno that counts where that is bounded. The last is the one that
    /// is written.
    pub epochs: Vec<(u32, Option<Seqno>)>,
    /// The highest seqno of each collection, by its id.
    pub collections: Vec<(u32, Seqno)>,
    /// Bytes of records that it needs.
    pub live_bytes: u64,
    /// Tombstones that were purged, and hide an older record until that is gone.
    pub hidden: u64,
    /// Its records that nobody needs any more.
    pub stale_records: u64,
}

/// An index image's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageLayout {
    /// Which.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Up to which append it knows everything; `None` if opening the store would not use it.
    pub last_append: Option<u64>,
    /// Keys it has.
    pub keys: u64,
    /// Uses of segments it knows.
    pub segments: u64,
    /// Of these, the ones that go on: opening the store need not read them.
    pub segments_current: u64,
}

/// A store.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLayout {
    /// Bytes of a segment.
    pub segment_bytes: u32,
    /// Segments of a file.
    pub segments_per_file: u32,
    /// Bytes of the log files.
    pub file_bytes: u64,
    /// Log files.
    pub files: u64,
    /// Bytes that somebody needs.
    pub live_bytes: u64,
    /// The rest of the segments in use.
    pub dead_bytes: u64,
    /// Bytes of the segments that are free or were never used.
    pub free_bytes: u64,
    /// The highest number of an append.
    pub last_append: u64,
    /// Appends up to there were settled when the last one was written.
    pub settled_append: u64,
    /// By number.
    pub segments: Vec<SegmentLayout>,
    /// By number.
    pub vbuckets: Vec<VBucketLayout>,
    /// Newest first: opening the store goes by the first that it can use.
    pub images: Vec<ImageLayout>,
}

pub(super) fn of(
    source: &Source,
    survey: &Survey,
    contents: &BTreeMap<Vbid, Contents>,
    images: &[ImageFile],
) -> LogLayout {
    let mut live: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for at in contents.values().flat_map(Contents::references) {
        // A large record's pieces live as long as it does.
        let Some(found) = survey.segments.get(&at.segment) else {
            continue;
        };
        let mut left = u64::from(at.len);
        let pieces = std::iter::once(&found.segment).chain(found.segment.rest());
        for piece in pieces {
            let room = u64::from(piece.bytes - crate::logstor::frame::HEADER_BYTES);
            let (bytes, records) = live.entry(piece.id).or_default();
            *bytes += left.min(room);
            *records += 1;
            left = left.saturating_sub(room);
        }
    }
    let segments: Vec<SegmentLayout> = survey
        .segments
        .values()
        .map(|found| {
            segment(
                source,
                found,
                live.get(&found.segment.id).copied().unwrap_or_default(),
            )
        })
        .collect();
    let geometry = source.sketch.geometry;
    let segment_bytes = u64::from(geometry.segment_bytes);
    let file_bytes = source.files.iter().map(|file| file.bytes).sum();
    let used = segments
        .iter()
        .filter(|segment| segment.kind.is_used())
        .count() as u64
        * segment_bytes;
    let live_bytes = segments.iter().map(|segment| segment.live_bytes).sum();
    LogLayout {
        segment_bytes: geometry.segment_bytes,
        segments_per_file: geometry.segments_per_file,
        file_bytes,
        files: source.files.len() as u64,
        live_bytes,
        dead_bytes: used.saturating_sub(live_bytes),
        free_bytes: file_bytes - used.min(file_bytes),
        last_append: survey.number_max,
        settled_append: survey.stable,
        segments,
        vbuckets: contents
            .iter()
            .map(|(&vb, contents)| vbucket(source, vb, contents))
            .collect(),
        images: images.iter().map(|image| image.layout(survey)).collect(),
    }
}

fn segment(
    source: &Source,
    found: &Found,
    (live_bytes, live_records): (u64, u64),
) -> SegmentLayout {
    let Found {
        segment,
        is_free,
        kind,
        frames,
        records,
        end,
        is_damaged,
        epochs,
        ..
    } = found;
    let is_known = segment.generation != 0;
    let kind = match kind {
        Some(FrameKind::Commit) => SegmentKind::Commits,
        Some(FrameKind::Moved) => SegmentKind::Moved,
        Some(FrameKind::Large) => SegmentKind::Large,
        // In use, though nothing in it counts.
        None if !is_free => SegmentKind::Commits,
        _ if is_known => SegmentKind::Free,
        _ => SegmentKind::Unused,
    };
    let mut owners: Vec<Vbid> = epochs
        .iter()
        .filter_map(|&epoch| source.vbucket_of(epoch))
        .collect();
    owners.sort_unstable();
    owners.dedup();
    SegmentLayout {
        id: segment.id,
        path: segment.file.path.clone(),
        offset: segment.base,
        kind,
        generation: is_known.then_some(segment.generation),
        frames: *frames,
        records: *records,
        used_bytes: *end,
        live_bytes,
        live_records,
        owners,
        damaged: *is_damaged,
    }
}

fn vbucket(source: &Source, vb: Vbid, contents: &Contents) -> VBucketLayout {
    let lineage = source
        .sketch
        .vbuckets
        .get(&vb.0)
        .map(|entry| &entry.lineage);
    let epochs = lineage.into_iter().flat_map(|lineage| lineage.caps());
    VBucketLayout {
        vb,
        info: contents.info,
        state: contents.state.clone(),
        epochs: epochs.map(|(epoch, cap)| (epoch, cap.map(Seqno))).collect(),
        collections: contents
            .highs
            .iter()
            .map(|(collection, seqno)| (collection, Seqno(seqno)))
            .collect(),
        live_bytes: contents.live_bytes(),
        hidden: contents.rows.iter().filter(|row| row.hidden).count() as u64,
        stale_records: contents.stale_records,
    }
}
