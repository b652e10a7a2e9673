//! The state machine: where the reader is, where its next items come from, and its next turn.

use std::collections::VecDeque;

use lowtide_checkpoint::internal::{Invariant, Violation, violated};
use lowtide_checkpoint::{
    CheckpointError, ResumePoint, Seqno, State, Subscription, SubscriptionEvent, VBucket,
    VBucketError, VbUuid, Vbid, WaitSet,
};

use super::error::FollowerError;
use super::event::{FollowerEvent, FollowerTurn};
use super::markers::{Markers, is_inside};
use crate::contract::ScanLimit;
use crate::hosted::backfill::{BackfillOutcome, BackfillScan};

/// One reader's place in the changes of a vBucket.
///
/// A host calls [`FollowerMachine::next`] until it is idle, and again when its number is raised in its
/// wait set or the outcome of a step has arrived. Dropping the follower removes its cursor and its
/// pinned snapshot.
#[derive(Debug)]
pub struct FollowerMachine {
    pub(super) vb: Vbid,
    name: String,
    wait_set: Option<(WaitSet, u64)>,
    /// Whether the branches are reported to the reader.
    announces_branches: bool,
    /// Place of a reader that has processed every event returned so far.
    pub(super) place: ResumePoint,
    /// Everything up to here is in events, returned or not.
    pub(super) read: Seqno,
    /// Newest branch of the vBucket when the reader's place was last compared with its history.
    pub(super) branch: VbUuid,
    pub(super) markers: Markers,
    /// Events in the order in which they are returned.
    pub(super) events: VecDeque<FollowerEvent>,
    /// `None` before the follower has subscribed at its place.
    pub(super) subscription: Option<Subscription>,
    pub(super) stage: Stage,
    /// Number of steps so far, which also names each of them.
    pub(super) steps: u64,
    /// Outcome of the step that the follower waits for.
    pub(super) outcome: Option<BackfillOutcome>,
    /// Rollbacks that were noticed before the snapshot was to be pinned.
    pub(super) rollbacks_before: u64,
    /// Whether the disk had nothing of the last backfill.
    pub(super) disk_lacks_items: bool,
}

/// Source of the next items.
#[derive(Debug)]
pub(super) enum Stage {
    Memory,
    /// A snapshot on disk is to be pinned.
    DiskWanted,
    /// The host runs the step that pins it.
    DiskOpening,
    /// The host reads a slice.
    DiskReading,
    /// The next slice is to be read.
    DiskPaused(BackfillScan),
    /// The vBucket no longer serves readers.
    Over(State),
}

impl FollowerMachine {
    /// Creates a follower of vBucket `vb` for a reader at `from`. `name` is that of its cursor: it
    /// replaces any consumer of that name.
    ///
    /// A new reader passes [`ResumePoint::START`], a returning one its last
    /// [`FollowerEvent::SnapshotEnd`] or [`FollowerMachine::resume_point`], of this copy or another.
    #[must_use]
    pub fn new(vb: Vbid, name: &str, from: ResumePoint) -> Self {
        Self {
            vb,
            name: name.to_owned(),
            wait_set: None,
            announces_branches: false,
            place: from,
            read: from.seqno,
            branch: from.uuid,
            markers: Markers::at(&from),
            events: VecDeque::new(),
            subscription: None,
            stage: Stage::Memory,
            steps: 0,
            outcome: None,
            rollbacks_before: 0,
            disk_lacks_items: false,
        }
    }

    /// Raises `number` in `set` whenever the follower may have something after it was idle.
    #[must_use]
    pub fn with_wait_set(mut self, set: WaitSet, number: u64) -> Self {
        self.wait_set = Some((set, number));
        self
    }

    /// Reports the branches of the history, which a copy must have.
    #[must_use]
    pub fn with_branches(mut self) -> Self {
        self.announces_branches = true;
        self
    }

    /// Returns the vBucket.
    #[must_use]
    pub fn vb(&self) -> Vbid {
        self.vb
    }

    /// Returns the place of a reader that has processed every event returned so far.
    ///
    /// It may be inside a snapshot. The reader, if it returns with this point, may then have to go back
    /// to where it was last whole.
    #[must_use]
    pub fn resume_point(&self) -> ResumePoint {
        self.place
    }

    /// Returns whether the next turn is an event that was read before.
    pub(crate) fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    /// Returns whether the follower waits for the outcome of a step.
    #[must_use]
    pub fn is_backfilling(&self) -> bool {
        matches!(self.stage, Stage::DiskOpening | Stage::DiskReading) && self.outcome.is_none()
    }

    /// Continues at `point`: the reader has discarded everything after it, by its own decision or
    /// because it is not whole at the seqno of a [`FollowerEvent::RolledBack`].
    pub fn resume_from(&mut self, point: ResumePoint) {
        self.subscription = None;
        self.stage = Stage::Memory;
        self.outcome = None;
        self.disk_lacks_items = false;
        self.move_to(point);
    }

    /// Takes the outcome of a step. The outcome of a step that the follower no longer waits for is
    /// dropped.
    pub fn backfilled(&mut self, outcome: BackfillOutcome) {
        let waits = matches!(self.stage, Stage::DiskOpening | Stage::DiskReading);
        if waits && outcome.id == self.steps {
            self.outcome = Some(outcome);
        }
    }

