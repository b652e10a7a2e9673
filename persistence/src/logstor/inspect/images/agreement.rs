//! Whether an image says what the records say: an image and a survey go in, what is otherwise comes out.
//!
//! Always: only uses that go on are compared, and only vBuckets that were not rolled back since: opening the store goes by
//! nothing else. Of a section one difference is told.

use std::collections::{BTreeMap, BTreeSet};

use crate::logstor::frame::FrameKind;
use crate::logstor::highs::CollectionHighs;
use crate::logstor::image::{Contents, Covered, Image, Row, Section};
use crate::logstor::segment::Location;

use super::super::source::Source;
use super::super::survey::{self, Record, Survey};
use super::is_current;

pub(super) struct Agreement<'a> {
    source: &'a Source,
    survey: &'a Survey,
    /// By segment: what the image covers of uses that go on.
    covered: BTreeMap<u32, &'a Covered>,
    /// By vBucket, ascending by fingerprint: what it covers and counts.
    records: BTreeMap<u16, Vec<Record>>,
    /// By vBucket: what counts, covered or not.
    highs: BTreeMap<u16, CollectionHighs>,
}

impl<'a> Agreement<'a> {
    pub(super) fn new(source: &'a Source, survey: &'a Survey, image: &'a Image) -> Self {
        let covered = image
            .directory
            .segments
            .iter()
            .filter(|covered| is_current(survey, covered));
        let mut agreement = Self {
            source,
            survey,
            covered: covered.map(|covered| (covered.segment, covered)).collect(),
            records: BTreeMap::new(),
            highs: BTreeMap::new(),
        };
        for record in &survey.records {
            let Some(vb) = source.vbucket_of(record.epoch) else {
                continue;
            };
            let entry = source.sketch.vbuckets.get(&vb.0);
            let counts =
                entry.is_some_and(|entry| entry.lineage.contains(record.epoch, record.seqno));
            if !counts {
                continue;
            }
            if let Some(collection) = record.collection {
                agreement
                    .highs
                    .entry(vb.0)
                    .or_default()
                    .take_in(collection, record.seqno);
            }
            if agreement.covers(record.at).is_some() {
                agreement.records.entry(vb.0).or_default().push(*record);
            }
        }
        for records in agreement.records.values_mut() {
            records.sort_unstable_by_key(|record| (record.fingerprint, record.seqno));
        }
        agreement
    }

    fn covers(&self, at: Location) -> Option<&Covered> {
        self.covered
            .get(&at.segment)
            .copied()
            .filter(|covered| at.offset < covered.bytes)
    }

    /// What it says of segments otherwise, a line each.
    pub(super) fn segments(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for covered in self.covered.values() {
            let Some(found) = self.survey.segments.get(&covered.segment) else {
                continue;
            };
            let kind = match covered.contents {
                Contents::Commits => FrameKind::Commit,
                Contents::Moved => FrameKind::Moved,
                Contents::Large(_) => FrameKind::Large,
            };
            let is_large = kind == FrameKind::Large;
            let ends_before =
                covered.bytes > found.end || (covered.is_closed && covered.bytes < found.end);
            if found.kind != Some(kind) || (ends_before && !is_large) {
                let (bytes, end) = (covered.bytes, found.end);
                wrong.push(format!(
                    "it knows {bytes} bytes of segment {}, whose frames end at {end}",
                    covered.segment
                ));
            }
        }
        let records = self
            .survey
            .records
            .iter()
            .map(|record| (record.epoch, record.at));
        let states = self
            .survey
            .states
            .iter()
            .map(|state| (state.epoch, state.at));
        let lacks = |(epoch, at): &(u32, Location)| {
            self.covers(*at)
                .is_some_and(|covered| covered.epochs.binary_search(epoch).is_err())
        };
        let lacking = records
            .chain(states)
            .filter(lacks)
            .map(|(epoch, at)| (at.segment, epoch));
        for (segment, epoch) in lacking.collect::<BTreeSet<_>>() {
            wrong.push(format!(
                "it does not know of epoch {epoch} in segment {segment}"
            ));
        }
        wrong
    }

    /// What it says of a vBucket otherwise.
    pub(super) fn section(&mut self, section: &Section, rows: &[Row]) -> Option<String> {
        let entry = self.source.sketch.vbuckets.get(&section.vb)?;
        if entry.lineage != section.lineage {
            return None;
        }
        let records = self.records.remove(&section.vb).unwrap_or_default();
        let highs = self.highs.remove(&section.vb).unwrap_or_default();
        if !section.highs.is_between(&survey::highs(&records), &highs) {
            return Some("it has other highest seqnos of collections".to_owned());
        }
        let mut left = records.as_slice();
        for row in rows {
            let before = left.partition_point(|record| record.fingerprint < row.fingerprint);
            let upto = left.partition_point(|record| record.fingerprint <= row.fingerprint);
            if before > 0 {
                break;
            }
            let (of_key, rest) = left.split_at(upto);
            left = rest;
            if !self.is_so(row, of_key) {
                return Some(format!(
                    "it names seqno {}, which is not what the records say",
                    row.seqno
                ));
            }
        }
        if let Some(record) = left.first() {
            return Some(format!("it lacks the key of seqno {}", record.seqno));
        }
        (!self.state_is_so(section)).then(|| "it has another state".to_owned())
    }

    /// Whether a row names the newest of a key's records, and counts the others.
    fn is_so(&self, row: &Row, of_key: &[Record]) -> bool {
        let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
        of_key
            .iter()
            .for_each(|record| *counts.entry(record.at.segment).or_default() += 1);
        if self.covered.contains_key(&row.at.segment) {
            let mut same = of_key.iter().filter(|record| record.at == row.at);
            let is_there =
                same.any(|record| (record.seqno, record.tombstone) == (row.seqno, row.tombstone));
            if !is_there {
                return false;
            }
            counts.entry(row.at.segment).and_modify(|count| *count -= 1);
            counts.retain(|_, count| *count > 0);
        }
        let told = row
            .others
            .iter()
            .filter(|run| self.covered.contains_key(&run.segment));
        let is_newest = of_key.last().is_none_or(|newest| newest.seqno <= row.seqno);
        is_newest && told.map(|run| (run.segment, run.records)).eq(counts)
    }

    /// Whether the state it has is the newest it covers, and there if its segment is.
    fn state_is_so(&self, section: &Section) -> bool {
        let epoch = section.lineage.epoch();
        let states = || {
            self.survey
                .states
                .iter()
                .filter(|state| state.epoch == epoch)
        };
        let newest = states()
            .filter(|state| self.covers(state.at).is_some())
            .map(|state| state.revision)
            .max();
        let Some(told) = &section.state else {
            return newest.is_none();
        };
        let is_same = states().any(|state| {
            (state.at, state.revision, state.high) == (told.at, told.revision, told.high)
        });
        newest <= Some(told.revision) && (is_same || !self.covered.contains_key(&told.at.segment))
    }
}
