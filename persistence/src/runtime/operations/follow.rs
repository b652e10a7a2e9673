//! Following: the changes of one vBucket or of many, from any place, in one wait.
//!
//! # Invariants
//!
//! - R11. A follower sleeps only if each of its vBuckets was idle when it was last asked, and is woken
//!   by whatever may change that: items, states, a reopened engine, the end of the store.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use lowtide_checkpoint::{ResumePoint, Seqno, Vbid, WaitSet};

use crate::contract::{EngineError, ScanLimit};
use crate::hosted::waiting::followers::BY_STORE;
use crate::hosted::{FollowerError, FollowerEvent, FollowerMachine, FollowerTurn};
use crate::runtime::engine::slot::Generation;
use crate::runtime::error::StoreError;
use crate::runtime::partition::Partition;
use crate::runtime::shared::Shared;
use crate::runtime::store::Store;

/// The limit of one slice from disk.
const SLICE: ScanLimit = ScanLimit::new(4_096, 1 << 20);

/// An event of one of a follower's vBuckets.
#[derive(Debug)]
#[non_exhaustive]
pub struct Followed {
    /// The vBucket.
    pub vb: Vbid,
    /// The event.
    pub event: FollowerEvent,
}

/// A reader of the changes of one vBucket or of many. Dropping it removes its cursors.
///
/// It is an iterator that waits for the next event. [`Follower::next_for`] waits for a time,
/// [`Follower::poll`] not at all.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Shared>,
    name: String,
    set: WaitSet,
    /// The number under which the store knows the wait set.
    registration: u64,
    machines: BTreeMap<u64, Following>,
    /// Numbers of vBuckets that may have something, each once.
    ready: VecDeque<u64>,
    has_ended: bool,
}

#[derive(Debug)]
struct Following {
    machine: FollowerMachine,
    partition: Arc<Partition>,
    is_ready: bool,
    /// The engine that was open when a step last failed.
    failed_in: Option<Generation>,
}

/// The result of asking the vBuckets that may have something.
#[expect(
    clippy::large_enum_variant,
    reason = "it is moved once an event; a box would cost each an allocation"
)]
enum Asked {
    Event(Followed),
    Idle,
    /// A vBucket waits for the engine to be reopened.
    AwaitsEngine,
}

impl Store {
    /// Follows a vBucket from a place: a new reader from [`ResumePoint::START`], a returning one from
    /// the point of its last [`FollowerEvent::SnapshotEnd`]. `name` is that of its cursor, and
    /// replaces another follower of that name.
    ///
    /// # Errors
    /// [`StoreError::UnknownVBucket`], [`StoreError::Closed`].
    pub fn follow(&self, vb: Vbid, name: &str, from: ResumePoint) -> Result<Follower, StoreError> {
        self.follow_all(name, [(vb, from)])
    }

    /// Follows many vBuckets in one wait. It costs no thread but the caller's.
    ///
    /// # Errors
    /// Same as [`Store::follow`].
    pub fn follow_all(
        &self,
        name: &str,
        from: impl IntoIterator<Item = (Vbid, ResumePoint)>,
    ) -> Result<Follower, StoreError> {
        let set = WaitSet::new();
        let mut follower = Follower {
            registration: self.shared.followers.register(&set),
            shared: Arc::clone(&self.shared),
            name: name.to_owned(),
            set,
            machines: BTreeMap::new(),
            ready: VecDeque::new(),
            has_ended: false,
        };
        self.shared.require_open()?;
        for (vb, point) in from {
            follower.add(vb, point)?;
        }
        Ok(follower)
    }
}

impl Follower {
    /// Follows another vBucket as well, or one of them from another place.
    ///
    /// # Errors
    /// Same as [`Store::follow`].
    pub fn add(&mut self, vb: Vbid, from: ResumePoint) -> Result<(), StoreError> {
        let partition = self.shared.partition(vb)?;
        let number = u64::from(vb.0);
        let machine = FollowerMachine::new(vb, &self.name, from)
            .with_branches()
            .with_wait_set(self.set.clone(), number);
        self.machines.insert(
            number,
            Following {
                machine,
                partition,
                is_ready: false,
                failed_in: None,
            },
        );
        self.make_ready(number);
        Ok(())
    }

