//! Subscriptions of a vBucket: what they are told when it changes under them.

use super::*;
use crate::{Backfill, CheckpointError, Next, Subscription};

/// What comes next, in short.
fn poll(subscription: &mut Subscription) -> String {
    match subscription.poll(ReadLimit::NONE).expect("its name is its own") {
        Next::Batch(batch) => batch
            .items()
            .filter(|item| item.operation.namespace().is_some())
            .map(|item| format!("{}@{} ", item.key, item.seqno))
            .collect(),
        Next::Backfill(Backfill { from, to }) => format!("backfill {from}-{to}"),
        Next::RolledBack(seqno) => format!("rolled back to {seqno}"),
        Next::Idle => "idle".to_owned(),
        Next::Stopped => "stopped".to_owned(),
        Next::Ended(state) => format!("ended: {state}"),
    }
}

/// A replica that has been sent so many items, in one snapshot.
fn replica_with(items: u64) -> (VBucket, VBucketState) {
    let (replica, persisted) = vbucket(State::Replica);
    replica.receive_marker(marker(1, items)).expect("valid");
    for seqno in 1..=items {
        replica.receive(at(seqno, &format!("k{seqno}"))).expect("inside");
    }
    (replica, persisted)
}

#[test]
fn whoever_subscribes_is_told_what_memory_lacks() {
    let persisted = VBucketState::new(State::Active, FailoverLog::new(VbUuid(7)));
    let vbucket = VBucket::new(Vbid(3), &persisted, Seqno(5), PERSISTING);
    vbucket.write(set("a"), 1).expect("active");
    let mut late = vbucket.subscribe("late", Seqno(2)).expect("2 is history");
    assert_eq!((poll(&mut late), poll(&mut late)), ("backfill 3-5".to_owned(), "a@6 ".to_owned()));
    let mut up_to_date = vbucket.subscribe("up to date", Seqno(5)).expect("5 is history");
    assert_eq!(poll(&mut up_to_date), "a@6 ");
    let ahead = vbucket.subscribe("ahead", Seqno(7)).map(drop);
    let source = CheckpointError::NotQueuedYet { seqno: Seqno(7), high: Seqno(6) };
    assert_eq!(ahead, Err(VBucketError::Checkpoint { vb: Vbid(3), source }));
}

#[test]
fn subscriptions_end_when_it_stops_being_active_or_dies() {
    for (from, to, ends) in [
        (State::Active, State::Replica, true),
        (State::Active, State::Dead, true),
        (State::Replica, State::Dead, true),
        (State::Replica, State::Active, false),
        (State::Replica, State::Pending, false),
    ] {
        let (vbucket, _) = vbucket(from);
        let mut subscription = vbucket.subscribe("s", Seqno::ZERO).expect("it serves");
        assert_eq!(poll(&mut subscription), "idle");
        vbucket.set_state(to, Some(VbUuid(8))).expect("allowed");
        let expected = if ends { format!("ended: {to}") } else { String::new() };
        assert_eq!(poll(&mut subscription), expected, "{from} to {to}");
        if ends {
            assert_eq!(poll(&mut subscription), expected, "it stays ended");
        }
    }
    let (dead, _) = vbucket(State::Dead);
    let refused = dead.subscribe("s", Seqno::ZERO).map(drop);
    assert_eq!(refused, Err(VBucketError::WrongState { vb: Vbid(3), state: State::Dead }));
}

#[test]
fn whoever_waits_is_woken_by_the_end() {
    let (active, _) = vbucket(State::Active);
    let mut subscription = active.subscribe("s", Seqno::ZERO).expect("it serves");
    let reader = std::thread::spawn(move || {
        loop {
            match subscription.wait(ReadLimit::NONE) {
                Ok(Next::Ended(state)) => return state,
                // It may just have begun to read, and found the change of state itself.
                Ok(Next::Batch(batch)) => assert_eq!(batch.items().count(), 1),
                other => panic!("{other:?}"),
            }
        }
    });
    active.set_state(State::Dead, None).expect("allowed");
    assert_eq!(reader.join().expect("it ends"), State::Dead);
}

