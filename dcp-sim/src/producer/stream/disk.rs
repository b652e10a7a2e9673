//! From a disk scan to a marker and items, and the hand-over to memory.
//!
//! This order leaves neither gap nor repeat (S9):
//!
//! 1. A cursor is registered. It holds everything in memory that is not on disk yet.
//! 2. The snapshot is pinned.
//! 3. The cursor moves behind the snapshot's highest seqno, in one step.
//!
//! Items that memory dropped before step 3 are in the snapshot, since nothing leaves memory before
//! it is on disk. Later items are held by the cursor. If the cursor was dropped in between, memory
//! may have dropped more. Another round then starts at the end of this snapshot.
//!
//! A client inside a snapshot that reaches further than the disk gets the rest from memory in the
//! same snapshot. Memory is read before the snapshot is announced, so its end is known (S20). The
//! same holds for a client that does not learn of invisible items, when the disk has a part of a
//! snapshot. That client waits until memory has all the rest, since only then is its last visible
//! item known (S33).

use lowtide_checkpoint::internal::{Invariant, Violation, violated};
use lowtide_checkpoint::{
    CheckpointError, ResumePoint, ResumeRequest, Seqno, SnapshotMarker, SnapshotType, State,
    VBucket, VBucketState, VbUuid, may_lack_purged,
};

use super::active_stream::ActiveStream;
use super::memory::end_of;
use super::outbox::Origin;
use super::progress::Standstill;
use super::stage::{Disk, Source, StreamContext, Survey};
use crate::fault::{self, Fault};
use crate::producer::backfill::{BackfillRead, BackfillScan};
use crate::producer::collections::Collections;
use crate::producer::error::ProducerError;
use crate::producer::session::{Options, ProducerLimits};
use crate::wire::{OpenFlags, StreamEndReason, StreamRequestFlags};

impl ActiveStream {
    /// Takes the outcome of a step: an opened scan or a slice. Returns `true` if the stream
    /// continues with the scan.
    pub(in crate::producer) fn take_read(
        &mut self,
        read: BackfillRead,
        vbucket: &VBucket,
        context: StreamContext<'_>,
    ) -> Result<bool, ProducerError> {
        let BackfillRead { scan, items, .. } = read;
        let StreamContext {
            options,
            limits,
            collections,
        } = context;
        self.steps_done += 1;
        match self.source {
            Source::Disk(Disk::Opening) => {
                if self.lacks_purged(scan.info().purge, collections) {
                    self.end(StreamEndReason::Rollback);
                    return Ok(false);
                }
                return self.opened(scan, vbucket, options);
            }
            Source::Disk(Disk::Reading) => {}
            // The stream ended, and its last message waits to be sent.
            Source::Over => return Ok(false),
            Source::Memory | Source::Exhausted | Source::Disk(_) => {
                return Err(violated("S11", "a step is of a stream that waits for it").into());
            }
        }
        if self.survey.is_some() {
            return self.surveyed(scan, &items, vbucket, options);
        }
        let omits_deletions = self.omits_deletions(options);
        for item in &items {
            let is_omitted = omits_deletions && item.deleted;
            let is_visible = !is_omitted && self.outbox.disk_item(item, options)?;
            if self.hidden.count(item, is_visible, limits) {
                self.report_progress(item.seqno);
            }
        }
        if !scan.is_done() {
            self.source = Source::Disk(Disk::Paused(scan));
            return Ok(true);
        }
        self.read = scan.high();
        self.outbox.close_snapshot(scan.high());
        let gathered = std::mem::take(&mut self.gathered);
        self.take_batches(&gathered, options)?;
        self.hand_over(vbucket)?;
        Ok(false)
    }

    /// Returns `true` if tombstones were purged from disk that the client has not seen and may
    /// need. It is the rule of the stream request, applied to the current disk.
    fn lacks_purged(&self, purge: Seqno, collections: Option<&Collections>) -> bool {
        let point = ResumePoint::whole(VbUuid(0), self.read);
        let ignore_purged = self
            .flags
            .contains(StreamRequestFlags::IGNORE_PURGED_TOMBSTONES);
        let request = ResumeRequest {
            ignore_purged,
            purge: self.client_purge,
            ..point.into()
        };
        let is_gone = self.seen_purge < purge && may_lack_purged(&request, purge);
        is_gone
            && !collections.is_some_and(|known| self.outbox.has_all_collections(known, self.read))
    }

