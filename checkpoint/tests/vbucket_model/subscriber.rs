//! The subscriber: it does what it is told, and comes back to where it stands whenever its subscription is over.

use lowtide_checkpoint::{
    Backfill, Next, Operation, ReadLimit, ResumePoint, Seqno, State, Subscription, VBucketError,
};
use proptest::prelude::*;

use super::naive::Naive;
use super::{Step, World, fail, newest, same};

impl World {
    /// The subscriber comes back to where it was, or to where it must go back; `None` while nobody serves.
    fn subscribe(&mut self) -> Result<Option<Subscription>, TestCaseError> {
        loop {
            match self.vbucket.subscribe("reader", self.stands, Seqno::ZERO) {
                Ok(subscription) => return Ok(Some(subscription)),
                Err(VBucketError::GoBack { to, .. }) => {
                    prop_assert!(to < self.stands.seqno, "to {to} from {:?}", self.stands);
                    let place = self.go_back(to.0);
                    self.stands = ResumePoint::whole(self.stands.uuid, Seqno(place));
                }
                Err(error) => {
                    return same(self.naive.state, State::Dead)
                        .map(|()| None)
                        .map_err(|_| fail(&error));
                }
            }
        }
    }

    /// To the last place at or below where it had everything.
    fn go_back(&mut self, to: u64) -> u64 {
        self.places.retain(|&place| place <= to);
        let place = self.places.last().copied().unwrap_or_default();
        self.copy.retain(|&(seqno, _)| seqno <= place);
        place
    }

    /// Where its subscription says that it stands, now that it has everything.
    fn stands(&mut self, subscription: &Subscription) -> Step {
        let stands = self.vbucket.resume_point_of(subscription);
        let stands = stands
            .ok_or_else(|| TestCaseError::fail("there is no rollback that it has not heard of"))?;
        let Naive { high, whole, .. } = self.naive;
        prop_assert!(
            stands.is_sound() && stands.seqno.0 == high,
            "{stands:?} of {high}"
        );
        same(
            Some(stands.uuid.0),
            self.naive.log.first().map(|&(uuid, _)| uuid),
        )?;
        if self.naive.state == State::Active {
            same(stands.snapshot_end.0, high)?;
        } else if whole < high {
            prop_assert!(
                stands.snapshot_start.0 <= whole && high < stands.snapshot_end.0,
                "{stands:?}"
            );
        }
        self.stands = stands;
        Ok(())
    }

    /// The subscriber does what it is told until there is nothing more.
    pub(super) fn poll(&mut self) -> Step {
        let mut subscription = match self.subscription.take() {
            Some(subscription) => subscription,
            None => {
                let Some(subscription) = self.subscribe()? else {
                    return Ok(());
                };
                subscription
            }
        };
        loop {
            match subscription
                .poll(ReadLimit::NONE)
                .map_err(|error| fail(&error))?
            {
                Next::Batch(batch) => {
                    let items = batch
                        .items()
                        .filter(|item| item.operation.namespace().is_some());
                    for item in items {
                        let last = self.copy.last().map_or(0, |&(seqno, _)| seqno);
                        prop_assert!(item.seqno.0 > last, "{} after {last}", item.seqno);
                        let space = matches!(item.operation, Operation::Prepare | Operation::Abort);
                        self.copy
                            .push((item.seqno.0, format!("{space} {}", item.key)));
                    }
                    self.places.push(batch.last_seqno().0);
                }
                Next::Backfill(Backfill { from, to }) => {
                    let missing = self
                        .history
                        .iter()
                        .filter(|(seqno, _)| (from.0..=to.0).contains(seqno));
                    self.copy.extend(missing.cloned());
                    self.places.push(to.0);
                }
                Next::RolledBack(to) => {
                    let place = self.go_back(to.0);
                    self.stands = ResumePoint::whole(self.stands.uuid, Seqno(place));
                    subscription
                        .go_back(Seqno(place))
                        .map_err(|error| fail(&error))?;
                }
                Next::Idle => {
                    self.stands(&subscription)?;
                    self.subscription = Some(subscription);
                    return same(newest(&self.copy), newest(&self.history));
                }
                Next::Ended(state) => {
                    // What came since it last knew where it stood it has again from there.
                    self.copy.retain(|&(seqno, _)| seqno <= self.stands.seqno.0);
                    self.places.retain(|&place| place <= self.stands.seqno.0);
                    return same(state == State::Active, false);
                }
                Next::Stopped => return Err(TestCaseError::fail("nobody stopped it")),
            }
        }
    }
}
