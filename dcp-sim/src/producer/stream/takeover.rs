//! A stream that hands its vBucket over.
//!
//! | step | what is sent | goes on when |
//! |---|---|---|
//! | sending | everything there is | nothing is left and every marker was answered |
//! | pending asked | set the state to pending | that was answered; the host lets the vBucket here die |
//! | dying | | it is dead: what was written until then is in memory |
//! | sending the rest | that | as the first |
//! | active asked | set the state to active | that was answered |
//! | done | the stream's end | |
//!
//! What always holds (S16): the consumer's vBucket is told to become active only when the one here is dead and everything
//! that it took has been applied there. So at no time both take writes, and none is lost.

use lowtide_checkpoint::{State, VBucket};

use super::active_stream::ActiveStream;
use super::stage::Takeover;
use crate::wire::{Command, StreamEndReason};

impl ActiveStream {
    /// Everything there was is sent: the next step, if it is time for it. Returns whether to look once more what there is.
    pub(super) fn hand_on(&mut self, vbucket: &VBucket) -> bool {
        let is_answered = self.outbox.unanswered_markers() == 0;
        match self.takeover {
            Some(Takeover::Sending) if is_answered => {
                self.ask_for(State::Pending, Takeover::PendingAsked)
            }
            Some(Takeover::Dying) if vbucket.state() == State::Dead => {
                // What was written between the last look and its death is still to be read.
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

    /// A marker was answered.
    pub(in crate::producer) fn marker_answered(&mut self) {
        self.outbox.marker_answered();
    }

    /// The consumer's vBucket has the state it was told to have. Returns whether the one here must die now.
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

    /// Whether its vBucket may be dead: that is what the takeover wanted.
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