#[test]
fn a_rollback_below_what_was_delivered_is_told_with_its_seqno() {
    let (replica, persisted) = replica_with(5);
    let mut ahead = replica.subscribe("ahead", Seqno::ZERO).expect("it serves");
    assert_eq!(poll(&mut ahead), "k1@1 k2@2 k3@3 k4@4 k5@5 ");
    replica.rollback(Seqno(2), &persisted).expect("a replica");
    // What comes instead reaches the seqnos that were delivered, and passes them.
    replica.receive_marker(marker(3, 6)).expect("valid");
    for seqno in 3..=6 {
        replica.receive(at(seqno, &format!("n{seqno}"))).expect("inside");
    }
    assert_eq!(poll(&mut ahead), "rolled back to 2");
    assert_eq!(poll(&mut ahead), "rolled back to 2", "until it says that it has gone back");
    let forward = ahead.go_back(Seqno(3));
    assert!(matches!(forward, Err(CheckpointError::InvalidArgument(_))), "{forward:?}");
    ahead.go_back(Seqno(2)).expect("as told");
    assert_eq!(ahead.seqno(), Seqno(2));
    assert_eq!(poll(&mut ahead), "n3@3 n4@4 n5@5 n6@6 ");
    assert_eq!(poll(&mut ahead), "idle");
}

#[test]
fn who_has_a_batch_whole_goes_back_to_its_start_and_misses_nothing() {
    let (replica, persisted) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 4)).expect("valid");
    for (seqno, key) in [(1, "a"), (2, "b"), (3, "a"), (4, "c")] {
        replica.receive(at(seqno, key)).expect("inside");
    }
    let mut subscription = replica.subscribe("s", Seqno::ZERO).expect("it serves");
    assert_eq!(poll(&mut subscription), "b@2 a@3 c@4 ", "a@1 was replaced before it was read");
    replica.rollback(Seqno(2), &persisted).expect("a replica");
    assert_eq!(poll(&mut subscription), "rolled back to 2");
    // At 2 a@1 counts again, and it does not have that.
    subscription.go_back(Seqno(0)).expect("further than told");
    assert_eq!(poll(&mut subscription), "backfill 1-2");
    // Another rollback, before it has gone back from the first.
    replica.receive_marker(marker(3, 3)).expect("valid");
    replica.receive(at(3, "d")).expect("inside");
    assert_eq!(poll(&mut subscription), "d@3 ");
    replica.rollback(Seqno(2), &persisted).expect("a replica");
    assert_eq!(poll(&mut subscription), "rolled back to 2");
    replica.rollback(Seqno(1), &persisted).expect("a replica");
    assert_eq!(poll(&mut subscription), "rolled back to 1");
}

#[test]
fn a_rollback_above_what_was_delivered_leaves_no_gap() {
    let (replica, persisted) = replica_with(5);
    let mut behind = replica.subscribe("behind", Seqno(1)).expect("it serves");
    replica.rollback(Seqno(3), &persisted).expect("a replica");
    replica.receive_marker(marker(4, 4)).expect("valid");
    replica.receive(at(4, "n4")).expect("inside");
    assert_eq!((poll(&mut behind), poll(&mut behind)), ("backfill 2-3".to_owned(), "n4@4 ".to_owned()));
}

#[test]
fn of_several_rollbacks_the_lowest_counts_also_for_whose_cursor_was_dropped() {
    let (replica, persisted) = replica_with(5);
    let mut subscription = replica.subscribe("s", Seqno(5)).expect("it serves");
    for to in [1, 2] {
        replica.rollback(Seqno(to), &persisted).expect("a replica");
        replica.receive_marker(marker(to + 1, 9)).expect("valid");
        for seqno in to + 1..=4 {
            replica.receive(at(seqno, &format!("n{seqno}"))).expect("inside");
        }
    }
    let flushed = replica.manager().begin_flush(ReadLimit::NONE).expect("no other flush");
    flushed.commit();
    assert_eq!(replica.manager().recover(usize::MAX).cursors_dropped.len(), 1);
    assert_eq!(poll(&mut subscription), "rolled back to 1");
    subscription.go_back(Seqno(1)).expect("as told");
    assert_eq!(poll(&mut subscription), "backfill 2-4");
    assert_eq!(poll(&mut subscription), "idle");
}

#[test]
fn a_name_that_was_taken_is_not_taken_back_after_a_rollback() {
    let (replica, persisted) = replica_with(3);
    let mut first = replica.subscribe("s", Seqno::ZERO).expect("it serves");
    let _second = replica.subscribe("s", Seqno::ZERO).expect("it serves");
    replica.rollback(Seqno(2), &persisted).expect("a replica");
    assert!(matches!(first.poll(ReadLimit::NONE), Err(CheckpointError::UnknownCursor)));
}

#[test]
fn a_subscription_that_is_gone_is_forgotten() {
    let (active, _) = vbucket(State::Active);
    for _ in 0..100 {
        drop(active.subscribe("s", Seqno::ZERO).expect("it serves"));
    }
    assert_eq!(active.lock().subscribers.len(), 1);
}
