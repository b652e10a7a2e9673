//! What a vBucket holds: records go in; the newest of each key, its state and its figures come out.
//!
//! Always: they are what opening the store would make of the same records, rows hidden by a purge included as long as an
//! older record of their key is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use lowtide_checkpoint::{Seqno, VBucketState, Vbid};

use crate::contract::VBucketInfo;
use crate::logstor::fingerprint::Fingerprint;
use crate::logstor::highs::CollectionHighs;
use crate::logstor::manifest::VBucketEntry;
use crate::logstor::segment::{Location, Segment};
use crate::logstor::state;

use super::finding::{LogFinding, LogFindingKind, LogObserver};
use super::source::Source;
use super::survey::{self, Record, StateRecord, Survey};

/// A key's newest record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct Row {
    pub(in crate::logstor) fingerprint: Fingerprint,
    pub(in crate::logstor) seqno: u64,
    pub(in crate::logstor) at: Location,
    pub(in crate::logstor) tombstone: bool,
    /// How many other records of the key are there, at most [`u16::MAX`].
    pub(in crate::logstor) stale: u16,
    /// Not shown, having been purged.
    pub(in crate::logstor) hidden: bool,
}

#[derive(Debug, Default)]
pub(in crate::logstor) struct Contents {
    pub(in crate::logstor) info: VBucketInfo,
    pub(in crate::logstor) state: Option<VBucketState>,
    /// Where that is, if not in the manifest.
    pub(in crate::logstor) state_at: Option<Location>,
    /// Ascending by seqno.
    pub(in crate::logstor) rows: Vec<Row>,
    /// By seqno: where rewriting that was cut short left other copies of a row's very record.
    pub(in crate::logstor) copies: BTreeMap<u64, Vec<Location>>,
    /// Records of it that nobody needs any more.
    pub(in crate::logstor) stale_records: u64,
    /// What the records say, those of hidden tombstones included.
    pub(in crate::logstor) highs: CollectionHighs,
}

/// Each vBucket's.
pub(super) fn of(
    source: &Source,
    survey: &Survey,
    observer: &mut dyn LogObserver,
) -> BTreeMap<Vbid, Contents> {
    let mut records: BTreeMap<Vbid, Vec<Record>> = BTreeMap::new();
    for record in &survey.records {
        if let Some(vb) = source.vbucket_of(record.epoch) {
            records.entry(vb).or_default().push(*record);
        }
    }
    let mut states: BTreeMap<u32, &StateRecord> = BTreeMap::new();
    for state in &survey.states {
        let order = |state: &StateRecord| (state.revision, state.number);
        if states
            .get(&state.epoch)
            .is_none_or(|known| order(known) < order(state))
        {
            states.insert(state.epoch, state);
        }
    }
    let entries = source.sketch.vbuckets.iter();
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
    source: &'a Source,
    survey: &'a Survey,
    vb: Vbid,
    entry: &'a VBucketEntry,
    observer: &'a mut dyn LogObserver,
}

