//! From a pinned snapshot to a marker and items, and the hand-over to memory.
//!
//! This order leaves neither gap nor repeat (S35):
//!
//! 1. The cursor is registered, and memory lacks the items after the reader's place.
//! 2. The snapshot is pinned. It has what memory dropped until now, since only durable items leave
//!    memory.
//! 3. The cursor moves behind the snapshot's highest seqno, in one step. A rollback since step 1 is
//!    noticed here (S37): then nothing of the snapshot is delivered.
//! 4. The snapshot is announced and read in slices. Then memory continues, or another backfill, if the
//!    cursor was dropped before step 3.

use lowtide_checkpoint::internal::Invariant;
use lowtide_checkpoint::{
    Item, ResumePoint, Seqno, SnapshotMarker, SnapshotType, State, VBucket, may_lack_purged,
};

use super::error::FollowerError;
use super::event::{FollowerEvent, FollowerItems, FollowerTurn};
use super::machine::{FollowerMachine, Stage};
use crate::contract::ScanLimit;
use crate::hosted::backfill::{BackfillRead, BackfillScan, BackfillStep};

impl FollowerMachine {
    /// Releases the pinned snapshot of a reader that takes its time. An engine cannot free what a
    /// snapshot holds. The follower continues at the same place, with another one. O(1).
    ///
    /// It does nothing while the host runs a step.
    pub fn release_disk(&mut self) {
        if matches!(self.stage, Stage::DiskPaused(_)) {
            self.markers.cut(self.read);
            self.stage = Stage::DiskWanted;
        }
    }

    /// Continues the backfill. Returns no turn if the reader has an event, or reads from elsewhere.
    pub(super) fn read_disk(
        &mut self,
        vbucket: &VBucket,
        slice: ScanLimit,
    ) -> Result<Option<FollowerTurn>, FollowerError> {
        if self.is_interrupted(vbucket)? {
            return Ok(None);
        }
        // After an error the next call begins with another snapshot.
        let is_opening = match std::mem::replace(&mut self.stage, Stage::DiskWanted) {
            Stage::DiskPaused(scan) => {
                self.steps += 1;
                self.stage = Stage::DiskReading;
                let step = BackfillStep::read(self.steps, scan, slice);
                return Ok(Some(FollowerTurn::Backfill(step)));
            }
            waiting @ (Stage::DiskOpening | Stage::DiskReading) if self.outcome.is_none() => {
                self.stage = waiting;
                return Ok(Some(FollowerTurn::Idle));
            }
            stage => matches!(stage, Stage::DiskOpening),
        };
        let rollbacks = self.subscription()?.noticed_rollbacks();
        let Some(outcome) = self.outcome.take() else {
            self.steps += 1;
            self.rollbacks_before = rollbacks;
            self.stage = Stage::DiskOpening;
            let step = BackfillStep::open(self.steps, self.vb, self.read);
            return Ok(Some(FollowerTurn::Backfill(step)));
        };
        if is_opening && rollbacks != self.rollbacks_before {
            // The reader is not affected, but the snapshot may be of the history that is gone (S37).
            return Ok(None);
        }
        match outcome.result {
            Ok(BackfillRead { scan, .. }) if is_opening => self.opened(scan, vbucket)?,
            Ok(BackfillRead { scan, items }) => self.take_slice(scan, items),
            Err(source) => {
                self.markers.cut(self.read);
                return Err(FollowerError::Engine {
                    vb: self.vb,
                    source,
                });
            }
        }
        Ok(None)
    }

    /// Handles a rollback or the end, if there was one. Returns whether there was.
    fn is_interrupted(&mut self, vbucket: &VBucket) -> Result<bool, FollowerError> {
        let interruption = self.subscription()?.interruption();
        let Some(event) = interruption.map_err(|source| self.checkpoint_error(source))? else {
            return Ok(false);
        };
        self.interrupted(&event, vbucket)?;
        Ok(true)
    }

    /// Announces the pinned snapshot, once the cursor stands behind it.
    fn opened(&mut self, scan: BackfillScan, vbucket: &VBucket) -> Result<(), FollowerError> {
        let purge = scan.info().purge;
        let place = ResumePoint::whole(self.branch, self.read);
        if may_lack_purged(&place.into(), purge) {
            // The reader may have documents whose tombstones are gone.
            self.resume_from(self.place);
            self.go_back(Seqno::ZERO);
            return Ok(());
        }
        let high = scan.high();
        if high <= self.read {
            self.disk_lacks_items = true;
            return self.continue_in_memory_after(self.read);
        }
        let skipped = self.subscription()?.skip_to(high);
        skipped.map_err(|source| self.checkpoint_error(source))?;
        // Of another history, or of a branch that the reader's place was not compared with.
        if self.is_interrupted(vbucket)? || self.is_on_another_branch(vbucket) {
            return Ok(());
        }
        let marker = self.disk_marker(&scan, vbucket)?;
        let marker = self.markers.for_disk(marker);
        self.events.extend(marker.map(FollowerEvent::Snapshot));
        self.stage = Stage::DiskPaused(scan);
        Ok(())
    }

    /// Queues the items of a slice.
    fn take_slice(&mut self, scan: BackfillScan, items: Vec<Item>) {
        if let Some(last) = items.last() {
            self.read = last.seqno;
            let items = FollowerItems::of_slice(items);
            self.events.push_back(FollowerEvent::Items(items));
        }
        if !scan.is_done() {
            self.stage = Stage::DiskPaused(scan);
            return;
        }
        self.read = scan.high();
        self.stage = Stage::Memory;
        if self.markers.is_whole(self.read) {
            self.queue_snapshot_end();
        } else {
            // Memory has the rest, under a marker of its own.
            self.markers.cut(self.read);
        }
    }

    /// Continues with memory after `seqno`, which the disk does not exceed.
    fn continue_in_memory_after(&mut self, seqno: Seqno) -> Result<(), FollowerError> {
        self.stage = Stage::Memory;
        let resumed = self.subscription()?.resume_from(seqno);
        resumed.map_err(|source| self.checkpoint_error(source))
    }

    /// Returns the marker of a pinned snapshot, up to the end of the snapshot that the vBucket itself
    /// has only in part on disk.
    fn disk_marker(
        &self,
        scan: &BackfillScan,
        vbucket: &VBucket,
    ) -> Result<SnapshotMarker, FollowerError> {
        let high = scan.high();
        let state = scan
            .state()
            .invariant("S36", "a commit with items has a state")
            .map_err(|violation| self.internal(violation))?;
        let is_active = vbucket.state() == State::Active;
        let is_partial = state.snapshot_start <= high && high < state.snapshot_end;
        let end = match state.snapshot_end {
            _ if !is_partial => high,
            // The part that it had when it was promoted is all there is, and may be in memory.
            end if is_active => end.min(vbucket.high_seqno()).max(high),
            end => end,
        };
        let snapshot_type = if self.read == Seqno::ZERO {
            SnapshotType::InitialDisk
        } else {
            SnapshotType::Disk
        };
        let prepared = if is_active {
            // A promoted copy's snapshot is complete although its last commit is older.
            state.high_prepared_seqno.max(state.prepared_seqno)
        } else {
            state.high_prepared_seqno
        };
        Ok(SnapshotMarker {
            visible: Some(state.max_visible_seqno.min(end)),
            high_completed_seqno: Some(state.high_completed_seqno),
            high_prepared_seqno: Some(prepared),
            purge_seqno: Some(scan.info().purge),
            may_repeat_keys: end > high,
            ..SnapshotMarker::new(snapshot_type, Seqno::ZERO, end)
        })
    }
}
