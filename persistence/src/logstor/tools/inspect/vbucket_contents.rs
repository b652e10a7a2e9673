//! The contents of a vBucket: the newest record of each key, its state and its figures.
//!
//! # Invariants
//!
//! They are what opening the store would make of the same records. Rows hidden by a purge are among
//! them as long as an older record of their key exists.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Seqno, VBucketState, Vbid};

use super::finding::{LogFinding, LogFindingKind, LogObserver};
use super::source::StoreSource;
use super::survey::{SegmentSurvey, SurveyedRecord, SurveyedState, high_seqnos_of};
use crate::contract::VBucketInfo;
use crate::logstor::format::{CollectionHighSeqnos, Fingerprint, Location, decode_state, to_u64};
use crate::logstor::log::{CatalogEntry, MANIFEST_NAME};

/// A key's newest record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct KeyRow {
    pub(in crate::logstor) fingerprint: Fingerprint,
    pub(in crate::logstor) seqno: u64,
    pub(in crate::logstor) at: Location,
    pub(in crate::logstor) tombstone: bool,
    /// Number of other records of the key, at most [`u16::MAX`].
    pub(in crate::logstor) other_copies: u16,
    /// It was purged, and is not shown.
    pub(in crate::logstor) hidden: bool,
}

/// The contents of a vBucket.
#[derive(Debug, Default)]
pub(in crate::logstor) struct VBucketContents {
    pub(in crate::logstor) info: VBucketInfo,
    pub(in crate::logstor) state: Option<VBucketState>,
    /// Location of the state's record; `None` if the state is in the manifest.
    pub(in crate::logstor) state_at: Option<Location>,
    /// Newest records, ascending by seqno.
    pub(in crate::logstor) rows: Vec<KeyRow>,
    /// Locations of copies of a row's record, by seqno. Interrupted rewriting leaves them.
    pub(in crate::logstor) copies: BTreeMap<u64, Vec<Location>>,
    /// Number of records that are not needed.
    pub(super) stale_records: u64,
    /// Highest seqnos of the collections, hidden tombstones included.
    pub(in crate::logstor) high_seqnos: CollectionHighSeqnos,
}

/// Determines the contents of all vBuckets.
pub(super) fn contents_of(
    source: &StoreSource,
    survey: &SegmentSurvey,
    observer: &mut dyn LogObserver,
) -> BTreeMap<Vbid, VBucketContents> {
    let mut records: BTreeMap<Vbid, Vec<SurveyedRecord>> = BTreeMap::new();
    for record in &survey.records {
        if let Some(vb) = source.vbucket_of(record.epoch) {
            records.entry(vb).or_default().push(*record);
        }
    }
    let mut states: BTreeMap<u32, &SurveyedState> = BTreeMap::new();
    for state in &survey.states {
        let order = |state: &SurveyedState| (state.revision, state.append_seqno);
        if states
            .get(&state.epoch)
            .is_none_or(|known| order(known) < order(state))
        {
            states.insert(state.epoch, state);
        }
    }
    let entries = source.catalog.vbuckets.iter();
    let contents = entries.map(|(&vb, entry)| {
        let vb = Vbid(vb);
        let mut one = Reader {
            source,
            survey,
            vb,
            entry,
            observer,
        };
        let state = states.get(&entry.lineage.epoch()).copied();
        (
            vb,
            one.contents(records.remove(&vb).unwrap_or_default(), state),
        )
    });
    contents.collect()
}

struct Reader<'a> {
    source: &'a StoreSource,
    survey: &'a SegmentSurvey,
    vb: Vbid,
    entry: &'a CatalogEntry,
    observer: &'a mut dyn LogObserver,
}

