use bytes::Bytes;

use super::*;
use crate::{AfterStop, FailoverEntry, Key, Operation, ReadLimit, SnapshotType, VbUuid};

mod durable;
mod snapshots;
mod subscribe;
mod transitions;

const PERSISTING: CheckpointConfig = CheckpointConfig {
    role: Role::Active,
    max_bytes: None,
    quota: None,
    reclaimer: None,
    limits: crate::ItemLimits::DEFAULT,
    persistence: true,
};

fn vbucket(state: State) -> (VBucket, VBucketState) {
    let persisted = VBucketState::new(state, FailoverLog::new(VbUuid(7)));
    (VBucket::new(Vbid(3), &persisted, PERSISTING), persisted)
}

fn set(key: &str) -> Item {
    Item::mutation(Key::new(key.as_bytes()), Bytes::from_static(b"v"))
}

fn at(seqno: u64, key: &str) -> Item {
    Item {
        seqno: Seqno(seqno),
        cas: Cas(seqno << 20),
        ..set(key)
    }
}

fn marker(start: u64, end: u64) -> SnapshotMarker {
    SnapshotMarker::new(SnapshotType::Memory, Seqno(start), Seqno(end))
}

fn disk(start: u64, end: u64, completed: u64) -> SnapshotMarker {
    SnapshotMarker {
        high_completed_seqno: Some(Seqno(completed)),
        ..SnapshotMarker::new(SnapshotType::Disk, Seqno(start), Seqno(end))
    }
}

/// What a store has up to `high`, after a stop in order.
fn recovered(vb: Vbid, persisted: &VBucketState, high: u64) -> VBucket {
    let high = Seqno(high);
    VBucket::recover(
        vb,
        persisted,
        high,
        persisted.state,
        AfterStop::Orderly,
        PERSISTING,
    )
    .expect("it stays")
}

#[test]
fn cas_order_is_seqno_order_even_when_the_clock_goes_back() {
    let (vbucket, _) = vbucket(State::Active);
    let written: Vec<_> = [50 << 16, 40 << 16, 60 << 16]
        .iter()
        .map(|&now| vbucket.write(set("a"), now).expect("active"))
        .collect();
    assert!(
        written.is_sorted_by(|a, b| a.cas < b.cas && a.queued.seqno < b.queued.seqno),
        "{written:?}"
    );
}

#[test]
fn writes_go_to_the_active_and_snapshots_to_replicas() {
    let (active, _) = vbucket(State::Active);
    assert!(matches!(
        active.receive(at(1, "a")),
        Err(VBucketError::WrongState { .. })
    ));
    assert!(matches!(
        active.receive_marker(marker(1, 1)),
        Err(VBucketError::WrongState { .. })
    ));
    let (replica, _) = vbucket(State::Replica);
    assert!(matches!(
        replica.write(set("a"), 1),
        Err(VBucketError::WrongState { .. })
    ));
    assert_eq!(replica.high_seqno(), Seqno::ZERO);
}

#[test]
fn a_replica_resumes_inside_the_snapshot_it_has_half_of() {
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
fn a_promoted_replica_branches_at_its_last_complete_snapshot() {
    let (replica, _) = vbucket(State::Replica);
    for (start, end) in [(1, 2), (3, 6)] {
        replica.receive_marker(marker(start, end)).expect("valid");
        replica.receive(at(start, "a")).expect("inside");
        replica.receive(at(start + 1, "b")).expect("inside");
    }
    replica
        .set_state(State::Active, Some(VbUuid(8)))
        .expect("a new branch");
    let newest = FailoverEntry {
        uuid: VbUuid(8),
        seqno: Seqno(2),
    };
    assert_eq!(
        replica.failover_log().newest(),
        newest,
        "the snapshot 3-6 ended at 4 only"
    );
    assert_eq!(
        replica.write(set("c"), 1).expect("active").queued.seqno,
        Seqno(5)
    );
}

#[test]
fn the_state_committed_with_a_batch_says_how_much_of_the_snapshot_is_in_it() {
    let (replica, persisted) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 3)).expect("valid");
    replica.receive(at(1, "a")).expect("inside");
    let half = replica
        .manager()
        .begin_flush(ReadLimit::NONE)
        .expect("no other flush");
    let state = replica.state_with(half.batch(), &persisted, Seqno::ZERO);
    assert_eq!(
        (state.snapshot_start, state.snapshot_end),
        (Seqno(0), Seqno(3))
    );
    half.commit();

    replica.receive(at(3, "b")).expect("inside");
    replica.receive_marker(marker(4, 9)).expect("valid");
    replica.receive(at(5, "c")).expect("inside");
    let more = replica
        .manager()
        .begin_flush(ReadLimit::NONE)
        .expect("no other flush");
    let state = replica.state_with(more.batch(), &state, Seqno::ZERO);
    assert_eq!(
        (state.snapshot_start, state.snapshot_end),
        (Seqno(3), Seqno(9))
    );
    assert_eq!(state.max_cas, Cas(5 << 20));
}

#[test]
fn an_active_is_always_at_the_end_of_a_snapshot() {
    let (active, persisted) = vbucket(State::Active);
    active.write(set("a"), 1).expect("active");
    active.write(set("b"), 2).expect("active");
    let flush = active
        .manager()
        .begin_flush(ReadLimit::NONE)
        .expect("no other flush");
    let state = active.state_with(flush.batch(), &persisted, Seqno::ZERO);
    assert_eq!(
        (state.snapshot_start, state.snapshot_end),
        (Seqno(2), Seqno(2))
    );
    assert_eq!(state.max_visible_seqno, Seqno(2));
}

#[test]
fn what_was_persisted_is_where_it_goes_on() {
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
        "5 and 6 are half a snapshot"
    );
    let written = vbucket.write(set("a"), 1).expect("active");
    assert_eq!(written.queued.seqno, Seqno(7));
    assert!(written.cas > Cas(77 << 16));
}

#[test]
fn after_a_rollback_the_lost_branch_is_gone_and_a_promotion_starts_at_its_end() {
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
        .expect("a replica, and below its last");
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
fn a_replica_with_half_a_snapshot_on_disk_is_still_inside_it() {
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
