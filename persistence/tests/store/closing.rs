//! Opening, closing, and dropping: what is there afterwards.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use lowtide_checkpoint::{QuotaConfig, ReadLimit, State, VbUuid, Vbid};

use crate::rig::{LONG, Rig};
use lowtide_persistence::disk::PowerLoss;
use lowtide_persistence::{Budget, Health, Store, StoreError, StoreOptions};

const VB: Vbid = Vbid(2);

fn branches(store: &Store) -> Vec<VbUuid> {
    let log = store.failover_log(VB).expect("it is there");
    log.entries().iter().map(|entry| entry.uuid).collect()
}

/// Guards R7 and R8.
#[test]
fn closed_store_comes_back_whole_and_on_its_branch() {
    for rig in Rig::each() {
        let store = rig.open();
        for number in 0..500 {
            let _taken = store
                .set(VB, &format!("key-{number}"), "value")
                .expect("taken");
        }
        let branches_before = branches(&store);
        store.close().expect("a working disk");
        let refused = store.set(VB, "late", "x").map(drop);
        assert!(matches!(refused, Err(StoreError::Closed)));
        assert!(matches!(
            store.get(VB, "key-499"),
            Ok(Some(_)) | Err(StoreError::Closed)
        ));
        store.close().expect("closing again does nothing");
        assert!(matches!(store.health(), Health::Closed));
        drop(store);
        rig.disk.crash(PowerLoss::DropUnsynced);

        let store = rig.open();
        assert!(store.report().was_orderly);
        assert_eq!(branches(&store), branches_before);
        assert!(store.get(VB, "key-499").expect("readable").is_some());
        assert_eq!(store.high_seqno(VB).expect("there").0, 500);
    }
}

/// Guards R8: a sync that fails once, just before a store is closed or while it closes, loses nothing.
#[test]
fn store_that_closes_on_a_disk_that_failed_once_flushes_everything() {
    for rig in Rig::each() {
        for number in 0..20 {
            let store = rig.open();
            rig.disk.fail_sync(1);
            let key = format!("key-{number}");
            let _taken = store.set(VB, &key, "value").expect("taken");
            store.close().expect("the disk works again");
            drop(store);
            rig.disk.clear_faults();
            let store = rig.open();
            assert!(store.report().was_orderly);
            assert!(store.get(VB, &key).expect("readable").is_some());
            store.close().expect("a working disk");
        }
    }
}

/// Guards against a store that closes for ever: its engine can be reopened, and each sync fails.
#[test]
fn store_that_closes_while_every_sync_fails_says_what_is_lost() {
    for rig in Rig::each() {
        let store = rig.open();
        let write = store.set(VB, "a", "1").expect("taken");
        write.wait_persisted().expect("a working disk");
        for later in 1..1_000 {
            rig.disk.fail_sync(later);
        }
        let _taken = store.set(VB, "b", "2").expect("taken");
        let error = store.close().expect_err("no sync succeeds");
        assert_eq!(error.unflushed.len(), 1, "{error}");
    }
}

/// Guards R3 and R7: the mark of an orderly stop is gone as soon as the store is open.
#[test]
fn dropped_store_has_what_was_acknowledged_and_begins_a_branch() {
    for rig in Rig::each() {
        let store = rig.open();
        let write = store.set(VB, "a", "1").expect("taken");
        write.wait_persisted().expect("a working disk");
        store.close().expect("a working disk");
        drop(store);
        for round in 0..2 {
            let store = rig.open();
            assert_eq!(store.report().was_orderly, round == 0);
            let branches_before = branches(&store).len();
            assert_eq!(branches_before, 1 + round);
            let write = store.set(VB, "a", "2").expect("taken");
            assert!(write.wait_persisted_for(LONG).expect("it stays open"));
            assert!(write.is_persisted());
            drop(store);
            rig.disk.crash(PowerLoss::DropUnsynced);
        }
        let store = rig.open();
        let document = store
            .get(VB, "a")
            .expect("readable")
            .expect("it was acknowledged");
        assert_eq!(&document.value[..], b"2");
    }
}

/// Guards R3.
#[test]
fn waiting_for_a_write_ends_when_the_store_is_dropped() {
    let rig = Rig::new(false);
    let store = rig.open();
    rig.break_disk();
    let write = store.set(VB, "a", "1").expect("taken");
    assert!(!write.is_persisted());
    let mut future = pin!(write.persisted());
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| write.wait_persisted());
        drop(store);
        assert!(matches!(
            waiter.join().expect("no panic"),
            Err(StoreError::Closed)
        ));
    });
    let polled = future.as_mut().poll(&mut context);
    assert!(matches!(
        polled,
        std::task::Poll::Ready(Err(StoreError::Closed))
    ));
}

/// Guards R9.
#[test]
fn created_vbucket_has_its_state_after_a_crash() {
    for rig in Rig::each() {
        let store = rig.open();
        store
            .create_vbucket(Vbid(9), State::Replica)
            .expect("it is new");
        let twice = store.create_vbucket(Vbid(9), State::Active);
        assert!(matches!(twice, Err(StoreError::VBucketExists { .. })));
        store.drop_vbucket(Vbid(3)).expect("it is there");
        drop(store);
        rig.disk.crash(PowerLoss::DropUnsynced);
        let store = rig.open_with(rig.options().with_vbuckets(2));
        let active = |vb| (Vbid(vb), State::Active);
        let expected = [active(0), active(1), active(2), (Vbid(9), State::Replica)];
        assert_eq!(store.vbuckets(), expected);
        let refused = store.set(Vbid(9), "a", "1").map(drop);
        assert!(matches!(refused, Err(StoreError::VBucket(_))));
    }
}

#[test]
fn directory_of_an_open_store_is_refused() {
    let rig = Rig::new(false);
    let _store = rig.open();
    let second = Store::open("/store", rig.options()).map(drop);
    assert!(matches!(second, Err(StoreError::Engine(_))), "{second:?}");
}

#[test]
fn store_without_flushers_is_refused() {
    let options: StoreOptions = Rig::new(false).options().with_flushers(0);
    let refused = Store::open("/store", options).map(drop);
    assert!(matches!(refused, Err(StoreError::InvalidOption(_))));
}

#[test]
fn each_setter_of_store_options_sets_its_own_field() {
    let quota = QuotaConfig::default().with_limit_bytes(1 << 20);
    let flush_limit = ReadLimit::NONE.with_items(4);
    let options = StoreOptions::couchstore()
        .with_vbuckets(2)
        .with_flushers(3)
        .with_quota(quota)
        .with_cache_bytes(5)
        .with_flush_limit(flush_limit)
        .with_upkeep_budget(Budget::new(6, 7));
    assert_eq!((options.vbuckets, options.flushers), (2, 3));
    assert_eq!((options.quota, options.cache_bytes), (quota, 5));
    assert_eq!(options.flush_limit, flush_limit);
    assert_eq!(options.upkeep_budget, Budget::new(6, 7));
}
