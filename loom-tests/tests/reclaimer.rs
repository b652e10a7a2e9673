//! Everything given to a reclaimer is freed, and its thread sleeps through neither an item nor a
//! stop.
//!
//! One thread frees; another fills a manager, expels and stops it. Finding nothing and arming the
//! wake-up are one step of the reclaimer's lock. If they were two, an item or a stop in between
//! would wake no thread, and loom would report a deadlock.
#![cfg(checkpoint_loom)]

use loom::thread;
use lowtide_checkpoint::fault::Fault;
use lowtide_checkpoint::{
    CheckpointConfig, CheckpointManager, Quota, QuotaConfig, Reclaimer, Seqno,
};
use lowtide_loom_tests::{assert_caught, every_order, set};

#[test]
fn reclaimer() {
    every_order(|| {
        let quota = Quota::new(QuotaConfig::default().with_limit_bytes(1 << 20));
        let (quota, reclaimer) = (quota.expect("the marks are in order"), Reclaimer::new());
        let freeing = {
            let reclaimer = reclaimer.clone();
            thread::spawn(move || reclaimer.run())
        };
        let (quota_of, reclaimer_of) = (Some(quota.clone()), Some(reclaimer.clone()));
        let config = CheckpointConfig::in_memory()
            .with_quota(quota_of)
            .with_reclaimer(reclaimer_of);
        let manager = CheckpointManager::new(config, Seqno::ZERO);
        set(&manager, "a");
        manager.expel();
        reclaimer.stop();
        freeing.join().expect("it ends");
        assert_eq!((quota.used_bytes(), reclaimer.pending_bytes()), (0, 0));
    });
}

#[test]
fn broken_variant_is_caught() {
    assert_caught("reclaimer", &[Fault::ReclaimerLowersLate]);
}
