//! Subscriptions of a vBucket: backfills, changes of state and resume points.

use super::*;
use crate::error::CheckpointError;
use crate::subscription::{Backfill, Subscription, SubscriptionEvent};

mod rollback;

/// Polls and returns the event as short text.
fn poll(subscription: &mut Subscription) -> String {
    match subscription
        .poll(ReadLimit::NONE)
        .expect("its name is not taken over")
    {
        SubscriptionEvent::Batch(batch) => batch
            .items()
            .filter(|item| item.operation.namespace().is_some())
            .map(|item| format!("{}@{} ", item.key, item.seqno))
            .collect(),
        SubscriptionEvent::Backfill(Backfill { from, to }) => format!("backfill {from}-{to}"),
        SubscriptionEvent::RolledBack(seqno) => format!("rolled back to {seqno}"),
        SubscriptionEvent::Idle => "idle".to_owned(),
        SubscriptionEvent::Stopped => "stopped".to_owned(),
        SubscriptionEvent::Ended(state) => format!("ended: {state}"),
    }
}

/// Returns a replica that has received `items` items in one snapshot.
fn replica_with(items: u64) -> (VBucket, VBucketState) {
    let (replica, persisted) = vbucket(State::Replica);
    replica.receive_marker(marker(1, items)).expect("valid");
    for seqno in 1..=items {
        replica
            .receive(at(seqno, &format!("k{seqno}")))
            .expect("inside");
    }
    (replica, persisted)
}

#[test]
fn subscribe_requests_a_backfill_for_missing_items() {
    let persisted = VBucketState::new(State::Active, FailoverLog::new(VbUuid(7)));
    let vbucket = recovered(Vbid(3), &persisted, 5);
    vbucket.write(set("a"), 1).expect("active");
    let mut late = vbucket
        .subscribe("late", ResumePoint::whole(VbUuid(7), Seqno(2)), Seqno::ZERO)
        .expect("2 is history");
    assert_eq!(
        (poll(&mut late), poll(&mut late)),
        ("backfill 3-5".to_owned(), "a@6 ".to_owned())
    );
    let mut up_to_date = vbucket
        .subscribe(
            "up to date",
            ResumePoint::whole(VbUuid(7), Seqno(5)),
            Seqno::ZERO,
        )
        .expect("5 is history");
    assert_eq!(poll(&mut up_to_date), "a@6 ");
    let ahead = vbucket
        .subscribe(
            "ahead",
            ResumePoint::whole(VbUuid(7), Seqno(7)),
            Seqno::ZERO,
        )
        .map(drop);
    assert_eq!(
        ahead,
        Err(VBucketError::GoBack {
            vb: Vbid(3),
            to: Seqno(6)
        })
    );
}

#[test]
fn subscription_ends_when_the_vbucket_stops_serving() {
    for (from, to, ends) in [
        (State::Active, State::Replica, true),
        (State::Active, State::Dead, true),
        (State::Replica, State::Dead, true),
        (State::Replica, State::Active, false),
        (State::Replica, State::Pending, false),
    ] {
        let (vbucket, _) = vbucket(from);
        let mut subscription = vbucket
            .subscribe("s", ResumePoint::START, Seqno::ZERO)
            .expect("it serves");
        assert_eq!(poll(&mut subscription), "idle");
        vbucket
            .set_state(to, Some(VbUuid(8)).filter(|_| to == State::Active))
            .expect("allowed");
        let expected = if ends {
            format!("ended: {to}")
        } else {
            String::new()
        };
        assert_eq!(poll(&mut subscription), expected, "{from} to {to}");
        if ends {
            assert_eq!(poll(&mut subscription), expected, "it stays ended");
        }
    }
    let (dead, _) = vbucket(State::Dead);
    let refused = dead
        .subscribe("s", ResumePoint::START, Seqno::ZERO)
        .map(drop);
    assert_eq!(
        refused,
        Err(VBucketError::WrongState {
            vb: Vbid(3),
            state: State::Dead
        })
    );
}

#[test]
fn waiting_reader_is_woken_by_the_end() {
    let (active, _) = vbucket(State::Active);
    let mut subscription = active
        .subscribe("s", ResumePoint::START, Seqno::ZERO)
        .expect("it serves");
    let reader = std::thread::spawn(move || {
        loop {
            match subscription.wait(ReadLimit::NONE) {
                Ok(SubscriptionEvent::Ended(state)) => return state,
                // The reader may read the change of state itself first.
                Ok(SubscriptionEvent::Batch(batch)) => assert_eq!(batch.items().count(), 1),
                other => panic!("{other:?}"),
            }
        }
    });
    active.set_state(State::Dead, None).expect("allowed");
    assert_eq!(reader.join().expect("it ends"), State::Dead);
}

