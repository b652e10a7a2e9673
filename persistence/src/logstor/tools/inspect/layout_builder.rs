//! The building of a store's layout from what was read.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Seqno, Vbid};

use super::image_files::ImageFile;
use super::layout::{ImageLayout, LogLayout, SegmentKind, SegmentLayout, VBucketLayout};
use super::source::StoreSource;
use super::survey::{SegmentSurvey, SurveyedSegment};
use super::vbucket_contents::VBucketContents;
use crate::logstor::format::{FrameKind, HEADER_BYTES, to_u64};

/// Builds the layout of a store.
pub(super) fn build_layout(
    source: &StoreSource,
    survey: &SegmentSurvey,
    contents: &BTreeMap<Vbid, VBucketContents>,
    images: &[ImageFile],
) -> LogLayout {
    let mut live: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for at in contents.values().flat_map(VBucketContents::references) {
        // Fragments of a large record are as live as the record.
        let Some(found) = survey.segments.get(&at.segment) else {
            continue;
        };
        let mut left = u64::from(at.len);
        let fragments = std::iter::once(&found.segment).chain(found.segment.rest());
        for fragment in fragments {
            let room = u64::from(fragment.bytes - HEADER_BYTES);
            let (bytes, records) = live.entry(fragment.id).or_default();
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
    let geometry = source.catalog.geometry;
    let segment_bytes = u64::from(geometry.segment_bytes);
    let file_bytes = source.files.iter().map(|file| file.bytes).sum();
    let used_segments = segments
        .iter()
        .filter(|segment| segment.kind.is_used())
        .count();
    let used = to_u64(used_segments) * segment_bytes;
    let live_bytes = segments.iter().map(|segment| segment.live_bytes).sum();
    LogLayout {
        segment_bytes: geometry.segment_bytes,
        segments_per_file: geometry.segments_per_file,
        file_bytes,
        files: to_u64(source.files.len()),
        live_bytes,
        dead_bytes: used.saturating_sub(live_bytes),
        free_bytes: file_bytes - used.min(file_bytes),
        last_append: survey.append_seqno_max,
        settled_append: survey.settled,
        segments,
        vbuckets: contents
            .iter()
            .map(|(&vb, contents)| vbucket(source, vb, contents))
            .collect(),
        images: images.iter().map(|file| image(survey, file)).collect(),
    }
}

fn segment(
    source: &StoreSource,
    found: &SurveyedSegment,
    (live_bytes, live_records): (u64, u64),
) -> SegmentLayout {
    let SurveyedSegment {
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

fn vbucket(source: &StoreSource, vb: Vbid, contents: &VBucketContents) -> VBucketLayout {
    let lineage = source
        .catalog
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
            .high_seqnos
            .iter()
            .map(|(collection, seqno)| (collection, Seqno(seqno)))
            .collect(),
        live_bytes: contents.live_bytes(),
        hidden: to_u64(contents.rows.iter().filter(|row| row.hidden).count()),
        stale_records: contents.stale_records,
    }
}

fn image(survey: &SegmentSurvey, file: &ImageFile) -> ImageLayout {
    let directory = file.image.as_ref().map(|image| &image.directory);
    let segments = || {
        directory
            .into_iter()
            .flat_map(|directory| &directory.segments)
    };
    let sections = directory
        .into_iter()
        .flat_map(|directory| &directory.sections);
    ImageLayout {
        path: file.path.clone(),
        bytes: file.bytes,
        last_append: directory.map(|directory| directory.append_seqno),
        keys: sections.map(|section| section.rows).sum(),
        segments: to_u64(segments().count()),
        segments_current: to_u64(
            segments()
                .filter(|covered| survey.is_current(covered))
                .count(),
        ),
    }
}
