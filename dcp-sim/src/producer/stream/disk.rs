//! From a scan of the disk to a marker and items, and the hand-over to memory.
//!
//! The order that leaves neither gap nor repeat (S9): a cursor is registered first and holds in memory whatever is not on
//! disk yet; then the snapshot is pinned; then, in one step, the cursor stands after the snapshot's highest seqno. What
//! memory gave up before that is in the snapshot, since nothing leaves memory that is not on disk; what comes after it
//! the cursor holds. If the cursor was dropped in between, memory may have given up more: then there is another round,
//! from the end of this snapshot. A client inside a snapshot that reaches further than the disk gets the rest of it from
//! memory in the same snapshot: what memory has is read before the snapshot is announced, so that its end is known (S20).
//! So does a client that hears nothing of what it does not see, of a snapshot that the disk has in part: once memory has
//! all the rest of it, since only then is it known which is the last item that this client sees (S33).

use lowtide_checkpoint::{
    CheckpointError, ResumePoint, ResumeRequest, Seqno, SnapshotMarker, SnapshotType, State,
    VBucket, VBucketState, VbUuid, may_lack_purged,
};

use super::active_stream::ActiveStream;
use super::memory::end_of;
use super::outbox::Origin;
use super::progress::Standstill;
use super::stage::{Disk, Negotiated, Source, Survey};
use crate::fault::{self, Fault};
use crate::producer::backfill::{BackfillRead, BackfillScan};
use crate::producer::collections::Collections;
use crate::producer::error::ProducerError;
use crate::producer::session::{Options, ProducerLimits};
use crate::wire::{OpenFlags, StreamEndReason, StreamRequestFlags};

