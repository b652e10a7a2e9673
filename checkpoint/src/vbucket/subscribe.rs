//! Subscribing to a vBucket, resuming, and ending subscriptions when it stops serving.
//!
//! # Invariants
//! - A subscriber continues only at a place on this history, by the same rule as a stream (C28).
//!   Otherwise the error says how far it must go back.

use super::error::VBucketError;
use super::roles::role;
use super::vbucket::VBucket;
use crate::error::CheckpointError;
use crate::manager::Role;
use crate::model::{Seqno, State};
use crate::resume::{ResumePoint, ServedHistory};
use crate::subscription::{Stopper, Subscription};

impl VBucket {
    /// Subscribes a consumer that resumes at `from`, replacing any cursor of that name.
    ///
    /// A new consumer passes [`ResumePoint::START`]. A returning one passes the result of
    /// [`VBucket::resume_point_of`] for its last subscription, on this copy or another. `purged` is
    /// the seqno up to which tombstones are gone from this copy's store; 0 if none was ever purged,
    /// or without a store.
    ///
    /// The subscription ends when the vBucket becomes dead or stops being active. Items that it
    /// delivered may be rolled back then, and the new active serves the consumer.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use lowtide_checkpoint::{
    ///     AfterStop, CheckpointConfig, FailoverLog, Item, Key, ReadLimit, ResumePoint, Seqno, State,
    ///     SubscriptionEvent, VBucket, VBucketError, VBucketState, VbUuid, Vbid,
    /// };
    ///
    /// # fn main() -> Result<(), VBucketError> {
    /// let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(7)));
    /// let vbucket = VBucket::new(Vbid(0), &state, CheckpointConfig::in_memory());
    /// let mut indexer = vbucket.subscribe("indexer", ResumePoint::START, Seqno::ZERO)?;
    /// for key in ["apple", "pear"] {
    ///     vbucket.write(Item::mutation(Key::new(key.as_bytes()), Bytes::from("1")), 1)?;
    /// }
    /// assert!(matches!(indexer.poll(ReadLimit::NONE), Ok(SubscriptionEvent::Batch(_))));
    /// let stands = vbucket.resume_point_of(&indexer).expect("nothing was rolled back");
    ///
    /// // The process dies. Its store has only the first of the two items.
    /// let after = AfterStop::Unclean { uuid: VbUuid(8) };
    /// let config = CheckpointConfig::in_memory();
    /// let vbucket = VBucket::recover(Vbid(0), &state, Seqno(1), State::Active, after, config)?;
    /// let refused = vbucket.subscribe("indexer", stands, Seqno::ZERO).map(drop);
    /// assert_eq!(refused, Err(VBucketError::GoBack { vb: Vbid(0), to: Seqno(1) }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`VBucketError::WrongState`] on a dead vBucket.
    /// - [`VBucketError::GoBack`] if the consumer has items that are not of this history, or may lack
    ///   a purged tombstone. It discards them and subscribes again.
    /// - [`VBucketError::Checkpoint`] for a seqno outside its snapshot.
    pub fn subscribe(
        &self,
        name: &str,
        from: ResumePoint,
        purged: Seqno,
    ) -> Result<Subscription, VBucketError> {
        let mut locked = self.lock();
        self.require(&locked, |state| state != State::Dead)?;
        if !from.is_sound() {
            let what = "a resume point's seqno must lie inside its snapshot";
            return Err(self.checkpoint_error(CheckpointError::InvalidArgument(what)));
        }
        let state = &locked.current;
        let high = self.manager.high_seqno();
        let purge = state.purge_seqno.max(purged);
        let history = ServedHistory {
            log: &state.failover_log,
            high,
            purge,
            filtered_high: None,
        };
        if let Some(to) = history.rollback_to(&from.into()) {
            return Err(VBucketError::GoBack { vb: self.id, to });
        }
        let subscription = self
            .manager
            .subscribe_at(name, from)
            .map_err(|source| self.checkpoint_error(source))?;
        // Stoppers of dropped subscriptions are removed here, so that the list stays as short as the
        // number of cursors.
        locked.subscribers.retain(Stopper::is_shared);
        locked.subscribers.push(subscription.stopper());
        Ok(subscription)
    }

    /// Returns the resume point of a subscription's reader, once it has everything delivered and has
    /// fetched its backfill. The reader passes it to [`VBucket::subscribe`] when it returns.
    ///
    /// Returns `None` if a delivered item was rolled back. The subscription then reports
    /// [`SubscriptionEvent::RolledBack`](crate::SubscriptionEvent) next.
    #[must_use]
    pub fn resume_point_of(&self, subscription: &Subscription) -> Option<ResumePoint> {
        // Under this lock, branches do not change and no rollback happens.
        let locked = self.lock();
        let (start, end) = subscription.snapshot()?;
        let seqno = subscription.seqno();
        let uuid = locked.current.failover_log.newest().uuid;
        let (start, end) = if role(locked.current.state) == Role::Active {
            // Everything on an active is its history. The rest of the snapshot that it was promoted
            // in will never come.
            (start, end.min(self.manager.high_seqno()))
        } else if seqno > locked.received.complete {
            // A reader cannot have more of a snapshot whole than the copy that it reads from.
            (
                start.min(locked.received.complete),
                end.max(locked.received.snapshot_end),
            )
        } else {
            (start, end)
        };
        if end <= seqno {
            return Some(ResumePoint::whole(uuid, seqno));
        }
        Some(ResumePoint {
            uuid,
            seqno,
            snapshot_start: start,
            snapshot_end: end,
        })
    }
}
