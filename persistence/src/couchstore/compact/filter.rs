//! The filter of a compaction: which rows are not copied.
//!
//! E12. The rules, in this order:
//! 1. The row with the vBucket's highest seqno stays in any case.
//! 2. A tombstone (including an aborted prepare) is purged if the request says so: by age, by
//!    seqno, or by both if both are given. It stays if it has its collection's highest seqno (E27),
//!    or if age decides and it has no time. A purged tombstone raises the purge seqno; nothing else
//!    does.
//! 3. A completed prepare is dropped.
//! 4. The host's filter judges the live rows that are left.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Item, Seqno};

use crate::contract::{
    CompactionFilter, CompactionReport, CompactionRequest, EngineError, Verdict,
};
use crate::couchstore::file::Source;
use crate::couchstore::format::{DocInfo, RevisionMeta, document};
use crate::couchstore::read::tombstones;

/// The rules of one compaction.
#[derive(Debug)]
pub(super) struct Rules {
    purge_before: Option<u32>,
    purge_upto: Option<Seqno>,
    filter: Option<Box<dyn CompactionFilter>>,
    high: Seqno,
    /// Highest seqno up to which prepares are committed or aborted.
    completed: Seqno,
    /// Highest tombstone purged so far.
    pub(super) purged: u64,
    /// For each collection the tombstone that is purged if another row of the collection follows.
    last: BTreeMap<u32, DocInfo>,
}

impl Rules {
    /// Makes the rules for a vBucket with this highest seqno and highest completed prepare.
    pub(super) fn new(request: CompactionRequest, high: Seqno, completed: Seqno) -> Self {
        let CompactionRequest {
            purge_before,
            purge_upto,
            filter,
        } = request;
        Self {
            purge_before,
            purge_upto,
            filter,
            high,
            completed,
            purged: 0,
            last: BTreeMap::new(),
        }
    }

    /// Returns whether a row is copied now, and counts it if not. Rows arrive in the order of their
    /// seqnos.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] if the filter must judge a row that cannot be read.
    pub(super) fn keeps(
        &mut self,
        source: &Source,
        info: &DocInfo,
        report: &mut CompactionReport,
    ) -> Result<bool, EngineError> {
        let collection = tombstones::collection(&info.id);
        if let Some(purged) = collection.and_then(|collection| self.last.remove(&collection)) {
            self.count_purged(&purged, report);
        }
        if info.seqno == self.high {
            return Ok(true);
        }
        if info.deleted {
            let purges = self.purges(info);
            match collection {
                Some(collection) if purges => {
                    self.last.insert(collection, info.clone());
                }
                None if purges => self.count_purged(info, report),
                _ => {}
            }
            return Ok(!purges);
        }
        if document::is_prepared(&info.id) && info.seqno <= self.completed {
            report.prepares_dropped += 1;
            return Ok(false);
        }
        let Some(filter) = &mut self.filter else {
            return Ok(true);
        };
        let item: Item = document::to_item(info, None).map_err(|what| {
            source.corrupt(
                info.body_position,
                format!("row of seqno {}: {what}", info.seqno),
            )
        })?;
        match filter.judge(&item) {
            Verdict::Keep => Ok(true),
            Verdict::Drop => {
                report.items_filtered += 1;
                Ok(false)
            }
            Verdict::Expire => {
                report.items_expired += 1;
                Ok(true)
            }
        }
    }

    /// Returns the tombstones that are copied after all, because no row of their collections
    /// followed.
    pub(super) fn take_kept(&mut self) -> impl Iterator<Item = DocInfo> + use<> {
        std::mem::take(&mut self.last).into_values()
    }

    fn count_purged(&mut self, tombstone: &DocInfo, report: &mut CompactionReport) {
        self.purged = self.purged.max(tombstone.seqno.0);
        report.tombstones_purged += 1;
    }

    fn purges(&self, info: &DocInfo) -> bool {
        if self.purge_before.is_none() && self.purge_upto.is_none() {
            return false;
        }
        let by_age = self.purge_before.is_none_or(|before| {
            RevisionMeta::decode(&info.rev_meta)
                .is_some_and(|meta| meta.time != 0 && meta.time < before)
        });
        by_age && self.purge_upto.is_none_or(|upto| info.seqno <= upto)
    }
}
