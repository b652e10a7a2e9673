//! The rebuilding of vBuckets from the surveyed records and the image. Every segment in use gets
//! its owner back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lowtide_checkpoint::Vbid;
use lowtide_checkpoint::internal::Invariant;

use super::log_survey::{Harm, LogSurvey, UsedSegment};
use crate::contract::EngineError;
use crate::failure::Damage;
use crate::logstor::format::{decode_state, to_u32};
use crate::logstor::index_image::{Image, LargeFragment, SegmentContents};
use crate::logstor::log::{
    Catalog, CatalogEntry, ClosedSegment, Log, Origin, ScannedRecord, ScannedState, Segment,
    scan_large_record,
};
use crate::logstor::vbucket::{Ancestors, ImageCoverage, InitialState, LazyIndex, VBucketIndex};

/// The vBuckets of a store, and the segments of unreadable ones.
#[derive(Debug, Default)]
pub(super) struct RebuiltVBuckets {
    pub(super) vbuckets: BTreeMap<Vbid, Arc<VBucketIndex>>,
    pub(super) quarantined: BTreeMap<Vbid, BTreeSet<u32>>,
}

/// Rebuilds all vBuckets, and adopts every segment in use.
///
/// # Errors
/// [`EngineError::Disk`]; [`EngineError::Corrupt`] if a large record lacks a fragment, or a state
/// can't be read.
pub(super) fn rebuild_vbuckets(
    log: &Arc<Log>,
    catalog: &Catalog,
    mut survey: LogSurvey,
    image: Option<&Arc<Image>>,
) -> Result<RebuiltVBuckets, EngineError> {
    let vb_of_epoch: BTreeMap<u32, u16> = catalog
        .vbuckets
        .iter()
        .flat_map(|(&vb, entry)| entry.lineage.epochs().map(move |epoch| (epoch, vb)))
        .collect();
    adopt_plain(log, &survey, &vb_of_epoch);
    let large = adopt_large(log, &survey)?;
    survey.records.extend(large);
    let mut records: BTreeMap<u16, Vec<ScannedRecord>> = BTreeMap::new();
    for run in std::mem::take(&mut survey.records).chunk_by(|a, b| a.epoch == b.epoch) {
        if let Some(vb) = run
            .first()
            .and_then(|record| vb_of_epoch.get(&record.epoch))
        {
            records.entry(*vb).or_default().extend_from_slice(run);
        }
    }
    let mut states: BTreeMap<u32, ScannedState> = BTreeMap::new();
    for state in std::mem::take(&mut survey.states) {
        if states
            .get(&state.epoch)
            .is_none_or(|known| state.is_after(known))
        {
            states.insert(state.epoch, state);
        }
    }
    let coverage = image.map(|image| Arc::new(coverage_of(image, &survey)));
    let mut all = RebuiltVBuckets::default();
    for (&vb, entry) in &catalog.vbuckets {
        let mut scanned = records.remove(&vb).unwrap_or_default();
        scanned.retain(|record| entry.lineage.contains(record.epoch, record.seqno));
        let state = states.remove(&entry.lineage.epoch());
        let newest = scanned.iter().max_by_key(|record| record.seqno).copied();
        let hash_key = log.context.hash_key;
        let uses = log.segments.uses();
        let lazy = LazyIndex::new(
            coverage.clone(),
            vb,
            entry.lineage.clone(),
            scanned,
            &uses,
            hash_key,
        );
        drop(uses);
        let is_its = |harm: &&Harm| {
            entry
                .lineage
                .epochs()
                .any(|epoch| harm.epochs.contains(&epoch))
        };
        let harms: Vec<&Harm> = survey.harms.iter().filter(is_its).collect();
        let initial = match harms.first() {
            Some(harm) => {
                let segments = lazy
                    .segments()
                    .into_iter()
                    .chain(state.map(|state| state.at.segment));
                let segments = segments.chain(harms.iter().map(|harm| harm.segment));
                all.quarantined.insert(Vbid(vb), segments.collect());
                InitialState {
                    damage: Some(harm.damage.clone()),
                    ..InitialState::default()
                }
            }
            None => {
                let begins = initial_state(log, entry, lazy, state)?;
                match lost_state(log, newest, begins.high)? {
                    None => begins,
                    Some(damage) => {
                        let segments = begins.lazy.map(|lazy| lazy.segments()).unwrap_or_default();
                        let state = begins.state_at.map(|at| at.segment);
                        all.quarantined
                            .insert(Vbid(vb), segments.into_iter().chain(state).collect());
                        InitialState {
                            damage: Some(damage),
                            ..InitialState::default()
                        }
                    }
                }
            }
        };
        let vbucket = VBucketIndex::new(
            Vbid(vb),
            entry.lineage.clone(),
            Arc::clone(log),
            Ancestors::default(),
            initial,
        );
        all.vbuckets.insert(Vbid(vb), Arc::new(vbucket));
    }
    Ok(all)
}

fn coverage_of(image: &Arc<Image>, survey: &LogSurvey) -> ImageCoverage {
    let covered = survey.used.values().filter_map(|used| {
        let covered = used.covered.clone()?;
        Some((used.segment.id, (Arc::clone(&used.segment), covered)))
    });
    ImageCoverage::new(Arc::clone(image), covered.collect())
}