    /// Announces the pinned snapshot and moves the cursor behind it.
    fn opened(
        &mut self,
        scan: BackfillScan,
        vbucket: &VBucket,
        options: &Options,
    ) -> Result<bool, ProducerError> {
        let high = scan.high();
        if high <= self.read {
            self.nothing_on_disk(vbucket)?;
            return Ok(false);
        }
        let rest = if options.collections {
            let partial_snapshot_end = self.partial_snapshot_of_active(&scan, vbucket);
            self.reach = partial_snapshot_end
                .filter(|_| !self.is_disk_only())
                .max(self.reach);
            self.rest_in_memory(&scan)
                .or(partial_snapshot_end.filter(|_| self.is_disk_only()))
        } else {
            self.reach = partial_snapshot_end_in_memory(&scan, vbucket).max(self.reach);
            if self.lacks_rest(&scan, vbucket) {
                return Ok(false);
            }
            None
        };
        let mut end = rest.unwrap_or(high);
        if !self.is_disk_only() {
            match self.register(vbucket, hand_over_point(high, vbucket)) {
                // The cursor was dropped, and memory dropped more than this snapshot has: another
                // round follows.
                Ok(registration) if registration.backfill => {
                    self.close(vbucket);
                    if self.reach.is_some_and(|reach| end < reach) {
                        self.source = Source::Disk(Disk::Wanted);
                        return Ok(false);
                    }
                }
                Ok(_) => {}
                Err(CheckpointError::NotQueuedYet { .. }) => {
                    self.end(StreamEndReason::Rollback);
                    return Ok(false);
                }
                Err(source) => {
                    return Err(ProducerError::Checkpoint {
                        vb: self.key.vb,
                        source,
                    });
                }
            }
        }
        if let Some(reach) = self.reach.take().filter(|&reach| end < reach) {
            self.gathered = self.gather(vbucket, Some(reach), options)?;
            if self.reach.is_some() {
                return Ok(false);
            }
            end = end_of(&self.gathered, reach);
        }
        if options.collections {
            self.announce_disk(&scan, end, options)?;
        } else {
            self.survey = Some(Survey::default());
        }
        self.source = Source::Disk(Disk::Paused(scan));
        Ok(true)
    }

    /// Checks the time. Returns `true` if the stream holds a disk scan and made no progress for too
    /// long.
    pub(in crate::producer) fn stands_still(&mut self, now: u64, limits: &ProducerLimits) -> bool {
        let waits_for_client = matches!(&self.source, Source::Disk(disk) if disk.is_paused());
        let before = self
            .standstill
            .take()
            .filter(|before| before.steps_done == self.steps_done && waits_for_client);
        if !waits_for_client {
            return false;
        }
        let standstill = before.unwrap_or(Standstill {
            steps_done: self.steps_done,
            since: now,
        });
        self.standstill = Some(standstill);
        // A clock that was set back only delays the end.
        now.saturating_sub(standstill.since) >= limits.standstill_nanos
    }

    /// Reports to the client that the scan reached `seqno`.
    pub(super) fn report_progress(&mut self, seqno: Seqno) {
        self.outbox.advance_to(seqno);
    }

    /// Announces the snapshot from disk, joined with memory up to `end`.
    pub(super) fn announce_disk(
        &mut self,
        scan: &BackfillScan,
        end: Seqno,
        options: &Options,
    ) -> Result<(), Violation> {
        let state = scan
            .state()
            .invariant("S1", "a commit with items has a state to announce")?;
        let origin = if end > scan.high() {
            Origin::Joined
        } else {
            Origin::Disk
        };
        let mut marker = marker(state, end, scan.info().purge);
        if self.state == State::Active {
            // A promoted copy's snapshot is complete although its last commit is older.
            marker.high_prepared_seqno = marker.high_prepared_seqno.max(Some(state.prepared_seqno));
        }
        self.outbox.announce(&marker, origin, options);
        Ok(())
    }

