//! A store that is dropped while a flush is in flight ends every wait, once and truthfully (R3, R4,
//! R8).
//!
//! A writer writes under the lock of its vBucket, if the gate is open, and waits. The flusher commits
//! the marked vBucket, and ends at a command. The handle is dropped as a crash is: it closes the
//! gate, stops the flusher, waits for its end, and then ends all waiting. If a wait outlived that, or
//! the flusher did, loom would report a deadlock.
#![cfg(checkpoint_loom)]

use std::sync::Arc;
use std::sync::atomic::AtomicUsize as Count;
use std::task::{Poll, Wake, Waker};

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread::{self, JoinHandle};
use lowtide_checkpoint::{Seqno, Vbid};
use lowtide_loom_tests::{assert_log_caught, every_order};
use lowtide_persistence::fault::Fault;
use lowtide_persistence::waiting::gate::Gate;
use lowtide_persistence::waiting::inbox::{DirtyMark, Inbox};
use lowtide_persistence::waiting::persisted::{Awaited, PersistedSeqno, WaitEnd};

const VB: Vbid = Vbid(0);
/// The high seqno before the write, in memory and on disk.
const BEFORE: Seqno = Seqno(1);

/// The command to a flusher to end.
struct Stop;

/// A store with one vBucket.
struct Store {
    gate: Gate,
    inbox: Inbox<Stop>,
    mark: DirtyMark,
    persisted: PersistedSeqno,
    /// The high seqno in memory.
    documents: Mutex<Seqno>,
    /// The high seqno on disk.
    disk: AtomicU64,
}

impl Store {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            gate: Gate::default(),
            inbox: Inbox::default(),
            mark: DirtyMark::default(),
            persisted: PersistedSeqno::new(BEFORE),
            documents: Mutex::new(BEFORE),
            disk: AtomicU64::new(BEFORE.0),
        })
    }

    /// Takes a write, unless the store is closed.
    fn write(&self) -> Option<Awaited> {
        let mut high = self.documents.lock().expect("no panic");
        if !self.gate.is_open() {
            return None;
        }
        *high = high.next();
        self.inbox.mark(VB, &self.mark);
        Some(self.persisted.awaited(*high))
    }

    /// Flushes until the command to stop, as a flusher thread does.
    fn flush(&self) {
        loop {
            let mail = self.inbox.take_or_wait(|signal| {
                signal.wait();
                true
            });
            let is_last = !mail.commands.is_empty();
            for _ in &mail.dirty {
                self.mark.clear();
            }
            if is_last {
                return self.inbox.end();
            }
            let high = *self.documents.lock().expect("no panic");
            self.disk.store(high.0, Ordering::Relaxed);
            self.persisted.advance(high);
        }
    }

    /// Drops the store while its flusher may be at work.
    fn crash(&self, flusher: JoinHandle<()>) {
        self.gate
            .close(|| drop(self.documents.lock().expect("no panic")));
        self.inbox.send(Stop);
        flusher.join().expect("it ends");
        self.persisted.end(WaitEnd::Closed);
    }

    fn assert_truth(&self, awaited: Awaited, end: WaitEnd) {
        let disk = Seqno(self.disk.load(Ordering::Relaxed));
        match end {
            WaitEnd::Persisted => assert!(awaited.seqno <= disk, "{disk} is on disk"),
            // It may be on disk, but was not reported to be.
            WaitEnd::Closed => {}
            end => panic!("{end:?} of a store that was dropped"),
        }
    }
}

fn start(store: &Arc<Store>) -> JoinHandle<()> {
    let store = Arc::clone(store);
    thread::spawn(move || store.flush())
}

#[test]
fn store_dropped() {
    every_order(|| {
        let store = Store::new();
        let flusher = start(&store);
        let waiting = {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                let Some(awaited) = store.write() else {
                    return;
                };
                let end = store.persisted.wait(awaited, |signal| {
                    signal.wait();
                    true
                });
                store.assert_truth(awaited, end.expect("a wait without a limit has an end"));
            })
        };
        store.crash(flusher);
        waiting.join().expect("it ends");
    });
}

/// Counts how often a task was woken.
#[derive(Default)]
struct Woken(Count);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

#[test]
fn store_dropped_with_a_task() {
    every_order(|| {
        let store = Store::new();
        let awaited = store.write().expect("it is open");
        let flusher = start(&store);
        let woken = Arc::new(Woken::default());
        let polling = {
            let (store, woken) = (Arc::clone(&store), Arc::clone(&woken));
            thread::spawn(move || {
                let mut place = None;
                let waker = Waker::from(woken);
                let first = store.persisted.poll(awaited, &waker, &mut place);
                if let Poll::Ready(end) = first {
                    store.assert_truth(awaited, end);
                }
                (first, place)
            })
        };
        store.crash(flusher);
        let (first, mut place) = polling.join().expect("it ends");
        let was_pending = first.is_pending();
        let woken_before = woken.0.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(woken_before, usize::from(was_pending), "woken exactly once");
        if was_pending {
            let waker = Waker::from(woken);
            match store.persisted.poll(awaited, &waker, &mut place) {
                Poll::Ready(end) => store.assert_truth(awaited, end),
                Poll::Pending => panic!("a task waits for a store that was dropped"),
            }
        }
    });
}

#[test]
fn broken_variant_is_caught() {
    let faults = [Fault::EndIsNotKept, Fault::WakeUpTakenForPersisted];
    assert_log_caught("store_dropped", &faults);
    assert_log_caught("store_dropped_with_a_task", &[Fault::EndIsNotKept]);
}
