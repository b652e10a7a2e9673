//! Recovery over several vBuckets: the order of its steps, and its end.

use bytes::Bytes;
use lowtide_checkpoint::{
    CheckpointConfig, CursorOptions, FailoverLog, Item, Key, QuotaConfig, ReadLimit, Seqno, State,
    VBucketState, VbUuid, Vbid,
};

use super::*;

const LIMIT_BYTES: usize = 256 << 10;

fn vbuckets(quota: &Quota) -> Vec<VBucket> {
    let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(1)));
    // Everything stays in the open checkpoint until recovery closes it.
    let config = CheckpointConfig::persistent()
        .with_quota(quota.clone())
        .with_max_bytes(Some(LIMIT_BYTES));
    let vbs = (0..3).map(Vbid);
    vbs.map(|vb| VBucket::new(vb, &state, config.clone()))
        .collect()
}

fn quota() -> Quota {
    Quota::new(QuotaConfig::default().with_limit_bytes(LIMIT_BYTES)).expect("valid")
}

/// Writes to a vBucket until the quota is used up.
fn fill(quota: &Quota, vbucket: &VBucket) {
    for key in 0_u32.. {
        if quota.state() == MemoryState::Full {
            break;
        }
        let key = Key::new(&key.to_be_bytes());
        let item = Item::mutation(key, Bytes::from(vec![b'v'; 4_000]));
        vbucket.write(item, 1).expect("there is memory");
    }
}

fn persist(vbucket: &VBucket) {
    let flush = vbucket.manager().begin_flush(ReadLimit::NONE);
    flush.expect("no other").commit();
}

#[test]
fn quota_below_its_upper_mark_recovers_nothing() {
    let quota = quota();
    let vbuckets = vbuckets(&quota);
    let item = Item::mutation(Key::new(b"a"), Bytes::from_static(b"v"));
    vbuckets[0].write(item, 1).expect("active");
    let recovery = recover_memory(&quota, &vbuckets);
    assert!(recovery.is_satisfied && recovery.freed_bytes == 0);
    assert_eq!(
        vbuckets[0].manager().stats().open_items,
        1,
        "nothing was closed"
    );
}

/// Guards N4.
#[test]
fn cursor_is_dropped_only_where_expelling_does_not_suffice() {
    for is_persisted_elsewhere in [true, false] {
        let quota = quota();
        let vbuckets = vbuckets(&quota);
        let [slow, _, other] = &vbuckets[..] else {
            panic!("three");
        };
        let options = CursorOptions::new();
        let registered = slow.manager().register("slow", Seqno::ZERO, options);
        registered.expect("a name");
        fill(&quota, if is_persisted_elsewhere { other } else { slow });
        vbuckets.iter().for_each(persist);
        let recovery = recover_memory(&quota, &vbuckets);
        assert!(
            recovery.is_satisfied && recovery.freed_bytes > 0,
            "{recovery:?}"
        );
        let is_dropped = !recovery.cursors_dropped.is_empty();
        assert_eq!(is_dropped, !is_persisted_elsewhere);
        assert_eq!(slow.manager().cursor("slow").is_none(), is_dropped);
    }
}

/// Guards N4: what is not on disk stays, and nothing else does.
#[test]
fn recovery_without_enough_to_free_frees_everything_else() {
    let quota = quota();
    let vbuckets = vbuckets(&quota);
    fill(&quota, &vbuckets[1]);
    let recovery = recover_memory(&quota, &vbuckets);
    assert!(!recovery.is_satisfied, "{recovery:?}");
    let again = recover_memory(&quota, &vbuckets);
    assert_eq!((again.freed_bytes, again.is_satisfied), (0, false));
    persist(&vbuckets[1]);
    assert!(recover_memory(&quota, &vbuckets).is_satisfied);
}
