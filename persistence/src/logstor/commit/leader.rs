//! The leader of a group: it writes the batches of all waiting calls, and enters them into the
//! indexes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lowtide_checkpoint::Seqno;
use lowtide_checkpoint::internal::{Invariant, checked_invariant};

use super::active_segment::ActiveSegment;
use super::encoded_batch::EncodedBatch;
use super::host::CommitHost;
use super::observer::CommitObserver;
use super::placement::{BatchPlaces, Placement};
use super::request::{CommitOutcome, CommitRequest};
use super::results::{Admitted, Results, repeat};
use crate::contract::{Committed, EngineError, EnginePoint};
use crate::disk::DiskErrorKind;
use crate::fault::{self, Fault};
use crate::logstor::format::to_u64;
use crate::logstor::index::Slot;
use crate::logstor::log::{Log, SegmentPurpose};
use crate::logstor::vbucket::{CommittedChange, Registry};
use crate::sync::RwLock;

/// The call that commits for all that wait. It holds the active segment.
pub(super) struct Leader<'a> {
    pub(super) log: &'a Log,
    pub(super) registry: &'a Registry,
    pub(super) observer: &'a RwLock<Option<Arc<dyn CommitObserver>>>,
    pub(super) host: &'a dyn CommitHost,
    pub(super) active: &'a mut Option<ActiveSegment>,
}

/// A group that was not written.
struct Failed {
    error: EngineError,
    encoded: Vec<EncodedBatch>,
    /// Nothing was written: there is no space for all of it.
    had_no_room: bool,
}

impl<'a> Leader<'a> {
    /// Commits the batches of all requests, and sets their outcomes.
    pub(super) fn lead(&mut self, requests: &[Arc<CommitRequest>]) {
        let mut group = Vec::new();
        for request in requests {
            let batches = std::mem::take(&mut *request.batches.lock());
            if batches.iter().flatten().all(|batch| self.is_current(batch)) {
                group.push((request, batches));
            } else {
                *request.outcome.lock() = Some(CommitOutcome::Stale);
            }
        }
        self.log.context.counters.groups.add(1);
        let mut results = Results::default();
        let mut batches = Vec::new();
        for (call, (_, encoded)) in group.iter_mut().enumerate() {
            for (place, batch) in std::mem::take(encoded).into_iter().enumerate() {
                batches.extend(results.admit(call, place, batch));
            }
        }
        self.write(batches, &mut results);
        for ((request, _), results) in group.iter().zip(results.into_lists(group.len())) {
            *request.outcome.lock() = Some(CommitOutcome::Done(results));
        }
    }

    /// Returns whether a batch was encoded for the current index of its vBucket.
    fn is_current(&self, encoded: &EncodedBatch) -> bool {
        self.registry
            .writable(encoded.vbucket.vb)
            .is_some_and(|vbucket| Arc::ptr_eq(&vbucket, &encoded.vbucket))
    }

    /// Writes admitted batches: together, or one by one where there is no space for all of them.
    fn write(&mut self, batches: Vec<Admitted>, results: &mut Results) {
        if batches.is_empty() {
            return;
        }
        let (keys, encoded): (Vec<_>, Vec<_>) = batches.into_iter().unzip();
        match self.write_group(encoded) {
            Ok(committed) => keys
                .into_iter()
                .zip(committed)
                .for_each(|(key, done)| results.done(key, done)),
            Err(Failed {
                encoded,
                had_no_room: true,
                ..
            }) if encoded.len() > 1 => {
                for (key, one) in keys.into_iter().zip(encoded) {
                    let vb = one.vbucket.vb;
                    let result = match results.earlier_batch_failed(key, vb) {
                        Some(error) => Err(error),
                        None => self.write_one(one),
                    };
                    match result {
                        Ok(done) => results.done(key, done),
                        Err(error) => results.fail(key, vb, error),
                    }
                }
            }
            Err(Failed { error, encoded, .. }) => {
                for (key, one) in keys.into_iter().zip(&encoded) {
                    let vb = one.vbucket.vb;
                    let earlier = results.earlier_batch_failed(key, vb);
                    results.fail(key, vb, earlier.unwrap_or_else(|| repeat(&error)));
                }
            }
        }
    }

    fn write_one(&mut self, encoded: EncodedBatch) -> Result<Committed, EngineError> {
        let committed = self
            .write_group(vec![encoded])
            .map_err(|failed| failed.error)?;
        committed
            .first()
            .copied()
            .invariant("E10", "a batch that was written has a result")
            .map_err(|violation| self.log.context.internal(violation))
    }