    /// Returns the next turn.
    ///
    /// `purge` is the seqno up to which tombstones are gone from the vBucket's store. A slice from disk
    /// holds about as much as `slice` says; an event from memory holds one checkpoint, which is not
    /// copied. O(1) for items from disk; a checkpoint is walked once, for changes of state in it.
    ///
    /// # Errors
    /// [`FollowerError`]. Nothing is lost: the next call tries again.
    pub fn next(
        &mut self,
        vbucket: &VBucket,
        purge: Seqno,
        slice: ScanLimit,
    ) -> Result<FollowerTurn, FollowerError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                self.record(&event);
                return Ok(FollowerTurn::Event(event));
            }
            if let Stage::Over(state) = self.stage {
                return Ok(FollowerTurn::Event(FollowerEvent::Ended(state)));
            }
            let turn = match (&self.subscription, &self.stage) {
                (None, _) => self.subscribe(vbucket, purge)?,
                (Some(_), Stage::Memory) => self.read_memory(vbucket)?,
                (Some(_), _) => self.read_disk(vbucket, slice)?,
            };
            if let Some(turn) = turn {
                return Ok(turn);
            }
        }
    }

    /// Records that the reader has the event.
    fn record(&mut self, event: &FollowerEvent) {
        match event {
            FollowerEvent::Items(items) => {
                let seqno = items.last_seqno();
                self.place = ResumePoint {
                    uuid: self.branch,
                    seqno,
                    snapshot_start: self.place.snapshot_start,
                    snapshot_end: self.markers.end().max(seqno),
                };
            }
            FollowerEvent::SnapshotEnd(point) => self.place = *point,
            _ => {}
        }
    }

    /// Subscribes at the reader's place, or has the reader go back first.
    fn subscribe(
        &mut self,
        vbucket: &VBucket,
        purge: Seqno,
    ) -> Result<Option<FollowerTurn>, FollowerError> {
        // Taken first: a branch that begins in between is noticed later.
        self.branch = vbucket.branch();
        match vbucket.subscribe(&self.name, self.place, purge) {
            Ok(subscription) => {
                if let Some((set, number)) = &self.wait_set {
                    subscription.join(set, *number);
                }
                self.subscription = Some(subscription);
                self.stage = Stage::Memory;
                self.move_to(self.place);
                if self.announces_branches {
                    let log = vbucket.failover_log();
                    self.events.push_back(FollowerEvent::Branches(log));
                }
            }
            Err(VBucketError::GoBack { to, .. }) => self.go_back(to),
            Err(VBucketError::WrongState { state, .. }) => self.end(state),
            Err(error) => return Err(error.into()),
        }
        Ok(None)
    }

    /// Subscribes again at the reader's place, if the vBucket has begun another branch since the last
    /// comparison. Returns whether it did: what was read last is not delivered (S37).
    pub(super) fn is_on_another_branch(&mut self, vbucket: &VBucket) -> bool {
        let is_another = vbucket.branch() != self.branch;
        if is_another {
            self.resume_from(self.place);
        }
        is_another
    }

    /// Handles an event of the subscription that delivers nothing.
    pub(super) fn interrupted(
        &mut self,
        event: &SubscriptionEvent,
        vbucket: &VBucket,
    ) -> Result<(), FollowerError> {
        match event {
            SubscriptionEvent::RolledBack(to) => self.rolled_back(*to, vbucket),
            SubscriptionEvent::Ended(state) => {
                self.end(*state);
                Ok(())
            }
            _ => Err(self.internal(violated("S35", "only a vBucket ends a follower"))),
        }
    }

    /// Goes back with the vBucket, which keeps its history up to `to`.
    fn rolled_back(&mut self, to: Seqno, vbucket: &VBucket) -> Result<(), FollowerError> {
        self.stage = Stage::Memory;
        self.outcome = None;
        self.disk_lacks_items = false;
        let branch = vbucket.branch();
        let end = if is_inside(&self.place) {
            self.place.snapshot_end
        } else {
            self.place.seqno
        };
        if end <= to {
            // Only items that were not delivered yet are gone.
            self.move_to(self.place);
        } else {
            self.go_back(to);
        }
        let seqno = self.place.seqno;
        let subscription = self.subscription()?;
        let resumed = subscription
            .resume_from(seqno)
            .and_then(|()| subscription.interruption());
        let interruption = resumed.map_err(|source| self.checkpoint_error(source))?;
        // The branch is the place's own, unless there was another rollback since. The one that the
        // place had may be lost with the rollback.
        if interruption.is_none() {
            (self.branch, self.place.uuid) = (branch, branch);
        }
        Ok(())
    }

    /// Has the reader go back to `to`, or further to where it was last whole.
    pub(super) fn go_back(&mut self, to: Seqno) {
        let whole = if is_inside(&self.place) {
            self.place.snapshot_start
        } else {
            self.place.seqno
        };
        let to = to.min(whole);
        self.move_to(ResumePoint::whole(self.place.uuid, to));
        self.events.push_back(FollowerEvent::RolledBack { to });
    }

    fn end(&mut self, state: State) {
        self.subscription = None;
        self.outcome = None;
        self.stage = Stage::Over(state);
    }

    fn move_to(&mut self, place: ResumePoint) {
        self.place = place;
        self.read = place.seqno;
        self.markers = Markers::at(&place);
        self.events.clear();
    }

    pub(super) fn subscription(&mut self) -> Result<&mut Subscription, FollowerError> {
        let vb = self.vb;
        self.subscription
            .as_mut()
            .invariant("S35", "a follower that reads has a cursor")
            .map_err(|violation| FollowerError::internal(vb, violation))
    }

    pub(super) fn checkpoint_error(&self, source: CheckpointError) -> FollowerError {
        FollowerError::Checkpoint {
            vb: self.vb,
            source,
        }
    }

    pub(super) fn internal(&self, violation: Violation) -> FollowerError {
        FollowerError::internal(self.vb, violation)
    }
}
