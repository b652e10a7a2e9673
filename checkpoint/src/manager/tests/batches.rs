//! Batches: they stay the same whatever happens to the queue.

use super::*;
use crate::manager::operations::Effect;

#[test]
fn batch_stays_the_same_after_later_operations() {
    let manager = active();
    let slow = cursor(&manager, "slow");
    for key in ["a", "b", "c"] {
        set(&manager, key);
    }
    let before = read(&manager, slow);
    for key in ["a", "c", "d"] {
        set(&manager, key);
    }
    let after = read(&manager, slow);
    assert_eq!(manager.expel(), 4);
    manager.clear(Seqno::ZERO);
    set(&manager, "x");
    assert_eq!(
        held(&before),
        ["a@1", "b@2", "c@3"],
        "the snapshot at 3, without later replacements"
    );
    assert_eq!(before.ranges()[0].end, Seqno(3));
    assert_eq!(held(&after), ["a@4", "c@5", "d@6"]);
    assert_eq!(held(&before), ["a@1", "b@2", "c@3"], "walked again");
}

#[test]
fn batch_walked_while_superseded_stays_consistent() {
    let manager = active();
    let slow = cursor(&manager, "slow");
    for number in 0..50 {
        set(&manager, &format!("k{number}"));
    }
    let batch = read(&manager, slow);
    let mut walk = batch.items();
    let first: Vec<_> = walk.by_ref().take(25).map(|item| item.seqno.0).collect();
    for number in 0..50 {
        assert_eq!(
            set(&manager, &format!("k{number}")).effect,
            Effect::Replaced
        );
    }
    assert_eq!(
        manager.expel(),
        0,
        "the items of the batch were replaced, not expelled"
    );
    let rest: Vec<_> = walk.map(|item| item.seqno.0).collect();
    assert_eq!([first, rest].concat(), (1..=50).collect::<Vec<_>>());
}

#[test]
fn batch_outlives_its_manager() {
    let manager = active();
    let slow = cursor(&manager, "slow");
    set(&manager, "a");
    let batch = read(&manager, slow);
    drop(manager);
    assert_eq!(held(&batch), ["a@1"]);
}
