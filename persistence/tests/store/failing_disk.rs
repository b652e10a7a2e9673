//! A store on a disk that fails: what it reports, what it keeps, and how it goes on.

use lowtide_checkpoint::{QuotaConfig, Vbid};

use crate::rig::{LONG, Rig};
use lowtide_persistence::disk::{Fault, PowerLoss};
use lowtide_persistence::{Change, Health, StoreError};

const VB: Vbid = Vbid(0);

/// Guards R3, R5 and F9: a failed sync is survived by reopening, and nothing acknowledged is lost.
#[test]
fn store_reopens_its_engine_after_a_failed_sync() {
    for rig in Rig::each() {
        let store = rig.open();
        let first = store.set(VB, "a", "1").expect("taken");
        first.wait_persisted().expect("a working disk");
        for round in 0..3 {
            rig.disk.fail_sync(1);
            let write = store.set(VB, &format!("key-{round}"), "x").expect("taken");
            write.wait_persisted().expect("it is written again");
        }
        let health = store.wait_for_health(Health::is_serving, LONG);
        assert!(health.is_serving(), "{health}");
        drop(store);
        rig.disk.crash(PowerLoss::DropUnsynced);
        let store = rig.open();
        for key in ["a", "key-0", "key-1", "key-2"] {
            assert!(store.get(VB, key).expect("readable").is_some(), "{key}");
        }
    }
}

/// Guards R3: a write that fails is written again, by itself.
#[test]
fn store_writes_again_after_a_failed_write() {
    for rig in Rig::each() {
        let store = rig.open();
        for fault in [Fault::Eio, Fault::Enospc, Fault::Torn { bytes: 7 }] {
            rig.disk.fail_write(1, fault);
            let write = store.set(VB, "a", format!("{fault:?}")).expect("taken");
            write.wait_persisted().expect("it is written again");
        }
        store.close().expect("a working disk");
    }
}

/// A dead disk: writes are taken as long as memory allows, then refused with a typed error. When the
/// disk works again, everything that was taken becomes durable.
#[test]
fn store_takes_writes_until_memory_is_used_up_while_the_disk_fails() {
    for rig in Rig::each() {
        let quota = QuotaConfig::default().with_limit_bytes(1 << 20);
        let store = rig.open_with(rig.options().with_quota(quota));
        rig.break_disk();
        let mut taken = 0_u64;
        let refused = loop {
            match store.set(VB, &format!("key-{taken}"), vec![7; 1_000]) {
                Ok(_) => taken += 1,
                Err(error) => break error,
            }
        };
        assert!(
            matches!(refused, StoreError::NoMemory { used_bytes, limit_bytes, .. } if used_bytes >= limit_bytes),
            "{refused}"
        );
        assert!(taken > 500, "{taken}");
        let health = store.wait_for_health(|health| !health.is_serving(), LONG);
        assert!(
            matches!(&health, Health::Retrying(_) | Health::Reopening(_)),
            "{health}"
        );
        rig.disk.clear_faults();
        assert!(store.wait_for_memory(LONG).expect("it is open"));
        store.flush(VB).expect("the disk works");
        assert!(store.wait_for_health(Health::is_serving, LONG).is_serving());
        assert_eq!(store.persisted_seqno(VB).expect("there").0, taken);
        let _taken = store.set(VB, "after", "x").expect("there is memory");
        store.close().expect("the disk works");
    }
}

#[test]
fn store_that_closes_on_a_dead_disk_says_what_is_lost() {
    for rig in Rig::each() {
        let store = rig.open();
        store
            .set(VB, "a", "1")
            .expect("taken")
            .wait_persisted()
            .expect("a working disk");
        rig.break_disk();
        let _taken = store.set(VB, "b", "2").expect("taken");
        let error = store.close().expect_err("the disk is dead");
        let lost = error
            .unflushed
            .iter()
            .map(|lost| (lost.vb, lost.persisted.0, lost.high.0));
        assert_eq!(lost.collect::<Vec<_>>(), [(VB, 1, 2)]);
        assert!(
            error
                .to_string()
                .contains("1 vBuckets could not be flushed"),
            "{error}"
        );
        drop(store);
        rig.disk.clear_faults();
        rig.disk.crash(PowerLoss::DropUnsynced);
        let store = rig.open();
        assert!(!store.report().was_orderly);
        assert!(store.get(VB, "a").expect("readable").is_some());
        assert!(store.get(VB, "b").expect("readable").is_none());
    }
}

/// Guards R3 under load: threads that wait while syncs fail again and again are all told the truth.
#[test]
fn every_wait_ends_well_while_syncs_fail_now_and_then() {
    for rig in Rig::each() {
        let store = rig.open();
        std::thread::scope(|scope| {
            for writer in 0..4_u16 {
                let (store, rig) = (&store, &rig);
                scope.spawn(move || {
                    for number in 0..40 {
                        if number % 8 == 7 {
                            rig.disk.fail_sync(3);
                        }
                        let key = format!("{writer}-{number}");
                        let change = Change::set(&key, key.clone());
                        let write = store.write(Vbid(writer), change).expect("taken");
                        write.wait_persisted().expect("it is written in the end");
                    }
                });
            }
        });
        rig.disk.clear_faults();
        drop(store);
        rig.disk.crash(PowerLoss::DropUnsynced);
        let store = rig.open();
        for writer in 0..4_u16 {
            for number in 0..40 {
                let key = format!("{writer}-{number}");
                let found = store.get(Vbid(writer), &key).expect("readable");
                assert_eq!(&found.expect("acknowledged").value[..], key.as_bytes());
            }
        }
    }
}
