//! Waiting for many subscriptions at once.
//!
//! A thread or a task that serves many subscriptions cannot wait for each of them. It puts them into a
//! wait set, each under a number, and waits for the numbers.
//!
//! # Invariants
//! - A subscription of the set whose last [`Subscription::poll_or_arm`] was idle raises its number once
//!   it may have something (C33).

use core::time::Duration;
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::subscription::Subscription;
#[cfg(checkpoint_loom)]
use crate::fault::{self, Fault};
use crate::internal::sync::ReadySet;

/// The subscriptions that one thread or task waits for. Clones are handles of the same set.
///
/// A number stands for a subscription, or for anything else that the host raises. It may be raised
/// although there is nothing: the answer is to poll. A number that is raised several times before it
/// is taken comes once.
///
/// ```
/// use bytes::Bytes;
/// use lowtide_checkpoint::{
///     CheckpointConfig, CheckpointManager, Item, Key, ReadLimit, Seqno, SubscriptionEvent, WaitSet,
/// };
///
/// # fn main() -> Result<(), lowtide_checkpoint::CheckpointError> {
/// let managers = [(); 3].map(|()| CheckpointManager::new(CheckpointConfig::in_memory(), Seqno::ZERO));
/// let set = WaitSet::new();
/// let mut subscriptions = Vec::new();
/// for (number, manager) in (0..).zip(&managers) {
///     let subscription = manager.subscribe("indexer", Seqno::ZERO)?;
///     subscription.join(&set, number);
///     subscriptions.push(subscription);
/// }
/// assert_eq!(set.wait(), [0, 1, 2]); // each may have something
/// for subscription in &mut subscriptions {
///     let event = subscription.poll_or_arm(ReadLimit::NONE)?;
///     assert!(matches!(event, SubscriptionEvent::Idle));
/// }
/// managers[1].queue(Item::mutation(Key::new(b"pear"), Bytes::from_static(b"1")))?;
/// assert_eq!(set.wait(), [1]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WaitSet(Arc<ReadySet>);

impl Default for WaitSet {
    fn default() -> Self {
        Self::new()
    }
}

impl WaitSet {
    /// Creates a set in which nothing is ready.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(ReadySet::new()))
    }

    /// Raises a number, for instance to end the waiting. O(log ready numbers).
    pub fn raise(&self, number: u64) {
        self.0.raise(number);
    }

    /// Takes the numbers that are ready, ascending; none if there are none. Never waits.
    #[must_use = "a number that is taken is not raised again until its subscription is polled"]
    pub fn take_ready(&self) -> Vec<u64> {
        self.0.take()
    }

    /// Waits until numbers are ready and takes them, ascending.
    #[must_use = "a number that is taken is not raised again until its subscription is polled"]
    pub fn wait(&self) -> Vec<u64> {
        self.0.wait()
    }

    /// Like [`WaitSet::wait`], for as long as `timeout` at most. Returns no number after that, or earlier
    /// if another thread that waits for the same set has taken them.
    #[must_use = "a number that is taken is not raised again until its subscription is polled"]
    pub fn wait_timeout(&self, timeout: Duration) -> Vec<u64> {
        self.0.wait_timeout(timeout)
    }

    /// Takes the numbers that are ready, ascending. If there are none, `waker` is woken by the next
    /// one; it replaces the waker of an earlier call.
    pub fn poll_ready(&self, waker: &Waker) -> Poll<Vec<u64>> {
        #[cfg(checkpoint_loom)]
        if fault::is(Fault::WakerInTwoSteps) {
            return self.poll_ready_in_two_steps(waker);
        }
        pending_if_empty(self.0.take_or_register(waker))
    }

    /// The deliberate bug [`Fault::WakerInTwoSteps`]: a number that is raised between the steps wakes
    /// no task.
    #[cfg(checkpoint_loom)]
    #[cold]
    fn poll_ready_in_two_steps(&self, waker: &Waker) -> Poll<Vec<u64>> {
        let ready = pending_if_empty(self.0.take());
        if ready.is_pending() {
            self.0.register(waker);
        }
        ready
    }
}

fn pending_if_empty(ready: Vec<u64>) -> Poll<Vec<u64>> {
    if ready.is_empty() {
        Poll::Pending
    } else {
        Poll::Ready(ready)
    }
}

impl Subscription {
    /// Puts the subscription into `set` as `number`, in place of any other set.
    ///
    /// The number is raised at once, since there may be something. Later it is raised after a
    /// [`Subscription::poll_or_arm`] that was idle, once there may be something, and when the
    /// subscription is stopped or ends. Several subscriptions may share a number.
    pub fn join(&self, set: &WaitSet, number: u64) {
        self.signal().join(&set.0, number);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::manager::{CheckpointConfig, CheckpointManager, ReadLimit};
    use crate::model::{Item, Key, Seqno, State};
    use crate::subscription::event::SubscriptionEvent;

    fn manager() -> CheckpointManager {
        CheckpointManager::new(CheckpointConfig::in_memory(), Seqno::ZERO)
    }

    fn set(manager: &CheckpointManager, key: &'static str) {
        let item = Item::mutation(Key::new(key.as_bytes()), Bytes::from_static(b"v"));
        manager.queue(item).expect("active");
    }

    fn is_idle(subscription: &mut Subscription) -> bool {
        let event = subscription
            .poll_or_arm(ReadLimit::NONE)
            .expect("registered");
        matches!(event, SubscriptionEvent::Idle)
    }

    #[test]
    fn number_is_raised_once_for_items_after_an_idle_poll() {
        let (manager, ready) = (manager(), WaitSet::new());
        let mut subscription = manager.subscribe("s", Seqno::ZERO).expect("valid");
        subscription.join(&ready, 7);
        assert_eq!(ready.take_ready(), [7], "it may have something already");
        assert!(is_idle(&mut subscription));
        set(&manager, "a");
        set(&manager, "b");
        assert_eq!(ready.wait(), [7]);
        assert!(!is_idle(&mut subscription));
        set(&manager, "c");
        assert!(
            ready.take_ready().is_empty(),
            "its reader has not found nothing since"
        );
    }

    #[test]
    fn dropped_cursor_rollback_and_end_raise_the_number() {
        let (manager, ready) = (manager(), WaitSet::new());
        let mut subscription = manager.subscribe("s", Seqno::ZERO).expect("valid");
        subscription.join(&ready, 1);
        set(&manager, "a");
        while !is_idle(&mut subscription) {}
        assert_eq!(ready.take_ready(), [1]);
        manager.clear(Seqno::ZERO);
        assert_eq!(ready.take_ready(), [1], "a rollback");
        assert!(!is_idle(&mut subscription));
        subscription.resume_from(Seqno::ZERO).expect("registered");
        assert!(is_idle(&mut subscription));
        subscription.stopper().end(State::Dead);
        assert_eq!(ready.take_ready(), [1], "the end");
    }

    #[test]
    fn host_and_subscriptions_raise_numbers_of_one_set() {
        let ready = WaitSet::new();
        ready.clone().raise(9);
        ready.raise(3);
        ready.raise(9);
        assert_eq!(ready.wait_timeout(Duration::MAX), [3, 9]);
        assert!(ready.wait_timeout(Duration::ZERO).is_empty());
    }

    #[test]
    fn waker_is_woken_by_the_next_number() {
        let ready = WaitSet::new();
        let waker = Waker::noop();
        assert!(ready.poll_ready(waker).is_pending());
        ready.raise(2);
        assert_eq!(ready.poll_ready(waker), Poll::Ready(vec![2]));
        assert!(ready.poll_ready(waker).is_pending());
    }
}
