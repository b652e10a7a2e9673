//! Random steps of a host against a naive model of a shard, which looks at everything each time.

use std::collections::BTreeSet;

use lowtide_checkpoint::ReadLimit;
use proptest::prelude::*;

use super::*;
use crate::disk::Fault;

/// A step of a host.
#[derive(Clone, Copy, Debug)]
enum Step {
    Set(Vbid),
    Hold(Vbid),
    Release(Vbid),
    /// Begins a flush, whether the shard is due or not.
    Begin,
    /// Commits the flush in flight and reports it.
    Finish,
    Abandon,
    FailWrite,
    FailSync,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let vb = (0..2_u16).prop_map(Vbid);
    let step = prop_oneof![
        4 => vb.clone().prop_map(Step::Set),
        2 => vb.clone().prop_map(Step::Hold),
        3 => vb.prop_map(Step::Release),
        4 => Just(Step::Begin),
        4 => Just(Step::Finish),
        1 => Just(Step::Abandon),
        1 => Just(Step::FailWrite),
        1 => Just(Step::FailSync),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..60)
}

/// A host of a shard, and a naive model of that.
struct Host {
    rig: Rig,
    group: Option<FlushGroup>,
    dirty: BTreeSet<Vbid>,
    held: BTreeSet<Vbid>,
    /// Held vBuckets that were left out when the store was reopened.
    stale: BTreeSet<Vbid>,
    is_poisoned: bool,
    /// Number of writes, which all have a key of their own.
    writes: usize,
    /// The shard woke the host, which has begun no flush since.
    is_woken: bool,
}

