//! No change waits for the next one: a flusher that sleeps is woken, and reads what was marked (R1,
//! R2).
//!
//! Two writers queue a change and mark their vBucket. The flusher takes the marks, clears them, and
//! then reads. It ends when it has read both changes. If a mark were lost, it would sleep for ever,
//! and loom would report a deadlock.
#![cfg(checkpoint_loom)]

use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use lowtide_checkpoint::Vbid;
use lowtide_loom_tests::{assert_log_caught, every_order};
use lowtide_persistence::fault::Fault;
use lowtide_persistence::waiting::inbox::{DirtyMark, Inbox};

const VB: Vbid = Vbid(0);

#[test]
fn store_inbox() {
    every_order(|| {
        let inbox = Arc::new(Inbox::<()>::default());
        let mark = Arc::new(DirtyMark::default());
        // Changes that are queued and not read, without an order of their own: only the mark gives
        // them one.
        let queued = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..2)
            .map(|_| {
                let (inbox, mark) = (Arc::clone(&inbox), Arc::clone(&mark));
                let queued = Arc::clone(&queued);
                thread::spawn(move || {
                    queued.fetch_add(1, Ordering::Relaxed);
                    inbox.mark(VB, &mark);
                })
            })
            .collect();
        let mut read = 0;
        while read < 2 {
            let mail = inbox.take_or_wait(|signal| {
                signal.wait();
                true
            });
            for _ in mail.dirty {
                mark.clear();
                read = queued.load(Ordering::Relaxed);
            }
        }
        writers
            .into_iter()
            .for_each(|writer| writer.join().expect("it ends"));
    });
}

#[test]
fn broken_variant_is_caught() {
    assert_log_caught(
        "store_inbox",
        &[Fault::InboxLowersLate, Fault::MarkClearedBlindly],
    );
}
