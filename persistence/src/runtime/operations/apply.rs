//! Applying to a replica what a follower of another store has delivered.
//!
//! # Invariants
//!
//! - R12. What a follower delivers makes a replica an equal copy at the end of each snapshot, and its
//!   memory and its disk are a copy's at any moment (S38).

use lowtide_checkpoint::{
    FailoverLog, Item, ResumePoint, SnapshotMarker, SnapshotType, VBucketError, Vbid,
};

use crate::hosted::FollowerEvent;
use crate::runtime::command::OrElse;
use crate::runtime::error::StoreError;
use crate::runtime::partition::Partition;
use crate::runtime::store::Store;

/// The result of applying an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applied {
    /// It was applied, or needs nothing.
    Done,
    /// The replica went back to this point. Its follower continues from there
    /// ([`Follower::resume_from`](super::follow::Follower::resume_from)).
    WentBack(ResumePoint),
}

impl Store {
    /// Applies an event to a replica or pending vBucket.
    ///
    /// # Errors
    /// [`StoreError::VBucket`] if the vBucket is not a replica, or the event does not follow what it
    /// has; otherwise as [`Store::roll_back`]. A replica that cannot go back as far as a rollback asks
    /// begins again without data.
    pub fn apply(&self, vb: Vbid, event: &FollowerEvent) -> Result<Applied, StoreError> {
        match event {
            FollowerEvent::Branches(log) => self.apply_branches(vb, log)?,
            FollowerEvent::Snapshot(marker) => self.apply_marker(vb, *marker)?,
            FollowerEvent::Items(items) => self.apply_items(vb, items.iter())?,
            FollowerEvent::RolledBack { to } => {
                self.roll_back_or(vb, *to, OrElse::Reset)?;
                return Ok(Applied::WentBack(self.resume_point(vb)?));
            }
            FollowerEvent::SnapshotEnd(_)
            | FollowerEvent::StateChanged(_)
            | FollowerEvent::Ended(_) => {}
        }
        Ok(Applied::Done)
    }

    /// Returns the point from which a replica's follower continues: on another store, with
    /// [`Store::follow`].
    ///
    /// # Errors
    /// [`StoreError::UnknownVBucket`].
    pub fn resume_point(&self, vb: Vbid) -> Result<ResumePoint, StoreError> {
        Ok(self.shared.partition(vb)?.vbucket.resume_point())
    }

    /// Takes over the branches of the active that a replica follows. [`Store::apply`] does it.
    ///
    /// # Errors
    /// Same as [`Store::apply`].
    pub fn apply_branches(&self, vb: Vbid, log: &FailoverLog) -> Result<(), StoreError> {
        self.receive(vb, |partition, _| {
            let state = partition.vbucket.state();
            if state == lowtide_checkpoint::State::Active {
                return Err(VBucketError::WrongState { vb, state });
            }
            partition.vbucket.set_failover_log(log.clone());
            // It is committed even if no item follows.
            partition.vbucket.queue_current_state()
        })
    }

    /// Begins a snapshot on a replica. [`Store::apply`] does it.
    ///
    /// # Errors
    /// Same as [`Store::apply`].
    pub fn apply_marker(&self, vb: Vbid, marker: SnapshotMarker) -> Result<(), StoreError> {
        self.receive(vb, |partition, _| partition.vbucket.receive_marker(marker))
    }

    /// Takes items of the snapshot on a replica. [`Store::apply`] does it.
    ///
    /// # Errors
    /// Same as [`Store::apply`]. The items before the refused one were taken.
    pub fn apply_items<'a>(
        &self,
        vb: Vbid,
        items: impl IntoIterator<Item = &'a Item>,
    ) -> Result<(), StoreError> {
        self.receive(vb, |partition, documents| {
            for item in items {
                partition.vbucket.receive(item.clone())?;
                documents.put(item.clone());
            }
            let range = partition.vbucket.manager().open_range();
            let is_from_disk = range.snapshot_type != SnapshotType::Memory;
            if is_from_disk && partition.vbucket.high_seqno() == range.end {
                // The completions of some prepares are not in it.
                documents.completed(partition.vbucket.high_completed_seqno());
            }
            Ok(())
        })
    }

    /// Receives a part of a snapshot, with nothing in between.
    fn receive(
        &self,
        vb: Vbid,
        receive: impl FnOnce(&Partition, &mut crate::hosted::Documents) -> Result<(), VBucketError>,
    ) -> Result<(), StoreError> {
        let partition = self.shared.partition(vb)?;
        let mut documents = partition.documents();
        self.shared.require_open()?;
        let received = receive(&partition, &mut documents);
        self.shared.changed(&partition);
        drop(documents);
        Ok(received?)
    }
}