    /// Returns the place of a reader that has processed every event of the vBucket so far; `None` for
    /// a vBucket that is not followed, or has ended.
    #[must_use]
    pub fn resume_point(&self, vb: Vbid) -> Option<ResumePoint> {
        let following = self.machines.get(&u64::from(vb.0))?;
        Some(following.machine.resume_point())
    }

    /// Continues a vBucket at `point`: the reader has discarded everything after it.
    pub fn resume_from(&mut self, vb: Vbid, point: ResumePoint) {
        let number = u64::from(vb.0);
        if let Some(following) = self.machines.get_mut(&number) {
            following.machine.resume_from(point);
            self.make_ready(number);
        }
    }

    /// Returns the next event. Waits while there is none. Returns `None` once every vBucket has
    /// ended, or the store was closed.
    ///
    /// # Errors
    /// [`StoreError::Engine`] if the disk cannot be read, [`StoreError::Follower`] if another follower
    /// has taken the name. Nothing is lost: the next call tries again.
    pub fn wait_next(&mut self) -> Result<Option<Followed>, StoreError> {
        loop {
            if let Some(followed) = self.poll()? {
                return Ok(Some(followed));
            }
            if self.is_over() {
                return Ok(None);
            }
            let ready = self.set.wait();
            self.woken(ready);
        }
    }

