//! From records to branches: what a survey found goes in, with what the image knows; each vBucket's branch comes out, and
//! every segment knows again whose it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lowtide_checkpoint::Vbid;

use super::survey::{Harm, Survey, Used};
use crate::contract::EngineError;
use crate::logstor::branch::{Beginning, Branch, Known, Unloaded};
use crate::logstor::damage::Damage;
use crate::logstor::found::{self, FoundItem, FoundState};
use crate::logstor::image::{Contents, Image, Piece};
use crate::logstor::log::Log;
use crate::logstor::manifest::{Sketch, VBucketEntry};
use crate::logstor::segment::Segment;
use crate::logstor::segments::{Closed, Origin};
use crate::logstor::state;

/// vBuckets' branches, and the segments of those that can't be read.
#[derive(Debug, Default)]
pub(super) struct Branches {
    pub(super) branches: BTreeMap<Vbid, Arc<Branch>>,
    pub(super) aside: BTreeMap<Vbid, BTreeSet<u32>>,
}

/// Every vBucket's branch, and every segment that is in use in the table.
///
/// # Errors
/// [`EngineError::Disk`]; [`EngineError::Corrupt`] if a large record lacks a part, or a state can't be read.
pub(super) fn branches(
    log: &Arc<Log>,
    sketch: &Sketch,
    mut survey: Survey,
    image: Option<&Arc<Image>>,
) -> Result<Branches, EngineError> {
    let of_epoch: BTreeMap<u32, u16> = sketch
        .vbuckets
        .iter()
        .flat_map(|(&vb, entry)| entry.lineage.epochs().map(move |epoch| (epoch, vb)))
        .collect();
    adopt_plain(log, &survey, &of_epoch);
    let large = adopt_large(log, &survey)?;
    survey.items.extend(large);
    let mut items: BTreeMap<u16, Vec<FoundItem>> = BTreeMap::new();
    for run in std::mem::take(&mut survey.items).chunk_by(|a, b| a.epoch == b.epoch) {
        if let Some(vb) = run.first().and_then(|item| of_epoch.get(&item.epoch)) {
            items.entry(*vb).or_default().extend_from_slice(run);
        }
    }
    let mut states: BTreeMap<u32, FoundState> = BTreeMap::new();
    for state in std::mem::take(&mut survey.states) {
        if states
            .get(&state.epoch)
            .is_none_or(|known| state.is_after(known))
        {
            states.insert(state.epoch, state);
        }
    }
    let known = image.map(|image| Arc::new(known(image, &survey)));
    let mut all = Branches::default();
    for (&vb, entry) in &sketch.vbuckets {
        let mut found = items.remove(&vb).unwrap_or_default();
        found.retain(|item| entry.lineage.contains(item.epoch, item.seqno));
        let state = states.remove(&entry.lineage.epoch());
        let newest = found.iter().max_by_key(|item| item.seqno).copied();
        let hash_key = log.shared.hash_key;
        let table = log.segments.table();
        let unloaded = Unloaded::new(
            known.clone(),
            vb,
            entry.lineage.clone(),
            found,
            &table,
            hash_key,
        );
        drop(table);
        let is_its = |harm: &&Harm| {
            entry
                .lineage
                .epochs()
                .any(|epoch| harm.epochs.contains(&epoch))
        };
        let harms: Vec<&Harm> = survey.harms.iter().filter(is_its).collect();
        let beginning = match harms.first() {
            Some(harm) => {
                let segments = unloaded
                    .segments()
                    .into_iter()
                    .chain(state.map(|state| state.at.segment));
                let segments = segments.chain(harms.iter().map(|harm| harm.segment));
                all.aside.insert(Vbid(vb), segments.collect());
                Beginning {
                    damage: Some(harm.damage.clone()),
                    ..Beginning::default()
                }
            }
            None => {
                let begins = beginning(log, entry, unloaded, state)?;
                match lost_state(log, newest, begins.high)? {
                    None => begins,
                    Some(damage) => {
                        let segments = begins
                            .unloaded
                            .map(|unloaded| unloaded.segments())
                            .unwrap_or_default();
                        let state = begins.state_at.map(|at| at.segment);
                        all.aside
                            .insert(Vbid(vb), segments.into_iter().chain(state).collect());
                        Beginning {
                            damage: Some(damage),
                            ..Beginning::default()
                        }
                    }
                }
            }
        };
        let branch = Branch::new(
            Vbid(vb),
            entry.lineage.clone(),
            Arc::clone(log),
            None,
            beginning,
        );
        all.branches.insert(Vbid(vb), Arc::new(branch));
    }
    Ok(all)
}

fn known(image: &Arc<Image>, survey: &Survey) -> Known {
    let covered = survey.used.values().filter_map(|used| {
        let covered = used.covered.clone()?;
        Some((used.segment.id, (Arc::clone(&used.segment), covered)))
    });
    Known::new(Arc::clone(image), covered.collect())
}

