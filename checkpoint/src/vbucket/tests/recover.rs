//! Resuming and restoring: inside a partial snapshot, and from a persisted state.

use super::*;

#[test]
fn replica_with_a_partial_snapshot_resumes_inside_it() {
    let (replica, _) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 4)).expect("valid");
    replica.receive(at(2, "a")).expect("inside");
    let expected = ResumePoint {
        uuid: VbUuid(7),
        seqno: Seqno(2),
        snapshot_start: Seqno(0),
        snapshot_end: Seqno(4),
    };
    assert_eq!(replica.resume_point(), expected);
    replica.receive(at(4, "b")).expect("inside");
    assert_eq!(
        replica.resume_point(),
        ResumePoint {
            seqno: Seqno(4),
            snapshot_start: Seqno(4),
            snapshot_end: Seqno(4),
            ..expected
        }
    );
}

#[test]
fn recovered_replica_stays_inside_its_partial_snapshot() {
    let persisted = VBucketState {
        snapshot_start: Seqno(4),
        snapshot_end: Seqno(9),
        ..VBucketState::new(State::Replica, FailoverLog::new(VbUuid(7)))
    };
    let vbucket = recovered(Vbid(0), &persisted, 6);
    let resume = vbucket.resume_point();
    assert_eq!(
        (resume.seqno, resume.snapshot_start, resume.snapshot_end),
        (Seqno(6), Seqno(4), Seqno(9))
    );
    vbucket.receive(at(9, "a")).expect("the snapshot goes on");
    assert_eq!(vbucket.resume_point().snapshot_start, Seqno(9));
}

/// The state comes from a file, so it is refused and violates no invariant.
#[test]
fn persisted_snapshot_without_an_end_is_refused() {
    let (replica, sound) = vbucket(State::Replica);
    let persisted = VBucketState {
        snapshot_end: Seqno::MAX,
        ..sound
    };
    let recovered = VBucket::recover(
        Vbid(3),
        &persisted,
        Seqno(5),
        State::Replica,
        AfterStop::Orderly,
        PERSISTING,
    );
    let refused = |result: Result<(), VBucketError>| {
        matches!(result, Err(VBucketError::Checkpoint { vb: Vbid(3), .. }))
    };
    assert!(refused(recovered.map(drop)));

    replica.receive_marker(marker(1, 2)).expect("valid");
    replica.receive(at(2, "a")).expect("inside");
    assert!(refused(replica.rollback(Seqno(1), &persisted)));
    assert_eq!(
        (replica.high_seqno(), replica.resume_point().snapshot_end),
        (Seqno(2), Seqno(2)),
        "nothing has changed"
    );
}

#[test]
fn recovered_vbucket_continues_from_its_persisted_state() {
    let persisted = VBucketState {
        snapshot_start: Seqno(4),
        snapshot_end: Seqno(9),
        max_cas: Cas(77 << 16),
        ..VBucketState::new(State::Replica, FailoverLog::new(VbUuid(7)))
    };
    let vbucket = recovered(Vbid(0), &persisted, 6);
    vbucket
        .set_state(State::Active, Some(VbUuid(9)))
        .expect("a new branch");
    assert_eq!(
        vbucket.failover_log().newest().seqno,
        Seqno(4),
        "5 and 6 are a partial snapshot"
    );
    let written = vbucket.write(set("a"), 1).expect("active");
    assert_eq!(written.queued.seqno, Seqno(7));
    assert!(written.cas > Cas(77 << 16));
}
