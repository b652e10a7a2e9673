//! Rollbacks: the branch and the snapshot that a replica is on afterwards.

use super::*;

#[test]
fn rollback_removes_the_lost_branch_and_promotion_starts_there() {
    let (replica, persisted) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 4)).expect("valid");
    for seqno in 1..=4 {
        replica.receive(at(seqno, "a")).expect("inside");
    }
    let entries = [(8, 3), (7, 0)].map(|(uuid, seqno)| FailoverEntry {
        uuid: VbUuid(uuid),
        seqno: Seqno(seqno),
    });
    replica.set_failover_log(FailoverLog::from_entries(entries.to_vec()).expect("valid"));
    replica
        .rollback(Seqno(2), &persisted)
        .expect("a replica, below its high seqno");
    assert_eq!(
        (replica.high_seqno(), replica.manager().stats().items),
        (Seqno(2), 0)
    );
    assert_eq!(replica.failover_log().entries(), &entries[1..]);
    replica
        .set_state(State::Active, Some(VbUuid(9)))
        .expect("a new branch");
    assert_eq!(
        replica.failover_log().newest(),
        FailoverEntry {
            uuid: VbUuid(9),
            seqno: Seqno(2)
        }
    );
}

#[test]
fn promotion_after_a_rollback_branches_at_its_seqno() {
    let (replica, persisted) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 6)).expect("valid");
    for seqno in 1..=6 {
        replica.receive(at(seqno, "a")).expect("inside");
    }
    let disk = VBucketState {
        snapshot_start: Seqno(3),
        snapshot_end: Seqno(3),
        ..persisted
    };
    replica.rollback(Seqno(3), &disk).expect("a replica");
    replica
        .set_state(State::Active, Some(VbUuid(9)))
        .expect("a new branch");
    assert_eq!(
        replica.failover_log().newest(),
        FailoverEntry {
            uuid: VbUuid(9),
            seqno: Seqno(3)
        }
    );
}

#[test]
fn rollback_into_a_snapshot_resumes_inside_it() {
    let (replica, persisted) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 6)).expect("valid");
    for seqno in 1..=6 {
        replica.receive(at(seqno, "a")).expect("inside");
    }
    // The store went back to a batch with only a part of 3-6.
    let disk = VBucketState {
        snapshot_start: Seqno(2),
        snapshot_end: Seqno(6),
        ..persisted
    };
    replica.rollback(Seqno(4), &disk).expect("a replica");
    let resume = replica.resume_point();
    assert_eq!(
        (resume.seqno, resume.snapshot_start, resume.snapshot_end),
        (Seqno(4), Seqno(2), Seqno(6))
    );
    replica.receive(at(5, "b")).expect("the snapshot goes on");
    replica
        .set_state(State::Active, Some(VbUuid(9)))
        .expect("a new branch");
    assert_eq!(
        replica.failover_log().newest().seqno,
        Seqno(2),
        "3 to 5 are a partial snapshot"
    );
}

#[test]
fn rollback_forward_or_on_an_active_is_refused() {
    let (replica, persisted) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 2)).expect("valid");
    replica.receive(at(2, "a")).expect("inside");
    let ahead = VBucketError::RollbackAhead {
        vb: Vbid(3),
        to: Seqno(3),
        high: Seqno(2),
    };
    assert_eq!(replica.rollback(Seqno(3), &persisted), Err(ahead));
    assert_eq!(
        (replica.high_seqno(), replica.manager().stats().items),
        (Seqno(2), 1)
    );
    for state in [State::Active, State::Dead] {
        let (other, persisted) = vbucket(state);
        let refused = other.rollback(Seqno(0), &persisted);
        assert_eq!(
            refused,
            Err(VBucketError::WrongState { vb: Vbid(3), state })
        );
    }
}
