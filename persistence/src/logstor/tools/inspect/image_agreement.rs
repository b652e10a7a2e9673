//! The agreement of an index image with the records of the log.
//!
//! # Invariants
//!
//! Only uses that go on are compared, and only vBuckets that were not rolled back since: opening
//! the store uses nothing else. Of each section one contradiction is reported.

use std::collections::{BTreeMap, BTreeSet};

use super::source::StoreSource;
use super::survey::{SegmentSurvey, SurveyedRecord, high_seqnos_of};
use crate::logstor::format::{CollectionHighSeqnos, FrameKind, Location};
use crate::logstor::index_image::{CoveredSegment, Image, ImageRow, ImageSection, SegmentContents};

/// The comparison of an image with a survey.
pub(super) struct ImageAgreement<'a> {
    source: &'a StoreSource,
    survey: &'a SegmentSurvey,
    /// Covered uses that go on, by segment.
    covered: BTreeMap<u32, &'a CoveredSegment>,
    /// Covered records that count, by vBucket, ascending by fingerprint.
    records: BTreeMap<u16, Vec<SurveyedRecord>>,
    /// Highest seqnos of all records that count, by vBucket.
    high_seqnos: BTreeMap<u16, CollectionHighSeqnos>,
}

impl<'a> ImageAgreement<'a> {
    pub(super) fn new(
        source: &'a StoreSource,
        survey: &'a SegmentSurvey,
        image: &'a Image,
    ) -> Self {
        let covered = image
            .directory
            .segments
            .iter()
            .filter(|covered| survey.is_current(covered));
        let mut agreement = Self {
            source,
            survey,
            covered: covered.map(|covered| (covered.segment, covered)).collect(),
            records: BTreeMap::new(),
            high_seqnos: BTreeMap::new(),
        };
        for record in &survey.records {
            let Some(vb) = source.vbucket_of(record.epoch) else {
                continue;
            };
            let entry = source.catalog.vbuckets.get(&vb.0);
            let counts =
                entry.is_some_and(|entry| entry.lineage.contains(record.epoch, record.seqno));
            if !counts {
                continue;
            }
            if let Some(collection) = record.collection {
                agreement
                    .high_seqnos
                    .entry(vb.0)
                    .or_default()
                    .insert(collection, record.seqno);
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

    fn covers(&self, at: Location) -> Option<&CoveredSegment> {
        self.covered
            .get(&at.segment)
            .copied()
            .filter(|covered| at.offset < covered.bytes)
    }

    /// Returns contradictions about segments, one line each.
    pub(super) fn segments(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for covered in self.covered.values() {
            let Some(found) = self.survey.segments.get(&covered.segment) else {
                continue;
            };
            let kind = match covered.contents {
                SegmentContents::Commits => FrameKind::Commit,
                SegmentContents::Moved => FrameKind::Moved,
                SegmentContents::Large(_) => FrameKind::Large,
            };
            let is_large = kind == FrameKind::Large;
            let ends_before =
                covered.bytes > found.end || (covered.is_closed && covered.bytes < found.end);
            if found.kind != Some(kind) || (ends_before && !is_large) {
                wrong.push(format!(
                    "it knows {} bytes of segment {}, whose frames end at {}",
                    covered.bytes, covered.segment, found.end
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

    /// Returns a contradiction about a vBucket, if there is one.
    pub(super) fn section(&mut self, section: &ImageSection, rows: &[ImageRow]) -> Option<String> {
        let entry = self.source.catalog.vbuckets.get(&section.vb)?;
        if entry.lineage != section.lineage {
            return None;
        }
        let records = self.records.remove(&section.vb).unwrap_or_default();
        let high_seqnos = self.high_seqnos.remove(&section.vb).unwrap_or_default();
        if !section
            .high_seqnos
            .is_between(&high_seqnos_of(&records), &high_seqnos)
        {
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
            if !self.is_row_right(row, of_key) {
                return Some(format!(
                    "it names seqno {}, which is not what the records say",
                    row.seqno
                ));
            }
        }
        if let Some(record) = left.first() {
            return Some(format!("it lacks the key of seqno {}", record.seqno));
        }
        (!self.is_state_right(section)).then(|| "it has another state".to_owned())
    }

    /// Returns whether a row locates the newest of a key's records, and counts the others.
    fn is_row_right(&self, row: &ImageRow, of_key: &[SurveyedRecord]) -> bool {
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
        let counted = row
            .others
            .iter()
            .filter(|run| self.covered.contains_key(&run.segment));
        let is_newest = of_key.last().is_none_or(|newest| newest.seqno <= row.seqno);
        is_newest && counted.map(|run| (run.segment, run.records)).eq(counts)
    }

    /// Returns whether its state is the newest covered one, and exists if its segment does.
    fn is_state_right(&self, section: &ImageSection) -> bool {
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
        let Some(known) = &section.state else {
            return newest.is_none();
        };
        let is_same = states().any(|state| {
            (state.at, state.revision, state.high) == (known.at, known.revision, known.high)
        });
        newest <= Some(known.revision) && (is_same || !self.covered.contains_key(&known.at.segment))
    }
}
