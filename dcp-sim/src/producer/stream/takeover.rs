//! Takeover: a stream that hands its vBucket over.
//!
//! | step | message | continues when |
//! |---|---|---|
//! | sending | all items | nothing is left and every marker was answered |
//! | pending asked | set the state to pending | it was answered; the host makes the vBucket dead |
//! | dying | | it is dead: memory has everything written until then |
//! | sending the rest | the remaining items | as after sending |
//! | active asked | set the state to active | it was answered |
//! | done | the stream's end | |
//!
//! # Invariants
//!
//! - S16. The consumer's vBucket becomes active only after the one on this node is dead and
//!   everything it accepted was applied. So never do both accept writes, and no write is lost.

use lowtide_checkpoint::{State, VBucket};

use super::active_stream::ActiveStream;
use super::stage::Takeover;
use crate::wire::{Command, StreamEndReason};

impl ActiveStream {
    /// Moves to the next step after all items were sent, if its condition holds. Returns `true` if
    /// memory must be read once more.
    pub(super) fn advance_takeover(&mut self, vbucket: &VBucket) -> bool {
        let is_answered = self.outbox.unanswered_markers() == 0;
        match self.takeover {
            Some(Takeover::Sending) if is_answered => {
                self.ask_for(State::Pending, Takeover::PendingAsked)
            }
            Some(Takeover::Dying) if vbucket.state() == State::Dead => {
                // Items written between the last read and its death remain to be read.
                self.takeover = Some(Takeover::SendingRest);
                return true;
            }
            Some(Takeover::SendingRest) if is_answered => {
                self.ask_for(State::Active, Takeover::ActiveAsked)
            }
            _ => {}
        }
        false
    }

    /// Records the answer to a marker.
    pub(in crate::producer) fn marker_answered(&mut self) {
        self.outbox.marker_answered();
    }

    /// Records that the consumer's vBucket has the requested state. Returns `true` if the vBucket
    /// on this node must become dead now.
    pub(in crate::producer) fn state_answered(&mut self) -> bool {
        match self.takeover {
            Some(Takeover::PendingAsked) => {
                self.takeover = Some(Takeover::Dying);
                true
            }
            Some(Takeover::ActiveAsked) => {
                self.end(StreamEndReason::Ok);
                false
            }
            _ => false,
        }
    }

    /// Returns `true` if the takeover expects its vBucket to be dead.
    pub(super) fn may_be_dead(&self) -> bool {
        matches!(
            self.takeover,
            Some(Takeover::Dying | Takeover::SendingRest | Takeover::ActiveAsked)
        )
    }

    fn ask_for(&mut self, state: State, step: Takeover) {
        self.takeover = Some(step);
        self.outbox.push(Command::SetVBucketState(state));
    }
}
