//! From records to branches: what a survey found goes in, each vBucket's index comes out, and every segment knows again
//! whose it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use checkpoint::Vbid;

use super::survey::{FoundItem, FoundState, Survey, Used};
use crate::EngineError;
use crate::logstor::branch::{Beginning, Branch};
use crate::logstor::entry;
use crate::logstor::frame::{FrameKind, HEADER_BYTES};
use crate::logstor::index::Slot;
use crate::logstor::log::Log;
use crate::logstor::manifest::{Sketch, VBucketEntry};
use crate::logstor::segment::{Location, Segment};
use crate::logstor::segments::{Closed, Origin};
use crate::logstor::state;

/// Every vBucket's branch, and every segment that is in use in the table.
///
/// # Errors
/// [`EngineError::Disk`]; [`EngineError::Corrupt`] if a large record lacks a part, or a state can't be read.
pub(super) fn branches(
    log: &Arc<Log>,
    sketch: &Sketch,
    mut survey: Survey,
) -> Result<BTreeMap<Vbid, Arc<Branch>>, EngineError> {
    let mut owners: BTreeMap<u32, BTreeSet<u16>> = BTreeMap::new();
    let of_epoch: BTreeMap<u32, u16> = sketch
        .vbuckets
        .iter()
        .flat_map(|(&vb, entry)| entry.lineage.epochs().map(move |epoch| (epoch, vb)))
        .collect();
    let places = survey.items.iter().map(|item| (item.epoch, item.at));
    for (epoch, at) in places.chain(survey.states.iter().map(|state| (state.epoch, state.at))) {
        owners.entry(at.segment).or_default().extend(of_epoch.get(&epoch));
    }
    adopt_plain(log, &survey, &owners);
    let large = adopt_large(log, &survey)?;
    survey.items.extend(large);
    let mut items: BTreeMap<u16, Vec<FoundItem>> = BTreeMap::new();
    for item in std::mem::take(&mut survey.items) {
        if let Some(vb) = of_epoch.get(&item.epoch) {
            items.entry(*vb).or_default().push(item);
        }
    }
    let mut states: BTreeMap<u32, FoundState> = BTreeMap::new();
    for state in std::mem::take(&mut survey.states) {
        if states.get(&state.epoch).is_none_or(|known| known.revision < state.revision) {
            states.insert(state.epoch, state);
        }
    }
    let mut branches = BTreeMap::new();
    for (&vb, entry) in &sketch.vbuckets {
        let found = items.remove(&vb).unwrap_or_default();
        let beginning = beginning(log, entry, found, states.remove(&entry.lineage.epoch()))?;
        let branch = Branch::new(Vbid(vb), entry.lineage.clone(), Arc::clone(log), None, beginning);
        branches.insert(Vbid(vb), Arc::new(branch));
    }
    Ok(branches)
}

fn adopt_plain(log: &Log, survey: &Survey, owners: &BTreeMap<u32, BTreeSet<u16>>) {
    for used in survey.used.values() {
        let kind = survey.sound(used).map(|frame| frame.header.kind).next();
        if kind == Some(FrameKind::Large) {
            continue;
        }
        let end = survey.sound(used).map(|frame| frame.offset + frame.header.frame_bytes()).last();
        let owner = owners.get(&used.segment.id).filter(|owners| owners.len() == 1);
        let closed = Closed {
            used: end.unwrap_or(0),
            origin: if kind == Some(FrameKind::Moved) { Origin::Moved } else { Origin::Commits },
            owner: owner.and_then(|owners| owners.first().copied()).map(Vbid),
            claimed: false,
        };
        log.segments.adopt(&used.segment, closed);
    }
}

