//! The data that a vBucket's lock guards.
//!
//! It is apart from the vBucket so that writes, transitions, commits and subscriptions can each have
//! a file of their own.

use super::received_snapshots::ReceivedSnapshots;
use crate::model::{Hlc, Seqno, VBucketState};
use crate::subscription::Stopper;

/// Everything that a vBucket's lock guards.
#[derive(Debug)]
pub(super) struct LockedVBucket {
    /// State to commit if everything queued were durable, except its snapshot range.
    pub(super) current: VBucketState,
    pub(super) clock: Hlc,
    pub(super) received: ReceivedSnapshots,
    /// Whether the vBucket was active when its process stopped uncleanly. Items that it delivered
    /// may be lost here. It must begin a branch to lead again, unless it follows another active
    /// first.
    pub(super) must_branch: bool,
    /// High seqno when the vBucket last became active. Everything received up to there is its own
    /// history since then.
    pub(super) active_since: Seqno,
    /// Stoppers of subscriptions, which end when the vBucket stops serving.
    pub(super) subscribers: Vec<Stopper>,
}