#[test]
fn dropped_subscription_is_removed_from_the_vbucket() {
    let (active, _) = vbucket(State::Active);
    for _ in 0..100 {
        drop(
            active
                .subscribe("s", ResumePoint::START, Seqno::ZERO)
                .expect("it serves"),
        );
    }
    assert_eq!(active.lock().subscribers.len(), 1);
}

/// Guards C28: a follower from a lost branch must go back, by the rule of streams.
#[test]
fn follower_of_another_history_must_go_back() {
    let (replica, _) = replica_with(4);
    replica
        .set_state(State::Active, Some(VbUuid(8)))
        .expect("a branch");
    replica.write(set("x"), 1).expect("active");
    let from = |uuid, seqno| ResumePoint::whole(VbUuid(uuid), Seqno(seqno));
    let inside = ResumePoint {
        seqno: Seqno(4),
        ..ResumePoint {
            snapshot_end: Seqno(6),
            ..from(7, 2)
        }
    };
    let subscribe_at = |from, purged| match replica.subscribe("s", from, Seqno(purged)) {
        Ok(subscription) => Ok(subscription.seqno().0),
        Err(VBucketError::GoBack { to, .. }) => Err(to.0),
        Err(other) => panic!("{other}"),
    };
    assert_eq!(subscribe_at(from(7, 4), 0), Ok(4));
    assert_eq!(
        subscribe_at(from(7, 5), 0),
        Err(4),
        "seqnos after 4 on that branch were lost"
    );
    assert_eq!(
        subscribe_at(inside, 0),
        Err(2),
        "it goes back to the start of its partial snapshot"
    );
    assert_eq!(subscribe_at(from(9, 3), 0), Err(0), "the branch is unknown");
    assert_eq!(
        subscribe_at(from(8, 3), 4),
        Err(0),
        "it may need purged tombstones"
    );
    assert_eq!(subscribe_at(ResumePoint::START, 4), Ok(0));
    let unsound = ResumePoint {
        snapshot_start: Seqno(5),
        ..from(7, 4)
    };
    let refused = replica.subscribe("s", unsound, Seqno::ZERO).map(drop);
    assert!(
        matches!(refused, Err(VBucketError::Checkpoint { .. })),
        "{refused:?}"
    );
}

/// Guards C28: a subscription's resume point is valid for the next subscription.
#[test]
fn resume_point_of_a_subscription_is_a_place_to_resume() {
    let (replica, persisted) = vbucket(State::Replica);
    let mut subscription = replica
        .subscribe("s", ResumePoint::START, Seqno::ZERO)
        .expect("it serves");
    let stands = |subscription: &Subscription| {
        replica
            .resume_point_of(subscription)
            .map(|at| (at.seqno.0, at.snapshot_start.0, at.snapshot_end.0))
    };
    replica.receive_marker(marker(1, 4)).expect("valid");
    replica.receive(at(2, "a")).expect("inside");
    assert_eq!(poll(&mut subscription), "a@2 ");
    assert_eq!(
        stands(&subscription),
        Some((2, 0, 4)),
        "the replica has only a part of it"
    );
    replica.receive(at(4, "b")).expect("the end");
    assert_eq!(poll(&mut subscription), "b@4 ");
    assert_eq!(stands(&subscription), Some((4, 4, 4)));

    // A backfill is as new as the disk, which may be ahead of its requested end.
    flush(&replica, &persisted);
    assert_eq!(replica.manager().expel(), 2);
    replica.receive_marker(marker(5, 6)).expect("valid");
    replica.receive(at(5, "c")).expect("inside");
    let from = ResumePoint::whole(VbUuid(7), Seqno(1));
    let mut late = replica
        .subscribe("late", from, Seqno::ZERO)
        .expect("it serves");
    assert_eq!(poll(&mut late), "backfill 2-4");
    assert_eq!(stands(&late), Some((4, 1, 6)));
    assert_eq!(poll(&mut late), "c@5 ");
    replica.receive(at(6, "d")).expect("the end");
    assert_eq!(poll(&mut late), "d@6 ");
    assert_eq!(stands(&late), Some((6, 6, 6)));

    let (state, uuid) = (
        VBucketState::new(State::Replica, replica.failover_log()),
        VbUuid(7),
    );
    replica.rollback(Seqno(4), &state).expect("a replica");
    assert_eq!(stands(&late), None, "it has not seen the rollback yet");
    assert_eq!(poll(&mut late), "rolled back to 4");
    assert_eq!(stands(&late), None, "it has not gone back yet");
    late.resume_from(Seqno(4)).expect("it was whole there");
    assert_eq!(
        replica.resume_point_of(&late),
        Some(ResumePoint::whole(uuid, Seqno(4)))
    );
}
