//! Closing flushes every write that was taken, and takes none afterwards (R8).
//!
//! One thread writes under the lock of its vBucket, if the gate is open. Another closes the gate, and
//! then takes what is marked. A write that was taken is marked by then.
#![cfg(checkpoint_loom)]

use std::sync::Arc;

use loom::sync::Mutex;
use loom::thread;
use lowtide_checkpoint::Vbid;
use lowtide_loom_tests::{assert_log_caught, every_order};
use lowtide_persistence::fault::Fault;
use lowtide_persistence::waiting::gate::Gate;
use lowtide_persistence::waiting::inbox::{DirtyMark, Inbox};

const VB: Vbid = Vbid(0);

#[test]
fn store_closing() {
    every_order(|| {
        let gate = Arc::new(Gate::default());
        let inbox = Arc::new(Inbox::<()>::default());
        let documents = Arc::new(Mutex::new(0));
        let writing = {
            let (gate, inbox) = (Arc::clone(&gate), Arc::clone(&inbox));
            let documents = Arc::clone(&documents);
            thread::spawn(move || {
                let mark = DirtyMark::default();
                let mut written = documents.lock().expect("no panic");
                if !gate.is_open() {
                    return false;
                }
                *written += 1;
                inbox.mark(VB, &mark);
                true
            })
        };
        assert!(gate.close(|| drop(documents.lock().expect("no panic"))));
        let marked = inbox.take().dirty.len();
        let was_taken = writing.join().expect("it ends");
        assert_eq!(marked, usize::from(was_taken));
        assert!(!gate.close(|| {}), "it is closed once");
    });
}

#[test]
fn broken_variant_is_caught() {
    assert_log_caught("store_closing", &[Fault::GateClosedBlindly]);
}
