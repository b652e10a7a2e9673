//! States of vBuckets, and replicas that go back.

use lowtide_checkpoint::{Seqno, State, VBucketError, Vbid};

use crate::rig::Rig;
use lowtide_persistence::{Store, StoreError};

const VB: Vbid = Vbid(1);

fn text(store: &Store, key: &str) -> Option<String> {
    let found = store.get(VB, key).expect("readable");
    found.map(|document| String::from_utf8(document.value.to_vec()).expect("text"))
}

/// Guards R3 and D5: memory is as the disk after a rollback.
#[test]
fn replica_goes_back_to_a_state_of_its_disk() {
    for rig in Rig::each() {
        let store = rig.open();
        for number in 1..=3 {
            let write = store.set(VB, "a", format!("{number}")).expect("taken");
            write.wait_persisted().expect("a working disk");
        }
        let last = store.set(VB, "a", "4").expect("taken");
        let refused = store.roll_back(VB, Seqno(2));
        assert!(matches!(
            refused,
            Err(StoreError::VBucket(VBucketError::WrongState { .. }))
        ));
        store
            .set_state(VB, State::Replica)
            .expect("an active can step down");
        match store.roll_back(VB, Seqno(2)) {
            Ok(high) => {
                assert!(high <= Seqno(2));
                let end = last.wait_persisted();
                assert!(matches!(end, Err(StoreError::RolledBack { to, .. }) if to == high));
                store.set_state(VB, State::Active).expect("it is whole");
                let expected = (high > Seqno::ZERO).then(|| high.0.to_string());
                assert_eq!(text(&store, "a"), expected);
                let next = store.set(VB, "b", "x").expect("it is active");
                assert_eq!(next.seqno(), high.next());
                next.wait_persisted().expect("a working disk");
            }
            Err(StoreError::NeedsReset { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        store.close().expect("a working disk");
    }
}

#[test]
fn replica_shows_what_is_on_its_disk() {
    let rig = Rig::new(false);
    let store = rig.open();
    let write = store.set(VB, "a", "1").expect("taken");
    write.wait_persisted().expect("a working disk");
    store
        .set_state(VB, State::Replica)
        .expect("an active can step down");
    assert_eq!(text(&store, "a").as_deref(), Some("1"));
    let refused = store.set(VB, "a", "2").map(drop);
    assert!(matches!(
        refused,
        Err(StoreError::VBucket(VBucketError::WrongState { .. }))
    ));
    store.take_over(VB).expect("it has everything");
    let _taken = store.set(VB, "a", "2").expect("it is active");
    store.set_state(VB, State::Dead).expect("any can die");
    assert!(matches!(store.get(VB, "a"), Err(StoreError::VBucket(_))));
}
