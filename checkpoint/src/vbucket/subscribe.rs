//! Subscribing to a vBucket's changes, coming back to them, and learning that it stopped serving.
//!
//! What always holds (C28): a subscriber goes on only where it stands on this history, by the same rule as a stream; one that
//! does not is told how far it must go back.

use std::sync::Arc;

use super::{VBucket, role};
use crate::{
    CheckpointError, History, ResumePoint, Role, Seqno, State, Subscription, VBucketError,
};

impl VBucket {
    /// Subscribes a consumer that stands at `from`: at [`ResumePoint::START`] if it has nothing yet, else where
    /// [`VBucket::resume_point_of`] of its last subscription said, on this copy or another. Tombstones up to `purged` are gone
    /// from this copy's store (0 if none was ever purged, or there is no store). One of that name loses its cursor. The
    /// subscription ends when the vBucket dies or stops being active: what it had may be rolled back then, and its new active
    /// serves it.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use lowtide_checkpoint::{
    ///     AfterStop, CheckpointConfig, FailoverLog, Item, Key, Next, ReadLimit, ResumePoint, Seqno, State, VBucket,
    ///     VBucketError, VBucketState, VbUuid, Vbid,
    /// };
    ///
    /// # fn main() -> Result<(), VBucketError> {
    /// let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(7)));
    /// let vbucket = VBucket::new(Vbid(0), &state, CheckpointConfig::default());
    /// let mut indexer = vbucket.subscribe("indexer", ResumePoint::START, Seqno::ZERO)?;
    /// for key in ["apple", "pear"] {
    ///     vbucket.write(Item::mutation(Key::new(key.as_bytes()), Bytes::from("1")), 1)?;
    /// }
    /// assert!(matches!(indexer.poll(ReadLimit::NONE), Ok(Next::Batch(_))));
    /// let stands = vbucket.resume_point_of(&indexer).expect("nothing was rolled back");
    ///
    /// // The process dies; its store had the first of the two.
    /// let after = AfterStop::Unclean { uuid: VbUuid(8) };
    /// let config = CheckpointConfig::default();
    /// let vbucket = VBucket::recover(Vbid(0), &state, Seqno(1), State::Active, after, config)?;
    /// let refused = vbucket.subscribe("indexer", stands, Seqno::ZERO).map(drop);
    /// assert_eq!(refused, Err(VBucketError::GoBack { vb: Vbid(0), to: Seqno(1) }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`VBucketError::WrongState`] on a dead vBucket; [`VBucketError::GoBack`] if the consumer has something that is not of
    /// this history, or may lack a purged tombstone: it gives that up and subscribes again;
    /// [`VBucketError::Checkpoint`] for a seqno outside its snapshot.
    pub fn subscribe(
        &self,
        name: &str,
        from: ResumePoint,
        purged: Seqno,
    ) -> Result<Subscription, VBucketError> {
        let mut inner = self.lock();
        self.require(&inner, |state| state != State::Dead)?;
        if !from.is_sound() {
            let what = "a seqno lies inside its snapshot";
            return Err(self.refused(CheckpointError::InvalidArgument(what)));
        }
        let state = &inner.current;
        let (high, purge) = (self.manager.high_seqno(), state.purge_seqno.max(purged));
        let history = History {
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
            .map_err(|source| self.refused(source))?;
        // Those that nobody holds any more are forgotten here, so that the list is never longer than the cursors were.
        inner
            .subscribers
            .retain(|stopper| Arc::strong_count(&stopper.is_stopped) > 1);
        inner.subscribers.push(subscription.stopper());
        Ok(subscription)
    }
    /// Where a subscription's reader stands once it has everything that was delivered, and has fetched what it was asked to:
    /// what it gives to [`VBucket::subscribe`] when it comes back. `None` if something of that was rolled back: the subscription
    /// says so next ([`Next::RolledBack`](crate::Next)).
    #[must_use]
    pub fn resume_point_of(&self, subscription: &Subscription) -> Option<ResumePoint> {
        // Under this lock neither the branches change nor is anything rolled back.
        let inner = self.lock();
        let (start, end) = subscription.snapshot()?;
        let (seqno, uuid) = (
            subscription.seqno(),
            inner.current.failover_log.newest().uuid,
        );
        let (start, end) = if role(inner.current.state) == Role::Active {
            // What an active has is its history: of the snapshot that it was promoted in no more will come.
            (start, end.min(self.manager.high_seqno()))
        } else if seqno > inner.received.complete {
            // Nobody has more of a snapshot whole than the copy that it reads from.
            (
                start.min(inner.received.complete),
                end.max(inner.received.snapshot_end),
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
