//! A thread that waits for its write may flush in its flusher's place, and no change is left behind
//! (R13).
//!
//! Two writers queue a change, mark their vBucket, lead if the flusher sleeps, and wait until their
//! change is persisted. If what the other writer marked meanwhile woke no flusher, it would wait for
//! ever, and loom would report a deadlock. Models have no time: a doze ends at once, or never.
#![cfg(checkpoint_loom)]

use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use lowtide_checkpoint::internal::sync::Signal;
use lowtide_checkpoint::{Seqno, Vbid};
use lowtide_loom_tests::{assert_log_caught, every_order_of};
use lowtide_persistence::fault::Fault;
use lowtide_persistence::waiting::inbox::{DirtyMark, Inbox};
use lowtide_persistence::waiting::persisted::{PersistedSeqno, WaitEnd};

const VB: Vbid = Vbid(0);

/// Number of preemptions: three threads with five critical sections each.
const PREEMPTIONS: usize = 2;

struct World {
    inbox: Inbox<(), Shard>,
    mark: DirtyMark,
    /// The seqno of the last change, without an order of its own: only the mark gives it one.
    queued: AtomicU64,
    persisted: PersistedSeqno,
}

/// Number of flushes.
struct Shard(usize);

impl World {
    fn flush(&self, shard: &mut Shard, dirty: &[Vbid]) {
        for _ in dirty {
            self.mark.clear();
            shard.0 += 1;
            let read = Seqno(self.queued.load(Ordering::Relaxed));
            self.persisted.advance(read);
        }
    }

    fn write(&self) {
        let seqno = Seqno(self.queued.fetch_add(1, Ordering::Relaxed) + 1);
        self.inbox.mark(VB, &self.mark);
        if let Some((mut shard, dirty)) = self.inbox.lead() {
            self.flush(&mut shard, &dirty);
            self.inbox.give_back(shard, true);
        }
        let awaited = self.persisted.awaited(seqno);
        let end = self.persisted.wait(awaited, |signal| {
            signal.wait();
            true
        });
        assert_eq!(end, Some(WaitEnd::Persisted));
    }

    fn run_flusher(&self, doze: fn(&Signal)) {
        let mut shard = Shard(0);
        loop {
            let left = self.inbox.leave(shard, doze, Signal::wait);
            let (back, mail) = left.expect("it has not ended");
            shard = back;
            self.flush(&mut shard, &mail.dirty);
            if !mail.commands.is_empty() {
                assert!((1..=2).contains(&shard.0), "each flush takes a mark");
                return;
            }
        }
    }
}

fn race(doze: fn(&Signal)) {
    every_order_of(PREEMPTIONS, move || {
        let world = Arc::new(World {
            inbox: Inbox::default(),
            mark: DirtyMark::default(),
            queued: AtomicU64::new(0),
            persisted: PersistedSeqno::new(Seqno::ZERO),
        });
        let flusher = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.run_flusher(doze))
        };
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.write())
        };
        world.write();
        other.join().expect("it ends");
        world.inbox.send(());
        flusher.join().expect("it ends");
    });
}

/// A flusher that dozes is woken for whatever a thread waits for.
#[test]
fn store_leading() {
    race(Signal::wait);
}

/// A flusher whose doze has ended looks by itself.
#[test]
fn store_leading_after_a_doze() {
    race(|_| thread::yield_now());
}

#[test]
fn broken_variant_is_caught() {
    assert_log_caught("store_leading", &[Fault::LeaderLeavesMail]);
}