    /// Writes batches with one append.
    fn write_group(&mut self, encoded: Vec<EncodedBatch>) -> Result<Vec<Committed>, Failed> {
        let (mut placement, places) = match self.place(&encoded) {
            Ok(placed) => placed,
            Err(error) => {
                let had_no_room = is_no_space(&error);
                return Err(Failed {
                    error,
                    encoded,
                    had_no_room,
                });
            }
        };
        if let Err(error) = self.log.append(&mut placement.frames) {
            placement.close_failed();
            *self.active = None;
            return Err(Failed {
                error,
                encoded,
                had_no_room: false,
            });
        }
        self.reached(EnginePoint::AfterWriteBeforeIndex);
        let written = placement.frames.bytes();
        let context = &self.log.context;
        context.counters.commits.add(to_u64(encoded.len()));
        let timestamps = encoded.iter().map(|batch| batch.timestamp);
        let latest = timestamps.max().unwrap_or(0);
        context.latest.fetch_max(latest, Ordering::Relaxed);
        placement.link_fragments();
        checked_invariant!(
            encoded.len() == places.len()
                && encoded
                    .iter()
                    .zip(&places)
                    .all(|(encoded, places)| placement.holds(encoded, places)),
            "L15",
            "the index names each record where it was written"
        );
        let enter_all = || {
            let batches = encoded.into_iter().zip(places);
            batches
                .map(|(encoded, places)| enter(encoded, &places))
                .collect()
        };
        let committed = if fault::is(Fault::ClosedBeforeItIsIndexed) {
            *self.active = placement.finish();
            enter_all()
        } else {
            let committed = enter_all();
            *self.active = placement.finish();
            committed
        };
        self.reached(EnginePoint::AfterIndexBeforeSeparate);
        self.host.relieve(written);
        Ok(committed)
    }

    /// Places a group, and makes space for it if there is none.
    fn place(
        &self,
        encoded: &[EncodedBatch],
    ) -> Result<(Placement<'a>, Vec<BatchPlaces>), EngineError> {
        let mut purpose = SegmentPurpose::Commit;
        loop {
            let mut placement = Placement::new(self.log, self.active.as_ref(), purpose);
            let error = match placement.place_all(encoded) {
                Ok(places) => return Ok((placement, places)),
                Err(error) => error,
            };
            placement.abandon();
            if !is_no_space(&error) {
                return Err(error);
            }
            if self.host.reclaim() {
                continue;
            }
            if purpose == SegmentPurpose::MakingRoom || !makes_room(encoded) {
                return Err(error);
            }
            purpose = SegmentPurpose::MakingRoom;
        }
    }

    /// Calls the observer at a point of the commit.
    fn reached(&self, point: EnginePoint) {
        // Cloned, so that the observer is called without the lock.
        let observer = self.observer.read().clone();
        if let Some(observer) = observer {
            observer.reached(point);
        }
    }
}

fn is_no_space(error: &EngineError) -> bool {
    matches!(error, EngineError::Disk(error) if error.kind == DiskErrorKind::NoSpace)
}

/// Returns whether a batch makes more space than it takes, or only deletes: a client may send it to
/// make space. Several batches are tried one by one.
fn makes_room(encoded: &[EncodedBatch]) -> bool {
    let [one] = encoded else { return false };
    let replaced = || {
        let rows = one.rows.iter();
        rows.map(|row| u64::from(one.vbucket.newest_bytes(row.fingerprint)))
            .sum::<u64>()
    };
    one.deletes_only || replaced() >= to_u64(one.bytes.len())
}

/// Enters a batch into its vBucket's index.
fn enter(encoded: EncodedBatch, places: &BatchPlaces) -> Committed {
    let slots = encoded.rows.iter().zip(&places.rows);
    let slots = slots.map(|(row, at)| Slot::new(row.fingerprint, row.seqno, *at, row.tombstone));
    let high = encoded
        .last
        .map_or_else(|| encoded.vbucket.high(), |last| last.0);
    let items = encoded.rows.len();
    encoded.vbucket.apply(CommittedChange {
        high,
        state: encoded.state,
        state_at: places.state,
        revision: places.revision,
        slots: slots.collect(),
        high_seqnos: encoded.high_seqnos,
    });
    Committed {
        high: Seqno(high),
        items,
    }
}