impl Reader<'_> {
    fn contents(
        &mut self,
        mut records: Vec<Record>,
        newest_state: Option<&StateRecord>,
    ) -> Contents {
        let found = records.len() as u64;
        records.retain(|record| self.entry.lineage.contains(record.epoch, record.seqno));
        records.sort_unstable_by_key(|record| (record.fingerprint, record.seqno, record.number));
        self.compare_copies(&records);
        let (mut rows, mut copies) = (Vec::new(), BTreeMap::new());
        for key in records.chunk_by(|a, b| a.fingerprint == b.fingerprint) {
            let Some(newest) = key.last() else { continue };
            let stale = u16::try_from(key.len() - 1).unwrap_or(u16::MAX);
            let hidden = newest.tombstone && self.entry.purged.hides(newest.seqno);
            let older = key.iter().take(key.len() - 1);
            let is_copy = |of: &&Record| {
                (of.seqno, of.epoch, of.crc) == (newest.seqno, newest.epoch, newest.crc)
            };
            let places: Vec<Location> = older.filter(is_copy).map(|copy| copy.at).collect();
            if !places.is_empty() {
                copies.insert(newest.seqno, places);
            }
            // A hidden one that is its key's last record is needed no more.
            if !hidden || stale > 0 {
                let Record {
                    fingerprint,
                    seqno,
                    at,
                    tombstone,
                    ..
                } = *newest;
                rows.push(Row {
                    fingerprint,
                    seqno,
                    at,
                    tombstone,
                    stale,
                    hidden,
                });
            }
        }
        rows.sort_unstable_by_key(|row: &Row| row.seqno);
        let stale_records = found - rows.len() as u64;
        let highs = survey::highs(&records);
        let mut contents = Contents {
            rows,
            copies,
            stale_records,
            highs,
            ..Contents::default()
        };
        self.take_state(&mut contents, newest_state);
        self.seqnos(&contents);
        contents
    }

    /// Of one seqno there is one record, whatever number of copies.
    fn compare_copies(&mut self, records: &[Record]) {
        for pair in records.windows(2) {
            let [one, other] = pair else { continue };
            let is_copy = (one.fingerprint, one.seqno) == (other.fingerprint, other.seqno);
            if is_copy && one.crc != other.crc {
                let what = format!("differs from its copy in segment {}", one.at.segment);
                self.tell(LogFindingKind::Copies, other.at, other.seqno, what);
            }
        }
    }

    fn seqnos(&mut self, contents: &Contents) {
        for pair in contents.rows.windows(2) {
            let [one, other] = pair else { continue };
            if one.seqno == other.seqno {
                let what = format!(
                    "another key in segment {} has the same seqno",
                    one.at.segment
                );
                self.tell(LogFindingKind::Seqno, other.at, other.seqno, what);
            }
        }
        let high = contents.info.high.0;
        if let Some(last) = contents.rows.last().filter(|last| last.seqno > high) {
            let what = format!("above the vBucket's high seqno, {high}");
            self.tell(LogFindingKind::Seqno, last.at, last.seqno, what);
        }
    }

    fn take_state(&mut self, contents: &mut Contents, newest: Option<&StateRecord>) {
        let base = &self.entry.base;
        let high = match newest {
            Some(found) => {
                contents.state.clone_from(&found.state);
                contents.state_at = Some(found.at);
                found.high
            }
            None => {
                contents.state = base.state.as_deref().and_then(state::decode);
                if base.state.is_some() && contents.state.is_none() {
                    let path = self.source.dir().join(crate::logstor::manifest::NAME);
                    let what = "a vBucket's state can't be read";
                    let finding = LogFinding::of_file(LogFindingKind::State, &path, 0, what);
                    self.observer.found(finding.of_vbucket(self.vb));
                }
                base.high
            }
        };
        let count = |tombstone| {
            let shown = contents
                .rows
                .iter()
                .filter(|row| !row.hidden && row.tombstone == tombstone);
            shown.count() as u64
        };
        let (items, deleted) = (count(false), count(true));
        let told = contents
            .state
            .as_ref()
            .map_or(0, |state| state.purge_seqno.0)
            .max(self.entry.purged.upto);
        contents.info = VBucketInfo {
            high: Seqno(high),
            purge: Seqno(told),
            items,
            deleted,
        };
        if let Some(state) = &mut contents.state {
            state.purge_seqno = Seqno(told);
        }
    }

    fn tell(&mut self, kind: LogFindingKind, at: Location, seqno: u64, what: String) {
        let Some(found) = self.survey.segments.get(&at.segment) else {
            return;
        };
        let finding = LogFinding::in_segment(kind, &found.segment, at.offset, what);
        self.observer
            .found(finding.of_record(Some(self.vb), seqno, &[]));
    }
}

impl Contents {
    /// Whether a row's record, or a copy of it, is there.
    pub(in crate::logstor) fn has_at(&self, row: &Row, at: Location) -> bool {
        row.at == at
            || self
                .copies
                .get(&row.seqno)
                .is_some_and(|copies| copies.contains(&at))
    }

    /// Every record it needs.
    pub(in crate::logstor) fn references(&self) -> impl Iterator<Item = Location> {
        self.rows.iter().map(|row| row.at).chain(self.state_at)
    }

    /// Bytes of those records.
    pub(in crate::logstor) fn live_bytes(&self) -> u64 {
        self.references().map(|at| u64::from(at.len)).sum()
    }
}

/// The segment a record is in, told the reader of rows.
pub(super) fn segment_of(survey: &Survey, at: Location) -> Option<&Arc<Segment>> {
    survey.segments.get(&at.segment).map(|found| &found.segment)
}
