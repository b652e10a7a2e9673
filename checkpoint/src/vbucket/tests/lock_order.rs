//! The order of the vBucket's lock and its manager's, which debug builds verify.

use super::*;

#[test]
#[should_panic(expected = "lock order: VBucket::locked is taken")]
fn vbucket_locked_under_its_managers_lock_panics() {
    let (vbucket, _) = vbucket(State::Active);
    let items = std::iter::from_fn(|| {
        drop(vbucket.failover_log());
        None
    });
    let _queued = vbucket.manager().queue_all(items, &mut Vec::new());
}

#[test]
#[should_panic(expected = "lock order: CheckpointManager's Shared::state is taken")]
fn manager_called_under_its_own_lock_panics() {
    let (vbucket, _) = vbucket(State::Active);
    let items = std::iter::from_fn(|| {
        assert_eq!(vbucket.high_seqno(), Seqno::ZERO);
        None
    });
    let _queued = vbucket.manager().queue_all(items, &mut Vec::new());
}
