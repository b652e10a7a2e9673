//! A thread that waits until its write is persisted is woken, and told the truth (R3, R4).
//!
//! One thread waits; another advances the persisted seqno, rolls back, or ends it. Looking and
//! registering are one critical section. If they were two, an advance in between would wake no
//! thread, and loom would report a deadlock.
#![cfg(checkpoint_loom)]

use std::sync::Arc;

use loom::thread;
use lowtide_checkpoint::Seqno;
use lowtide_loom_tests::{assert_log_caught, every_order};
use lowtide_persistence::fault::Fault;
use lowtide_persistence::waiting::persisted::{PersistedSeqno, WaitEnd};

/// Waits for a write at seqno 2 concurrently with `change`, and returns the end.
fn wait_beside(change: impl Fn(&PersistedSeqno) + Send + 'static) -> Option<WaitEnd> {
    let persisted = Arc::new(PersistedSeqno::new(Seqno(1)));
    let awaited = persisted.awaited(Seqno(2));
    let changing = {
        let persisted = Arc::clone(&persisted);
        thread::spawn(move || change(&persisted))
    };
    let end = persisted.wait(awaited, |signal| {
        signal.wait();
        true
    });
    changing.join().expect("it ends");
    end
}

#[test]
fn store_persisted() {
    every_order(|| {
        let end = wait_beside(|persisted| {
            persisted.advance(Seqno(1));
            persisted.advance(Seqno(2));
        });
        assert_eq!(end, Some(WaitEnd::Persisted));
    });
}

#[test]
fn store_persisted_and_rolled_back() {
    every_order(|| {
        let end = wait_beside(|persisted| {
            persisted.roll_back(Seqno(1));
            persisted.advance(Seqno(2));
        });
        // The seqno of the new branch is another write.
        assert_eq!(end, Some(WaitEnd::RolledBack(Seqno(1))));
    });
}

#[test]
fn store_persisted_and_closed() {
    every_order(|| {
        let end = wait_beside(|persisted| persisted.end(WaitEnd::Closed));
        assert_eq!(end, Some(WaitEnd::Closed));
    });
}

#[test]
fn broken_variant_is_caught() {
    assert_log_caught("store_persisted", &[Fault::WaiterRegistersLate]);
}
