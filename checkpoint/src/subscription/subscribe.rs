//! Subscribing to a manager.
//!
//! The methods are here and not in the manager's wing, which knows nothing of its subscriptions.

use super::subscription::Subscription;
use crate::error::CheckpointError;
use crate::manager::{CheckpointManager, CursorOptions};
use crate::model::{Seqno, VbUuid};
use crate::resume::ResumePoint;

impl CheckpointManager {
    /// Subscribes a consumer that has everything up to `after`, replacing any cursor of that name.
    ///
    /// # Errors
    /// Same as [`CheckpointManager::register`].
    pub fn subscribe(&self, name: &str, after: Seqno) -> Result<Subscription, CheckpointError> {
        self.subscribe_at(name, ResumePoint::whole(VbUuid(0), after))
    }

    /// Like [`CheckpointManager::subscribe`], for a consumer that may be inside a snapshot.
    pub(crate) fn subscribe_at(
        &self,
        name: &str,
        from: ResumePoint,
    ) -> Result<Subscription, CheckpointError> {
        // Loaded before registering: a rollback in between counts as unseen. The cursor stands at
        // the right place for it either way.
        let rollbacks = self.rollbacks();
        let registration = self.register(name, from.seqno, CursorOptions::new())?;
        Ok(Subscription::new(
            self.clone(),
            name,
            &from,
            registration,
            rollbacks,
        ))
    }
}