impl Host {
    fn new() -> Self {
        let mut rig = rig();
        rig.shard.flusher = Flusher::new(ReadLimit::NONE.with_items(2));
        let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(1)));
        for vb in [ONE, TWO] {
            rig.shard.attach(vb, state.clone(), Seqno::ZERO);
        }
        Self {
            rig,
            group: None,
            dirty: BTreeSet::new(),
            held: BTreeSet::new(),
            stale: BTreeSet::new(),
            is_poisoned: false,
            writes: 0,
            is_woken: false,
        }
    }

    /// Returns `true` if not everything of the vBucket is persisted, by its manager.
    fn is_behind(&self, vb: Vbid) -> bool {
        self.rig.shard.persisted_seqno(vb) < Some(self.rig.vbucket(vb).high_seqno())
    }

    fn is_due(&self) -> bool {
        let has_some = self.dirty.difference(&self.held).next().is_some();
        self.group.is_none() && !self.is_poisoned && has_some
    }

    /// Checks what always holds.
    fn check(&self) {
        assert_eq!(self.rig.shard.is_due(), self.is_due(), "F8");
        for vb in [ONE, TWO] {
            let is_known = self.dirty.contains(&vb) || self.rig.shard.is_flushing(vb);
            assert!(is_known || !self.is_behind(vb), "F8: {vb} is forgotten");
        }
    }

    fn told(&mut self, next: FlushNext) {
        match next {
            FlushNext::Idle => {}
            FlushNext::Due | FlushNext::After { .. } => self.is_woken = true,
            FlushNext::Reopen => self.is_poisoned = true,
        }
    }

    /// Runs a step whose result says whether the shard became due.
    fn change(&mut self, step: impl FnOnce(&mut Self) -> bool) {
        let was_due = self.is_due();
        let became_due = step(self);
        self.is_woken |= became_due;
        assert_eq!(became_due, !was_due && self.is_due(), "F8");
    }

    fn begin(&mut self) {
        let was_due = self.is_due();
        let free: BTreeSet<_> = self.dirty.difference(&self.held).copied().collect();
        let behind = free.iter().copied().filter(|&vb| self.is_behind(vb));
        let behind: BTreeSet<_> = behind.collect();
        self.is_woken = false;
        let Some(group) = self.rig.begin() else {
            assert!(!was_due || behind.is_empty(), "F8");
            if was_due {
                self.dirty.retain(|vb| !free.contains(vb));
            }
            return;
        };
        assert!(was_due, "F6, F9");
        // A reopened store may have what a batch has.
        let flushed: BTreeSet<_> = group.vbuckets().collect();
        assert!(flushed.is_subset(&free), "F7");
        assert!(behind.is_subset(&flushed), "F8");
        self.dirty.retain(|vb| !free.contains(vb));
        self.group = Some(group);
    }

    fn finish(&mut self) {
        if let Some(group) = self.group.take() {
            let outcome = self.rig.commit(group);
            let is_left = |flushed: &&Flushed| {
                let result = flushed.result.as_ref();
                result.is_err() || result.is_ok_and(|persisted| persisted.more)
            };
            let left = outcome.flushed.iter().filter(is_left);
            self.dirty.extend(left.map(|flushed| flushed.vb));
            self.told(outcome.next);
        }
    }

    /// Reopens the store, alone.
    fn reopen(&mut self) {
        self.finish();
        self.rig.disk.clear_faults();
        self.rig.shard.await_reopening();
        self.is_poisoned = true;
        self.change(|host| {
            host.is_poisoned = false;
            let free = [ONE, TWO].into_iter().filter(|vb| !host.held.contains(vb));
            let free: Vec<_> = free.collect();
            host.dirty.extend(free);
            host.rig.reopen()
        });
        self.stale.extend(&self.held);
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Set(vb) => self.change(|host| {
                host.writes += 1;
                host.dirty.insert(vb);
                host.rig.set(vb, &host.writes.to_string())
            }),
            Step::Hold(vb) => {
                self.held.insert(vb);
                self.rig.shard.hold(vb);
            }
            Step::Release(vb) => {
                self.attach_if_stale(vb);
                self.change(|host| {
                    host.held.remove(&vb);
                    host.rig.shard.release(vb)
                });
            }
            Step::Begin => self.begin(),
            Step::Finish => self.finish(),
            Step::Abandon => {
                let vbs = self.group.take().map(|group| vbuckets(&group));
                let next = self.rig.shard.abandon();
                self.dirty.extend(vbs.unwrap_or_default());
                self.told(next);
            }
            Step::FailWrite => self.rig.disk.fail_write(1, Fault::Eio),
            Step::FailSync => self.rig.disk.fail_sync(1),
            Step::Reopen => self.reopen(),
        }
        self.check();
    }

    /// Attaches a vBucket that was held while the store was reopened, as the call does for which it
    /// was held. The call waits for the flush in flight.
    fn attach_if_stale(&mut self, vb: Vbid) {
        if !self.stale.remove(&vb) {
            return;
        }
        if self.rig.shard.is_flushing(vb) {
            self.finish();
        }
        self.change(|host| {
            host.dirty.insert(vb);
            host.rig.attach(vb);
            host.rig.shard.queued(vb)
        });
    }

    /// Does only what the shard asks for, until it asks for nothing.
    fn settle(&mut self) {
        self.rig.disk.clear_faults();
        self.finish();
        for vb in [ONE, TWO] {
            self.run(Step::Release(vb));
        }
        // Each flush of a sound store persists something, and a reopened store stays open.
        let mut left = self.writes + 8;
        while self.is_woken || self.is_poisoned {
            assert!(left > 0, "F8, F9: a sound store asks for flush after flush");
            left -= 1;
            if self.is_poisoned {
                self.reopen();
            }
            if self.is_woken {
                self.begin();
                self.finish();
            }
        }
    }
}

proptest! {
    /// Guards F6, F7, F8 and F9: a host that does only what the shard asks for persists everything.
    #[test]
    fn shard_asks_for_every_flush_and_for_no_other(steps in steps()) {
        let mut host = Host::new();
        for step in steps {
            host.run(step);
        }
        host.settle();
        prop_assert!(host.rig.shard.is_idle());
        for vb in [ONE, TWO] {
            let high = host.rig.vbucket(vb).high_seqno();
            prop_assert_eq!(host.rig.shard.persisted_seqno(vb), Some(high));
            prop_assert_eq!(host.rig.high_on_disk(vb), high);
        }
    }
}
