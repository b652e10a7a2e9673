//! Subscribing to a vBucket's changes, and learning that it stopped serving.

use std::sync::Arc;

use super::VBucket;
use crate::{Seqno, State, Subscription, VBucketError};

impl VBucket {
    /// Subscribes a consumer that has everything up to `after`; one of that name loses its cursor. The subscription ends
    /// when the vBucket dies or stops being active: what it had may be rolled back then, and its new active serves it.
    ///
    /// # Errors
    /// [`VBucketError::WrongState`] on a dead vBucket; [`VBucketError::Checkpoint`] if `after` is above the high seqno:
    /// then the consumer has something that is not of this history, and must give it up.
    pub fn subscribe(&self, name: &str, after: Seqno) -> Result<Subscription, VBucketError> {
        let mut inner = self.lock();
        self.require(&inner, |state| state != State::Dead)?;
        let subscription = self.manager.subscribe(name, after).map_err(|source| self.refused(source))?;
        // Those that nobody holds any more are forgotten here, so that the list is never longer than the cursors were.
        inner.subscribers.retain(|stopper| Arc::strong_count(&stopper.is_stopped) > 1);
        inner.subscribers.push(subscription.stopper());
        Ok(subscription)
    }
}