/// Large records, whose pieces are put together.
fn adopt_large(log: &Log, survey: &Survey) -> Result<Vec<FoundItem>, EngineError> {
    let mut pieces: BTreeMap<(u64, u32), (&Used, u32, u32)> = BTreeMap::new();
    for used in survey.used.values() {
        for frame in survey.sound(used).filter(|frame| frame.header.kind == FrameKind::Large) {
            let header = frame.header;
            pieces.insert((header.number, header.part), (used, header.piece, header.pieces));
        }
    }
    let mut items = Vec::new();
    for (&(number, part), &(used, piece, count)) in &pieces {
        let segment = &used.segment;
        let of_record = |offset: u32| pieces.get(&(number, (part - piece).wrapping_add(offset)));
        if piece > part || of_record(0).is_none_or(|(_, first, _)| *first != 0) {
            // The record was freed, its first piece before this one.
            log.segments.adopt(segment, closed(Origin::Commits, 0));
            continue;
        }
        log.segments.adopt(segment, closed(Origin::Large { first: piece == 0 }, segment.bytes));
        if piece > 0 {
            continue;
        }
        let rest: Vec<Arc<Segment>> =
            (1..count).map_while(of_record).map(|(used, ..)| Arc::clone(&used.segment)).collect();
        if rest.len() as u32 + 1 != count {
            return Err(segment.corrupt(0, "a piece of a large record is missing"));
        }
        segment.set_rest(rest);
        let corrupt = || segment.corrupt(HEADER_BYTES, "a damaged large record");
        let head = segment.read(HEADER_BYTES, 8)?;
        let len = head.get(4..).and_then(|len| len.first_chunk()).map_or(0, |len| u32::from_be_bytes(*len));
        let at = Location { segment: segment.id, offset: HEADER_BYTES, len };
        if u64::from(len) > u64::from(count) * u64::from(segment.bytes) {
            return Err(corrupt());
        }
        let record = segment.read_record(at)?;
        let peek = entry::peek(&record).ok_or_else(corrupt)?;
        let operation = peek.operation.ok_or_else(corrupt)?;
        let namespace = operation.namespace().ok_or_else(corrupt)?;
        items.push(FoundItem {
            epoch: peek.epoch,
            fingerprint: crate::logstor::fingerprint::Fingerprint::of(
                log.shared.hash_key,
                namespace,
                peek.key,
            ),
            seqno: peek.seqno,
            generation: segment.generation,
            at,
            tombstone: peek.tombstone,
            number,
        });
    }
    Ok(items)
}

const fn closed(origin: Origin, used: u32) -> Closed {
    Closed { used, origin, owner: None, claimed: false }
}

/// The newest record of each key; the others are counted.
fn beginning(
    log: &Log,
    entry: &VBucketEntry,
    mut found: Vec<FoundItem>,
    newest_state: Option<FoundState>,
) -> Result<Beginning, EngineError> {
    found.retain(|item| entry.lineage.contains(item.epoch, item.seqno));
    // Of the copies of a record any will do; that of the latest use is most likely to stay where it is.
    found.sort_unstable_by_key(|item| (item.fingerprint, item.seqno, item.generation));
    let mut slots: Vec<Slot> = Vec::with_capacity(found.len());
    for key in found.chunk_by(|a, b| a.fingerprint == b.fingerprint) {
        let Some(newest) = key.last() else { continue };
        let mut slot = Slot::new(newest.fingerprint, newest.seqno, newest.at, newest.tombstone);
        slot.stale = u16::try_from(key.len() - 1).unwrap_or(u16::MAX);
        slots.push(slot);
    }
    slots.sort_unstable_by_key(|slot| slot.seqno);
    let (bytes, high, revision, state_at) = match newest_state {
        Some(state) => (Some(state.bytes), state.high, state.revision, Some(state.at)),
        None => (entry.base.state.clone(), entry.base.high, 0, None),
    };
    let corrupt = || EngineError::Corrupt {
        path: log.shared.dir.clone(),
        offset: 0,
        what: "a vBucket's state can't be read".to_owned(),
    };
    let state = bytes.map(|bytes| state::decode(&bytes).map(Arc::new).ok_or_else(corrupt)).transpose()?;
    let purge = entry.purge;
    Ok(Beginning { high, purge, state, state_at, revision, slots, given_up: BTreeMap::new() })
}
