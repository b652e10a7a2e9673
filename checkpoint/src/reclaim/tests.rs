//! Reclaiming: what stays charged, and who frees it.

use bytes::Bytes;

use super::reclaimer::Reclaimer;
use crate::manager::{CheckpointConfig, CheckpointManager};
use crate::memory::{Quota, QuotaConfig};
use crate::model::{Item, Key, Seqno};

fn managed(reclaimer: &Reclaimer) -> (CheckpointManager, Quota) {
    let quota = Quota::new(QuotaConfig {
        limit_bytes: 1 << 20,
        ..QuotaConfig::default()
    })
    .expect("valid");
    let (quota_of, reclaimer) = (Some(quota.clone()), Some(reclaimer.clone()));
    let config = CheckpointConfig {
        quota: quota_of,
        reclaimer,
        ..CheckpointConfig::in_memory()
    };
    (CheckpointManager::new(config, Seqno::ZERO), quota)
}

fn fill_and_expel(manager: &CheckpointManager) {
    for key in 0..100_u8 {
        manager
            .queue(Item::mutation(
                Key::new(&[key]),
                Bytes::from(vec![key; 100]),
            ))
            .expect("active");
    }
    assert_eq!(manager.expel(), 100);
    manager.expel();
}

#[test]
fn memory_stays_charged_until_reclaimed() {
    let reclaimer = Reclaimer::new();
    let (manager, quota) = managed(&reclaimer);
    assert!(!reclaimer.reclaim(), "there is nothing yet");
    fill_and_expel(&manager);
    let stats = manager.stats();
    assert_eq!((stats.items, stats.queue_bytes), (0, 0));
    assert!(
        reclaimer.pending_bytes() > 100 * 100,
        "{}",
        reclaimer.pending_bytes()
    );
    assert_eq!(quota.used_bytes(), reclaimer.pending_bytes());
    assert!(reclaimer.reclaim());
    assert_eq!((quota.used_bytes(), reclaimer.pending_bytes()), (0, 0));
}

#[test]
fn run_frees_until_stopped() {
    let reclaimer = Reclaimer::new();
    let (manager, quota) = managed(&reclaimer);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| reclaimer.run())).collect();
        (0..10).for_each(|_| fill_and_expel(&manager));
        reclaimer.stop();
        threads
            .into_iter()
            .for_each(|thread| thread.join().expect("it ends"));
    });
    assert_eq!((quota.used_bytes(), reclaimer.pending_bytes()), (0, 0));
    fill_and_expel(&manager);
    reclaimer.run();
    assert_eq!(
        quota.used_bytes(),
        0,
        "stopped, it frees what there is and returns"
    );
}

#[test]
fn unreclaimed_memory_is_freed_with_the_last_handle() {
    let reclaimer = Reclaimer::new();
    let (manager, quota) = managed(&reclaimer);
    fill_and_expel(&manager);
    drop(reclaimer);
    assert!(quota.used_bytes() > 0);
    drop(manager);
    assert_eq!(quota.used_bytes(), 0);
}