    /// Returns `true` if the client asked for no deletions in its initial backfill.
    pub(super) fn omits_deletions(&self, options: &Options) -> bool {
        self.start == Seqno::ZERO
            && options
                .flags
                .contains(OpenFlags::SKIP_DELETES_IN_INITIAL_BACKFILL)
    }

    /// Returns the end of the snapshot that this node receives, if it is committed in part. The
    /// rest comes from memory, and the snapshot is complete only with it (S14).
    fn rest_in_memory(&self, scan: &BackfillScan) -> Option<Seqno> {
        partial_snapshot_end(scan).filter(|_| self.state != State::Active)
    }

    /// Same as [`Self::rest_in_memory`], for a node that is active now. The part it had when it was
    /// promoted is all there is, and may be in memory only. A stream of the disk alone leaves its
    /// client inside the snapshot.
    fn partial_snapshot_of_active(&self, scan: &BackfillScan, vbucket: &VBucket) -> Option<Seqno> {
        partial_snapshot_end_in_memory(scan, vbucket).filter(|_| self.state == State::Active)
    }

    /// Returns `true` if the snapshot that the client needs is incomplete on disk and in memory. A
    /// client that does not learn of invisible items waits for the rest. A stream of the disk alone
    /// does not wait; it ends.
    fn lacks_rest(&mut self, scan: &BackfillScan, vbucket: &VBucket) -> bool {
        let needs_memory = self.reach.is_some_and(|reach| scan.high() < reach);
        let is_to_come =
            self.awaits_rest(vbucket) && (needs_memory || partial_snapshot_end(scan).is_some());
        if self.is_disk_only() && (needs_memory || is_to_come) {
            self.end(StreamEndReason::BackfillFailed);
        } else if is_to_come {
            self.source = Source::Disk(Disk::AwaitingRest);
        } else {
            return false;
        }
        true
    }

    /// Continues with memory when the disk has no unsent items. Ends the stream if memory does not
    /// have them either.
    fn nothing_on_disk(&mut self, vbucket: &VBucket) -> Result<(), ProducerError> {
        self.close(vbucket);
        self.hand_over(vbucket)?;
        if matches!(self.source, Source::Disk(_)) {
            self.end(StreamEndReason::BackfillFailed);
        }
        Ok(())
    }

    /// Continues with memory after the whole scan is in the outbox, unless the request was for the
    /// disk only.
    pub(super) fn hand_over(&mut self, vbucket: &VBucket) -> Result<(), ProducerError> {
        match self.cursor {
            _ if self.is_disk_only() => self.source = Source::Exhausted,
            Some(_) => self.source = Source::Memory,
            None => self.register_again(vbucket)?,
        }
        Ok(())
    }
}

/// Returns the seqno after which the cursor continues.
fn hand_over_point(high: Seqno, vbucket: &VBucket) -> Seqno {
    if fault::is(Fault::HandOverSkipsOne) {
        return high.next().min(vbucket.high_seqno());
    }
    high
}

/// Returns the end of a snapshot that is committed in part, if the scan ends inside it.
fn partial_snapshot_end(scan: &BackfillScan) -> Option<Seqno> {
    let high = scan.high();
    let state = scan.state()?;
    (state.snapshot_start <= high && high < state.snapshot_end).then_some(state.snapshot_end)
}

/// Same as [`partial_snapshot_end`], limited to what is in memory. Returns `None` if that is not
/// beyond the scan.
fn partial_snapshot_end_in_memory(scan: &BackfillScan, vbucket: &VBucket) -> Option<Seqno> {
    let end = partial_snapshot_end(scan)?.min(vbucket.high_seqno());
    (end > scan.high()).then_some(end)
}

fn marker(state: &VBucketState, end: Seqno, purge: Seqno) -> SnapshotMarker {
    SnapshotMarker {
        visible: Some(state.max_visible_seqno.min(end)),
        high_completed_seqno: Some(state.high_completed_seqno),
        high_prepared_seqno: Some(state.high_prepared_seqno),
        purge_seqno: Some(purge),
        ..SnapshotMarker::new(SnapshotType::Disk, Seqno::ZERO, end)
    }
}