    /// Returns the next event, or `None` if there is none for about `timeout`.
    ///
    /// # Errors
    /// Same as [`Follower::wait_next`].
    pub fn next_for(&mut self, timeout: Duration) -> Result<Option<Followed>, StoreError> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if let Some(followed) = self.poll()? {
                return Ok(Some(followed));
            }
            let left = match deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => timeout,
            };
            if left.is_zero() || self.is_over() {
                return Ok(None);
            }
            let ready = self.set.wait_timeout(left);
            self.woken(ready);
        }
    }

    /// Returns the next event if there is one. Reads the disk if memory does not have the next items,
    /// and otherwise never waits.
    ///
    /// # Errors
    /// Same as [`Follower::wait_next`].
    pub fn poll(&mut self) -> Result<Option<Followed>, StoreError> {
        let ready = self.set.take_ready();
        self.woken(ready);
        match self.ask()? {
            Asked::Event(followed) => Ok(Some(followed)),
            Asked::Idle | Asked::AwaitsEngine => Ok(None),
        }
    }

    /// Returns the next event, or has the task woken once there may be one. `None` is the end, as in
    /// [`Follower::wait_next`]. Reads the disk like [`Follower::poll`], so that an executor should
    /// expect it to block for as long as the disk takes.
    pub fn poll_next_event(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Followed, StoreError>>> {
        loop {
            match self.poll() {
                Ok(Some(followed)) => return Poll::Ready(Some(Ok(followed))),
                Ok(None) if self.is_over() => return Poll::Ready(None),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            match self.set.poll_ready(context.waker()) {
                Poll::Ready(ready) => self.woken(ready),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Waits for the next event in a task, as [`Follower::wait_next`] does in a thread. Dropping the
    /// future loses no event.
    ///
    /// # Errors
    /// Same as [`Follower::wait_next`].
    pub async fn next_event(&mut self) -> Result<Option<Followed>, StoreError> {
        let next = std::future::poll_fn(|context| self.poll_next_event(context));
        next.await.transpose()
    }

    fn is_over(&self) -> bool {
        self.has_ended || self.machines.is_empty()
    }

    fn make_ready(&mut self, number: u64) {
        if let Some(following) = self.machines.get_mut(&number)
            && !std::mem::replace(&mut following.is_ready, true)
        {
            self.ready.push_back(number);
        }
    }

    fn woken(&mut self, numbers: Vec<u64>) {
        for number in numbers {
            if number == BY_STORE {
                self.has_ended |= self.shared.require_open().is_err();
            } else {
                self.make_ready(number);
            }
        }
    }

    /// Asks the vBuckets that may have something, in turn.
    fn ask(&mut self) -> Result<Asked, StoreError> {
        // The reader has dropped its last items by now: their memory may be what others wait for.
        if self.shared.is_memory_wanted() {
            self.shared.memory_due.raise();
        }
        let mut awaits_engine = 0;
        while let Some(number) = self.ready.pop_front() {
            let Some(following) = self.machines.get_mut(&number) else {
                continue;
            };
            match following.turn(&self.shared) {
                Ok(FollowerTurn::Event(event)) => {
                    let vb = following.machine.vb();
                    if matches!(event, FollowerEvent::Ended(_)) {
                        self.machines.remove(&number);
                    } else if following.machine.has_event() {
                        // What was read together comes together. In turn with the others, an item
                        // would wait for all their markers, and its end for all their items.
                        self.ready.push_front(number);
                    } else {
                        self.ready.push_back(number);
                    }
                    return Ok(Asked::Event(Followed { vb, event }));
                }
                Ok(FollowerTurn::Idle | FollowerTurn::Backfill(_)) => following.is_ready = false,
                Err(StoreError::Reopening { .. }) => {
                    self.ready.push_back(number);
                    awaits_engine += 1;
                    if awaits_engine == self.ready.len() {
                        return Ok(Asked::AwaitsEngine);
                    }
                }
                Err(error) => {
                    self.ready.push_back(number);
                    return Err(error);
                }
            }
        }
        Ok(Asked::Idle)
    }
}

impl Following {
    /// Returns the next event, or idle. Runs the steps of a backfill.
    fn turn(&mut self, shared: &Shared) -> Result<FollowerTurn, StoreError> {
        let mut may_be_rolled_back = true;
        loop {
            // Only subscribing needs it, which no event precedes; it takes the vBucket's lock.
            let purge = if self.machine.has_event() {
                Seqno::ZERO
            } else {
                self.partition.purge_seqno()
            };
            let turn = self.machine.next(&self.partition.vbucket, purge, SLICE);
            match turn {
                Ok(FollowerTurn::Backfill(step)) => match shared.slot.engine() {
                    Ok((engine, _)) => self.machine.backfilled(step.run(&*engine)),
                    Err(error) => {
                        let path = shared.dir.clone();
                        self.machine
                            .backfilled(step.failed(EngineError::Closed { path }));
                        // The error that this outcome is goes with the reason.
                        let _failed = self.machine.next(&self.partition.vbucket, purge, SLICE);
                        return Err(error);
                    }
                },
                Ok(turn) => return Ok(turn),
                Err(FollowerError::Engine {
                    source: EngineError::Closed { .. },
                    ..
                }) => {
                    // The engine was replaced in between.
                    shared.slot.engine()?;
                }
                Err(FollowerError::NotOnDisk { .. }) if may_be_rolled_back => {
                    // A rollback has changed the disk and not memory yet. It holds the documents.
                    may_be_rolled_back = false;
                    drop(self.partition.documents());
                }
                Err(FollowerError::Engine { source, .. }) => {
                    // The snapshot may be of an engine that was replaced since, whose segments the
                    // open one uses again. The next snapshot is of the open one.
                    let (_, open) = shared.slot.engine()?;
                    if self.failed_in.replace(open) == Some(open) {
                        return Err(source.into());
                    }
                }
                Err(error) => return Err(StoreError::Follower(error)),
            }
        }
    }
}

impl Iterator for Follower {
    type Item = Result<Followed, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.wait_next().transpose()
    }
}

#[cfg(feature = "stream")]
impl futures_core::Stream for Follower {
    type Item = Result<Followed, StoreError>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_next_event(context)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.followers.remove(self.registration);
    }
}