fn adopt_plain(log: &Log, survey: &Survey, of_epoch: &BTreeMap<u32, u16>) {
    let mut owners: BTreeMap<u32, BTreeSet<u16>> = BTreeMap::new();
    let places = survey.items.iter().map(|item| (item.epoch, item.at));
    let mut last = None;
    for (epoch, at) in places.chain(survey.states.iter().map(|state| (state.epoch, state.at))) {
        // Most are of whom the one before is of.
        if last.replace((epoch, at.segment)) != Some((epoch, at.segment)) {
            owners
                .entry(at.segment)
                .or_default()
                .extend(of_epoch.get(&epoch));
        }
    }
    for used in survey.used.values() {
        let contents = survey.contents(used);
        if matches!(contents, Some(Contents::Large(_))) {
            continue;
        }
        let mut owners = owners.remove(&used.segment.id).unwrap_or_default();
        let covered = used.covered.iter().flat_map(|covered| &covered.epochs);
        owners.extend(covered.filter_map(|epoch| of_epoch.get(epoch)));
        let closed = Closed {
            used: survey.end(used),
            origin: if contents == Some(Contents::Moved) {
                Origin::Moved
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

/// Large records, whose pieces are put together. Those the image does not know.
fn adopt_large(log: &Log, survey: &Survey) -> Result<Vec<FoundItem>, EngineError> {
    let mut pieces: BTreeMap<(u64, u32), (&Used, Piece)> = BTreeMap::new();
    for used in survey.used.values() {
        if let Some(Contents::Large(piece)) = survey.contents(used) {
            pieces.insert((piece.number, piece.part), (used, piece));
        }
    }
    let mut items = Vec::new();
    for &(
        used,
        Piece {
            number,
            part,
            piece,
            pieces: count,
        },
    ) in pieces.values()
    {
        let segment = &used.segment;
        let of_record =
            |offset: u32| pieces.get(&(number, part.checked_sub(piece)?.checked_add(offset)?));
        if piece > part || of_record(0).is_none_or(|(_, first)| first.piece != 0) {
            // The record was freed, its first piece before this one.
            log.segments.adopt(segment, closed(Origin::Commits, 0));
            continue;
        }
        log.segments.adopt(
            segment,
            closed(Origin::Large { first: piece == 0 }, segment.bytes),
        );
        if piece > 0 {
            continue;
        }
        let rest: Vec<Arc<Segment>> = (1..count)
            .map_while(of_record)
            .map(|(used, ..)| Arc::clone(&used.segment))
            .collect();
        if rest.len() as u32 + 1 != count {
            return Err(segment.corrupt(0, "a piece of a large record is missing"));
        }
        let is_harmed =
            survey.is_harmed(segment.id) || rest.iter().any(|segment| survey.is_harmed(segment.id));
        segment.set_rest(rest);
        if used.covered.is_none() && !is_harmed {
            items.push(found::large(segment, count, number, log.shared.hash_key)?);
        }
    }
    Ok(items)
}

const fn closed(origin: Origin, used: u32) -> Closed {
    Closed {
        used,
        origin,
        owner: None,
        claimed: false,
    }
}

/// A record above the high seqno that its vBucket's state says: the state that was written with it is lost. Were seqnos given
/// anew from there, the record would win over what is written then.
fn lost_state(
    log: &Log,
    newest: Option<FoundItem>,
    high: u64,
) -> Result<Option<Damage>, EngineError> {
    let Some(item) = newest.filter(|item| item.seqno > high) else {
        return Ok(None);
    };
    let Some(segment) = log.segments.get(item.at.segment) else {
        return Ok(None);
    };
    let what = format!(
        "a record of seqno {} is above its vBucket's high seqno, {high}",
        item.seqno
    );
    Damage::of(segment.corrupt(item.at.offset, &what)).map(Some)
}

/// How a vBucket's branch begins: with its state; its index is loaded when it is needed.
fn beginning(
    log: &Log,
    entry: &VBucketEntry,
    unloaded: Unloaded,
    found: Option<FoundState>,
) -> Result<Beginning, EngineError> {
    let known = unloaded
        .state()?
        .filter(|known| found.as_ref().is_none_or(|found| known.is_after(found)));
    let (bytes, high, revision, state_at) = match known.or(found) {
        Some(state) => (
            Some(state.bytes),
            state.high,
            state.revision,
            Some(state.at),
        ),
        None => (entry.base.state.clone(), entry.base.high, 0, None),
    };
    let corrupt = || EngineError::Corrupt {
        path: log.shared.dir.clone(),
        offset: 0,
        what: "a vBucket's state can't be read".to_owned(),
    };
    let state = bytes
        .map(|bytes| state::decode(&bytes).map(Arc::new).ok_or_else(corrupt))
        .transpose()?;
    let purged = Arc::new(entry.purged.clone());
    let unloaded = Some(unloaded);
    Ok(Beginning {
        high,
        purged,
        state,
        state_at,
        revision,
        unloaded,
        ..Beginning::default()
    })
}
