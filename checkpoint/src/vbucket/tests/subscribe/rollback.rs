//! Rollbacks under a subscription: what it reports, and where it continues (C24).

use super::*;

#[test]
fn rollback_below_delivered_items_is_reported() {
    let (replica, persisted) = replica_with(5);
    let mut ahead = replica
        .subscribe("ahead", ResumePoint::START, Seqno::ZERO)
        .expect("it serves");
    assert_eq!(poll(&mut ahead), "k1@1 k2@2 k3@3 k4@4 k5@5 ");
    replica.rollback(Seqno(2), &persisted).expect("a replica");
    // The new history reaches the delivered seqnos and passes them.
    replica.receive_marker(marker(3, 6)).expect("valid");
    for seqno in 3..=6 {
        replica
            .receive(at(seqno, &format!("n{seqno}")))
            .expect("inside");
    }
    assert_eq!(poll(&mut ahead), "rolled back to 2");
    assert_eq!(
        poll(&mut ahead),
        "rolled back to 2",
        "it is repeated until the reader goes back"
    );
    let forward = ahead.resume_from(Seqno(3));
    assert!(
        matches!(forward, Err(CheckpointError::InvalidArgument(_))),
        "{forward:?}"
    );
    ahead.resume_from(Seqno(2)).expect("as reported");
    assert_eq!(ahead.seqno(), Seqno(2));
    assert_eq!(poll(&mut ahead), "n3@3 n4@4 n5@5 n6@6 ");
    assert_eq!(poll(&mut ahead), "idle");
}

#[test]
fn go_back_to_an_earlier_batch_misses_nothing() {
    let (replica, persisted) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 4)).expect("valid");
    for (seqno, key) in [(1, "a"), (2, "b"), (3, "a"), (4, "c")] {
        replica.receive(at(seqno, key)).expect("inside");
    }
    let mut subscription = replica
        .subscribe("s", ResumePoint::START, Seqno::ZERO)
        .expect("it serves");
    assert_eq!(
        poll(&mut subscription),
        "b@2 a@3 c@4 ",
        "a@1 was replaced before it was read"
    );
    replica.rollback(Seqno(2), &persisted).expect("a replica");
    assert_eq!(poll(&mut subscription), "rolled back to 2");
    // At 2, a@1 counts again, and the reader does not have it.
    subscription
        .resume_from(Seqno(0))
        .expect("further back than reported");
    assert_eq!(poll(&mut subscription), "backfill 1-2");
    // Another rollback, before the reader has gone back from the first.
    replica.receive_marker(marker(3, 3)).expect("valid");
    replica.receive(at(3, "d")).expect("inside");
    assert_eq!(poll(&mut subscription), "d@3 ");
    replica.rollback(Seqno(2), &persisted).expect("a replica");
    assert_eq!(poll(&mut subscription), "rolled back to 2");
    replica.rollback(Seqno(1), &persisted).expect("a replica");
    assert_eq!(poll(&mut subscription), "rolled back to 1");
}

#[test]
fn rollback_above_delivered_items_leaves_no_gap() {
    let (replica, persisted) = replica_with(5);
    let mut behind = replica
        .subscribe(
            "behind",
            ResumePoint::whole(VbUuid(7), Seqno(1)),
            Seqno::ZERO,
        )
        .expect("it serves");
    replica.rollback(Seqno(3), &persisted).expect("a replica");
    replica.receive_marker(marker(4, 4)).expect("valid");
    replica.receive(at(4, "n4")).expect("inside");
    assert_eq!(
        (poll(&mut behind), poll(&mut behind)),
        ("backfill 2-3".to_owned(), "n4@4 ".to_owned())
    );
}

#[test]
fn several_rollbacks_report_the_lowest_after_a_dropped_cursor() {
    let (replica, persisted) = replica_with(5);
    let mut subscription = replica
        .subscribe("s", ResumePoint::whole(VbUuid(7), Seqno(5)), Seqno::ZERO)
        .expect("it serves");
    for to in [1, 2] {
        replica.rollback(Seqno(to), &persisted).expect("a replica");
        replica.receive_marker(marker(to + 1, 9)).expect("valid");
        for seqno in to + 1..=4 {
            replica
                .receive(at(seqno, &format!("n{seqno}")))
                .expect("inside");
        }
    }
    let flushed = replica
        .manager()
        .begin_flush(ReadLimit::NONE)
        .expect("no other flush");
    flushed.commit();
    assert_eq!(
        replica
            .manager()
            .recover_memory(usize::MAX)
            .cursors_dropped
            .len(),
        1
    );
    assert_eq!(poll(&mut subscription), "rolled back to 1");
    subscription.resume_from(Seqno(1)).expect("as reported");
    assert_eq!(poll(&mut subscription), "backfill 2-4");
    assert_eq!(poll(&mut subscription), "idle");
}

#[test]
fn name_taken_over_stays_taken_after_a_rollback() {
    let (replica, persisted) = replica_with(3);
    let mut first = replica
        .subscribe("s", ResumePoint::START, Seqno::ZERO)
        .expect("it serves");
    let _second = replica
        .subscribe("s", ResumePoint::START, Seqno::ZERO)
        .expect("it serves");
    replica.rollback(Seqno(2), &persisted).expect("a replica");
    assert!(matches!(
        first.poll(ReadLimit::NONE),
        Err(CheckpointError::UnknownCursor)
    ));
}
