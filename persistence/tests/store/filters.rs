//! Filters of keys: with an engine that reads its files to learn that a key is absent, new and
//! missing keys need no read.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use lowtide_checkpoint::Vbid;
use lowtide_persistence::{Store, StoreEvent, StoreObserver};

use crate::rig::{LONG, Rig};

const VB: Vbid = Vbid(1);

/// Passes on how many keys of the vBucket were filtered.
#[derive(Debug)]
struct Filtered(Sender<usize>);

impl StoreObserver for Filtered {
    fn observe(&self, event: &StoreEvent<'_>) {
        if let StoreEvent::KeysFiltered { vb: VB, keys, .. } = *event {
            let _test_is_over = self.0.send(keys);
        }
    }
}

fn open(rig: &Rig) -> (Store, Receiver<usize>) {
    let (filtered, keys) = channel();
    let options = rig.options().with_observer(Arc::new(Filtered(filtered)));
    (rig.open_with(options.with_cache_bytes(0)), keys)
}

fn write(store: &Store, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let _ = store.set(VB, &format!("key {number}"), "v").expect("taken");
    }
    store.flush(VB).expect("a working disk");
}

/// Guards D6, and the purpose of filters.
#[test]
fn absent_keys_need_no_read_and_others_are_found() {
    let rig = Rig::new(true);
    let (store, _) = open(&rig);
    write(&store, 0..300);
    store.close().expect("a working disk");
    let (store, filtered) = open(&rig);
    assert_eq!(filtered.recv_timeout(LONG), Ok(300));
    for number in 0..300 {
        let found = store.get(VB, &format!("key {number}"));
        assert!(found.expect("readable").is_some(), "key {number}");
    }
    let before = store.stats().documents;
    for number in 300..600 {
        let found = store.get(VB, &format!("key {number}"));
        assert_eq!(found.expect("readable"), None);
    }
    write(&store, 600..900);
    let after = store.stats().documents;
    // One of 180 absent keys passes.
    assert!(after.misses - before.misses < 20, "{before:?}, {after:?}");
    assert!(after.filtered - before.filtered > 580);
    let found = store.get(VB, "key 899").expect("readable");
    assert!(found.is_some(), "it was put after the scan");
}

/// Guards against a filter that lets everything pass once a vBucket has grown.
#[test]
fn vbucket_that_grows_gets_a_larger_filter() {
    let rig = Rig::new(true);
    let (store, filtered) = open(&rig);
    assert_eq!(filtered.recv_timeout(LONG), Ok(0));
    // The first filter is for 1,024 keys, and overfull with twice as many.
    write(&store, 0..2_500);
    filtered.recv_timeout(LONG).expect("a larger one is filled");
    let before = store.stats().documents.misses;
    for number in 10_000..11_000 {
        let found = store.get(VB, &format!("key {number}"));
        assert_eq!(found.expect("readable"), None);
    }
    let misses = store.stats().documents.misses - before;
    assert!(misses < 50, "{misses} of 1,000 absent keys passed");
}

/// An index in memory is no worse than a filter.
#[test]
fn engine_with_an_index_of_keys_needs_no_filter() {
    let rig = Rig::new(false);
    let (store, filtered) = open(&rig);
    write(&store, 0..3_000);
    store.close().expect("a working disk");
    drop(store);
    assert!(filtered.try_recv().is_err(), "no thread fills one");
}