fn adopt_plain(log: &Log, survey: &LogSurvey, vb_of_epoch: &BTreeMap<u32, u16>) {
    let mut owners: BTreeMap<u32, BTreeSet<u16>> = BTreeMap::new();
    let places = survey
        .records
        .iter()
        .map(|record| (record.epoch, record.at));
    let mut last = None;
    for (epoch, at) in places.chain(survey.states.iter().map(|state| (state.epoch, state.at))) {
        // Most records have the epoch of the one before.
        if last.replace((epoch, at.segment)) != Some((epoch, at.segment)) {
            owners
                .entry(at.segment)
                .or_default()
                .extend(vb_of_epoch.get(&epoch));
        }
    }
    for used in survey.used.values() {
        let contents = survey.contents(used);
        if matches!(contents, Some(SegmentContents::Large(_))) {
            continue;
        }
        let mut owners = owners.remove(&used.segment.id).unwrap_or_default();
        let covered = used.covered.iter().flat_map(|covered| &covered.epochs);
        owners.extend(covered.filter_map(|epoch| vb_of_epoch.get(epoch)));
        let closed = ClosedSegment {
            used: survey.end(used),
            origin: if contents == Some(SegmentContents::Moved) {
                Origin::Rewritten
            } else {
                Origin::Commits
            },
            owner: owners
                .first()
                .filter(|_| owners.len() == 1)
                .map(|&vb| Vbid(vb)),
            claimed: false,
        };
        log.segments.adopt(&used.segment, closed);
    }
}

/// Adopts the segments of large records, and links their fragments. Returns the records that the
/// image does not cover.
fn adopt_large(log: &Log, survey: &LogSurvey) -> Result<Vec<ScannedRecord>, EngineError> {
    let mut fragments: BTreeMap<(u64, u32), (&UsedSegment, LargeFragment)> = BTreeMap::new();
    for used in survey.used.values() {
        if let Some(SegmentContents::Large(fragment)) = survey.contents(used) {
            fragments.insert((fragment.append_seqno, fragment.part), (used, fragment));
        }
    }
    let mut records = Vec::new();
    for &(used, fragment) in fragments.values() {
        let LargeFragment {
            append_seqno,
            part,
            index,
            count,
        } = fragment;
        let segment = &used.segment;
        let of_record = |other: u32| {
            let first = part.checked_sub(index)?;
            fragments.get(&(append_seqno, first.checked_add(other)?))
        };
        if of_record(0).is_none_or(|(_, first)| first.index != 0) {
            // The record was freed, its first fragment before this one.
            log.segments.adopt(segment, closed(Origin::Commits, 0));
            continue;
        }
        log.segments.adopt(
            segment,
            closed(Origin::Large { first: index == 0 }, segment.bytes),
        );
        if index > 0 {
            continue;
        }
        let rest: Vec<Arc<Segment>> = (1..count)
            .map_while(of_record)
            .map(|(used, ..)| Arc::clone(&used.segment))
            .collect();
        if to_u32(rest.len()) + 1 != count {
            return Err(segment.corrupt(0, "a piece of a large record is missing"));
        }
        let is_harmed =
            survey.is_harmed(segment.id) || rest.iter().any(|segment| survey.is_harmed(segment.id));
        segment.set_rest(rest);
        if used.covered.is_none() && !is_harmed {
            records.push(scan_large_record(
                segment,
                append_seqno,
                log.context.hash_key,
            )?);
        }
    }
    Ok(records)
}

const fn closed(origin: Origin, used: u32) -> ClosedSegment {
    ClosedSegment {
        used,
        origin,
        owner: None,
        claimed: false,
    }
}

/// Detects a record above its vBucket's high seqno: the state that was written with it is lost. If
/// seqnos continued from there, the record would win over later ones.
fn lost_state(
    log: &Log,
    newest: Option<ScannedRecord>,
    high: u64,
) -> Result<Option<Damage>, EngineError> {
    let Some(record) = newest.filter(|record| record.seqno > high) else {
        return Ok(None);
    };
    // Without its place the damage would be passed over.
    let segment = log
        .segments
        .get(record.at.segment)
        .invariant("L18", "the segment of a scanned record is in use")
        .map_err(|violation| log.context.internal(violation))?;
    let what = format!(
        "a record of seqno {} is above its vBucket's high seqno, {high}",
        record.seqno
    );
    Damage::of(segment.corrupt(record.at.offset, &what)).map(Some)
}

/// Returns the initial state of a vBucket. Its index is loaded later.
fn initial_state(
    log: &Log,
    entry: &CatalogEntry,
    lazy: LazyIndex,
    scanned: Option<ScannedState>,
) -> Result<InitialState, EngineError> {
    let is_newest = |known: &ScannedState| {
        scanned
            .as_ref()
            .is_none_or(|scanned| known.is_after(scanned))
    };
    let known = lazy.state()?.filter(is_newest);
    let (bytes, high, revision, state_at) = match known.or(scanned) {
        Some(state) => (
            Some(state.bytes),
            state.high,
            state.revision,
            Some(state.at),
        ),
        None => (entry.start.state.clone(), entry.start.high, 0, None),
    };
    let corrupt = || EngineError::Corrupt {
        path: log.context.dir.clone(),
        offset: 0,
        what: "a vBucket's state can't be read".to_owned(),
    };
    let state = bytes
        .map(|bytes| decode_state(&bytes).map(Arc::new).ok_or_else(corrupt))
        .transpose()?;
    let purged = Arc::new(entry.purged.clone());
    let lazy = Some(lazy);
    Ok(InitialState {
        high,
        purged,
        state,
        state_at,
        revision,
        lazy,
        ..InitialState::default()
    })
}
