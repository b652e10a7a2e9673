//! The subscriber: it follows every event, and resumes whenever its subscription has ended.

use lowtide_checkpoint::{
    Backfill, Operation, ReadLimit, ResumePoint, Seqno, State, Subscription, SubscriptionEvent,
    VBucketError,
};
use proptest::prelude::*;

use crate::compare::{Step, fail, newest, same};
use crate::naive::Naive;
use crate::world::World;

impl World {
    /// Subscribes at the resume point, or further back if required. Returns `None` if the vBucket
    /// is dead.
    fn subscribe(&mut self) -> Result<Option<Subscription>, TestCaseError> {
        loop {
            match self
                .vbucket
                .subscribe("reader", self.resume_point, Seqno::ZERO)
            {
                Ok(subscription) => return Ok(Some(subscription)),
                Err(VBucketError::GoBack { to, .. }) => {
                    prop_assert!(
                        to < self.resume_point.seqno,
                        "to {to} from {:?}",
                        self.resume_point
                    );
                    let whole = self.resume_from(to.0);
                    self.resume_point = ResumePoint::whole(self.resume_point.uuid, Seqno(whole));
                }
                Err(error) => {
                    return same(self.naive.state, State::Dead)
                        .map(|()| None)
                        .map_err(|_| fail(&error));
                }
            }
        }
    }

    /// Goes back to the last seqno at or below `to` where the copy was whole. Returns it.
    fn resume_from(&mut self, to: u64) -> u64 {
        self.whole_at.retain(|&seqno| seqno <= to);
        let whole = self.whole_at.last().copied().unwrap_or_default();
        self.copy.retain(|&(seqno, _)| seqno <= whole);
        whole
    }

    /// Records and checks the resume point of an idle subscription.
    fn record_resume_point(&mut self, subscription: &Subscription) -> Step {
        let resume_point = self.vbucket.resume_point_of(subscription);
        let resume_point = resume_point
            .ok_or_else(|| TestCaseError::fail("there is no rollback that it has not heard of"))?;
        let Naive { high, whole, .. } = self.naive;
        prop_assert!(
            resume_point.is_sound() && resume_point.seqno.0 == high,
            "{resume_point:?} of {high}"
        );
        same(
            Some(resume_point.uuid.0),
            self.naive.log.first().map(|&(uuid, _)| uuid),
        )?;
        if self.naive.state == State::Active {
            same(resume_point.snapshot_end.0, high)?;
        } else if whole < high {
            prop_assert!(
                resume_point.snapshot_start.0 <= whole && high < resume_point.snapshot_end.0,
                "{resume_point:?}"
            );
        }
        self.resume_point = resume_point;
        Ok(())
    }

    /// Polls until there is nothing more, and does what each event requires.
    pub fn poll(&mut self) -> Step {
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
                SubscriptionEvent::Batch(batch) => {
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
                    self.whole_at.push(batch.last_seqno().0);
                }
                SubscriptionEvent::Backfill(Backfill { from, to, .. }) => {
                    let missing = self
                        .history
                        .iter()
                        .filter(|(seqno, _)| (from.0..=to.0).contains(seqno));
                    self.copy.extend(missing.cloned());
                    self.whole_at.push(to.0);
                }
                SubscriptionEvent::RolledBack(to) => {
                    let whole = self.resume_from(to.0);
                    self.resume_point = ResumePoint::whole(self.resume_point.uuid, Seqno(whole));
                    subscription
                        .resume_from(Seqno(whole))
                        .map_err(|error| fail(&error))?;
                }
                SubscriptionEvent::Idle => {
                    self.record_resume_point(&subscription)?;
                    self.subscription = Some(subscription);
                    return same(newest(&self.copy), newest(&self.history));
                }
                SubscriptionEvent::Ended(state) => {
                    // Everything after the last resume point is delivered again.
                    self.copy
                        .retain(|&(seqno, _)| seqno <= self.resume_point.seqno.0);
                    self.whole_at
                        .retain(|&seqno| seqno <= self.resume_point.seqno.0);
                    return same(state == State::Active, false);
                }
                other => return Err(TestCaseError::fail(format!("unexpected {other:?}"))),
            }
        }
    }
}