impl Reader<'_> {
    fn contents(
        &mut self,
        mut records: Vec<SurveyedRecord>,
        newest_state: Option<&SurveyedState>,
    ) -> VBucketContents {
        let found = to_u64(records.len());
        records.retain(|record| self.entry.lineage.contains(record.epoch, record.seqno));
        records
            .sort_unstable_by_key(|record| (record.fingerprint, record.seqno, record.append_seqno));
        self.compare_copies(&records);
        let mut rows = Vec::new();
        let mut copies = BTreeMap::new();
        for key in records.chunk_by(|a, b| a.fingerprint == b.fingerprint) {
            let Some(newest) = key.last() else { continue };
            let other_copies = u16::try_from(key.len() - 1).unwrap_or(u16::MAX);
            let hidden = newest.tombstone && self.entry.purged.hides(newest.seqno);
            let older = key.iter().take(key.len() - 1);
            let is_copy = |of: &&SurveyedRecord| {
                (of.seqno, of.epoch, of.crc) == (newest.seqno, newest.epoch, newest.crc)
            };
            let places: Vec<Location> = older.filter(is_copy).map(|copy| copy.at).collect();
            if !places.is_empty() {
                copies.insert(newest.seqno, places);
            }
            // A hidden tombstone that is its key's last record is not needed.
            if !hidden || other_copies > 0 {
                let SurveyedRecord {
                    fingerprint,
                    seqno,
                    at,
                    tombstone,
                    ..
                } = *newest;
                rows.push(KeyRow {
                    fingerprint,
                    seqno,
                    at,
                    tombstone,
                    other_copies,
                    hidden,
                });
            }
        }
        rows.sort_unstable_by_key(|row: &KeyRow| row.seqno);
        let stale_records = found - to_u64(rows.len());
        let high_seqnos = high_seqnos_of(&records);
        let mut contents = VBucketContents {
            rows,
            copies,
            stale_records,
            high_seqnos,
            ..VBucketContents::default()
        };
        self.take_state(&mut contents, newest_state);
        self.seqnos(&contents);
        contents
    }

    /// Reports records with one seqno that are not copies of each other.
    fn compare_copies(&mut self, records: &[SurveyedRecord]) {
        for pair in records.windows(2) {
            let [one, other] = pair else { continue };
            let is_copy = (one.fingerprint, one.seqno) == (other.fingerprint, other.seqno);
            if is_copy && one.crc != other.crc {
                let what = format!("differs from its copy in segment {}", one.at.segment);
                self.report(LogFindingKind::Copies, other.at, other.seqno, what);
            }
        }
    }

    fn seqnos(&mut self, contents: &VBucketContents) {
        for pair in contents.rows.windows(2) {
            let [one, other] = pair else { continue };
            if one.seqno == other.seqno {
                let what = format!(
                    "another key in segment {} has the same seqno",
                    one.at.segment
                );
                self.report(LogFindingKind::Seqno, other.at, other.seqno, what);
            }
        }
        let high = contents.info.high.0;
        if let Some(last) = contents.rows.last().filter(|last| last.seqno > high) {
            let what = format!("above the vBucket's high seqno, {high}");
            self.report(LogFindingKind::Seqno, last.at, last.seqno, what);
        }
    }

    fn take_state(&mut self, contents: &mut VBucketContents, newest: Option<&SurveyedState>) {
        let start = &self.entry.start;
        let high = match newest {
            Some(found) => {
                contents.state.clone_from(&found.state);
                contents.state_at = Some(found.at);
                found.high
            }
            None => {
                contents.state = start.state.as_deref().and_then(decode_state);
                if start.state.is_some() && contents.state.is_none() {
                    let path = self.source.dir().join(MANIFEST_NAME);
                    let what = "a vBucket's state can't be read";
                    let finding = LogFinding::of_file(LogFindingKind::State, &path, 0, what);
                    self.observer.found(finding.of_vbucket(self.vb));
                }
                start.high
            }
        };
        let count = |tombstone| {
            let shown = contents
                .rows
                .iter()
                .filter(|row| !row.hidden && row.tombstone == tombstone);
            to_u64(shown.count())
        };
        let items = count(false);
        let deleted = count(true);
        let purge_seqno = contents
            .state
            .as_ref()
            .map_or(0, |state| state.purge_seqno.0)
            .max(self.entry.purged.upto);
        contents.info = VBucketInfo {
            high: Seqno(high),
            purge: Seqno(purge_seqno),
            items,
            deleted,
        };
        if let Some(state) = &mut contents.state {
            state.purge_seqno = Seqno(purge_seqno);
        }
    }

    fn report(&mut self, kind: LogFindingKind, at: Location, seqno: u64, what: String) {
        let Some(found) = self.survey.segments.get(&at.segment) else {
            return;
        };
        let finding = LogFinding::in_segment(kind, &found.segment, at.offset, what);
        self.observer
            .found(finding.of_record(Some(self.vb), seqno, &[]));
    }
}

impl VBucketContents {
    /// Returns whether a row's record, or a copy of it, is at a location.
    pub(in crate::logstor::tools) fn has_at(&self, row: &KeyRow, at: Location) -> bool {
        row.at == at
            || self
                .copies
                .get(&row.seqno)
                .is_some_and(|copies| copies.contains(&at))
    }

    /// Returns the locations of all needed records.
    pub(in crate::logstor) fn references(&self) -> impl Iterator<Item = Location> {
        self.rows.iter().map(|row| row.at).chain(self.state_at)
    }

    /// Returns the bytes of those records.
    pub(in crate::logstor) fn live_bytes(&self) -> u64 {
        self.references().map(|at| u64::from(at.len)).sum()
    }
}