impl ActiveStream {
    /// The host has opened or read the scan. Returns whether the stream goes on with it.
    pub(in crate::producer) fn take_read(
        &mut self,
        read: BackfillRead,
        vbucket: &VBucket,
        at: Negotiated<'_>,
    ) -> Result<bool, ProducerError> {
        let BackfillRead { scan, items } = read;
        let Negotiated {
            options,
            limits,
            collections,
        } = at;
        self.moves += 1;
        match self.source {
            Source::Disk(Disk::Opening) => {
                if self.lacks_purged(scan.info().purge, collections) {
                    self.end(StreamEndReason::Rollback);
                    return Ok(false);
                }
                return self.opened(scan, vbucket, options);
            }
            Source::Disk(Disk::Reading) => {}
            _ => return Ok(false),
        }
        if self.survey.is_some() {
            return self.surveyed(scan, &items, vbucket, options);
        }
        let spares_deletes = self.spares_deletes(options);
        for item in &items {
            let is_spared = spares_deletes && item.deleted;
            let is_shown = !is_spared && self.outbox.disk_item(item, options)?;
            if self.hidden.note(item, is_shown, limits) {
                self.tell_progress(item.seqno);
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

    /// Whether tombstones are gone from the disk that the client has not seen and may need: the rule by which the stream was
    /// opened, of the disk as it is now.
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

    /// The snapshot is pinned: it is announced, and the cursor stands behind it.
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
            let half = self.half_on_disk(&scan, vbucket);
            self.reach = half.filter(|_| !self.is_disk_only()).max(self.reach);
            self.rest_in_memory(&scan)
                .or(half.filter(|_| self.is_disk_only()))
        } else {
            self.reach = known_end(&scan, vbucket).max(self.reach);
            if self.lacks_rest(&scan, vbucket) {
                return Ok(false);
            }
            None
        };
        let mut end = rest.unwrap_or(high);
        if !self.is_disk_only() {
            let after = if fault::is(Fault::HandOverSkipsOne) {
                high.next().min(vbucket.high_seqno())
            } else {
                high
            };
            match self.register(vbucket, after) {
                // Its cursor was dropped, and memory gave up more than this snapshot has: another round follows.
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
            self.announce_disk(&scan, end, options);
        } else {
            self.survey = Some(Survey::default());
        }
        self.source = Source::Disk(Disk::Paused(scan));
        Ok(true)
    }

    /// Takes the time. Returns whether it holds a scan of the disk and nothing of it has moved for too long.
    pub(in crate::producer) fn stands_still(&mut self, now: u64, limits: &ProducerLimits) -> bool {
        let waits_for_client = matches!(&self.source, Source::Disk(disk) if disk.is_paused());
        let before = self
            .standstill
            .take()
            .filter(|before| before.moves == self.moves && waits_for_client);
        if !waits_for_client {
            return false;
        }
        let standstill = before.unwrap_or(Standstill {
            moves: self.moves,
            since: now,
        });
        self.standstill = Some(standstill);
        now.saturating_sub(standstill.since) >= limits.standstill_nanos
    }

    /// The scan has come to that item, and nothing was sent for long.
    pub(super) fn tell_progress(&mut self, seqno: Seqno) {
        self.outbox.advance_to(seqno);
    }

    /// Announces what the disk has, and memory as far as it is joined with that.
    pub(super) fn announce_disk(&mut self, scan: &BackfillScan, end: Seqno, options: &Options) {
        if let Some(state) = scan.state() {
            let origin = if end > scan.high() {
                Origin::Joined
            } else {
                Origin::Disk
            };
            let mut marker = marker(state, end, scan.info().purge);
            if self.state == State::Active {
                // What a copy had when it was promoted is whole, though its last commit was made before.
                marker.high_prepared_seqno =
                    marker.high_prepared_seqno.max(Some(state.prepared_seqno));
            }
            self.outbox.announce(&marker, origin, options);
        }
    }

    /// Whether the client asked to be spared deletions where it has nothing that could be deleted.
    pub(super) fn spares_deletes(&self, options: &Options) -> bool {
        self.start == Seqno::ZERO
            && options
                .flags
                .contains(OpenFlags::SKIP_DELETES_IN_INITIAL_BACKFILL)
    }

    /// End of the snapshot that this node was receiving when it was committed in part: the rest of it comes from memory,
    /// and only with that it is a whole (S14).
    fn rest_in_memory(&self, scan: &BackfillScan) -> Option<Seqno> {
        half(scan).filter(|_| self.state != State::Active)
    }

    /// The same of one that is active now: what it had of that snapshot when it was promoted is all there will be of it, and
    /// may be in memory only. A stream of the disk alone leaves its client inside.
    fn half_on_disk(&self, scan: &BackfillScan, vbucket: &VBucket) -> Option<Seqno> {
        known_end(scan, vbucket).filter(|_| self.state == State::Active)
    }

    /// Whether the snapshot that the client needs is not there as a whole, in the scan and, unless the disk alone is wanted,
    /// in memory. A client that hears nothing of what it does not see waits for the rest. It does not wait with a stream
    /// of the disk alone, which ends.
    fn lacks_rest(&mut self, scan: &BackfillScan, vbucket: &VBucket) -> bool {
        let needs_memory = self.reach.is_some_and(|reach| scan.high() < reach);
        let is_to_come = self.awaits_rest(vbucket) && (needs_memory || half(scan).is_some());
        if self.is_disk_only() && (needs_memory || is_to_come) {
            self.end(StreamEndReason::BackfillFailed);
        } else if is_to_come {
            self.source = Source::Disk(Disk::Halved);
        } else {
            return false;
        }
        true
    }

    /// The disk has nothing that was not sent. If memory has not got it either, nobody has.
    fn nothing_on_disk(&mut self, vbucket: &VBucket) -> Result<(), ProducerError> {
        self.close(vbucket);
        self.hand_over(vbucket)?;
        if matches!(self.source, Source::Disk(_)) {
            self.end(StreamEndReason::BackfillFailed);
        }
        Ok(())
    }

    /// All of the scan is in the outbox: memory goes on, if that was asked for.
    pub(super) fn hand_over(&mut self, vbucket: &VBucket) -> Result<(), ProducerError> {
        match self.cursor {
            _ if self.is_disk_only() => self.source = Source::Exhausted,
            Some(_) => self.source = Source::Memory,
            None => self.stand_again(vbucket)?,
        }
        Ok(())
    }
}

/// Where the snapshot ends that was committed in part, if the scan ends inside one.
fn half(scan: &BackfillScan) -> Option<Seqno> {
    let (high, state) = (scan.high(), scan.state()?);
    (state.snapshot_start <= high && high < state.snapshot_end).then_some(state.snapshot_end)
}

/// The same, as far as memory has come, if that is further than the scan.
fn known_end(scan: &BackfillScan, vbucket: &VBucket) -> Option<Seqno> {
    let end = half(scan)?.min(vbucket.high_seqno());
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
