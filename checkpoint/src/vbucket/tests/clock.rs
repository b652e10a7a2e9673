//! The clock: CAS order, received CAS values, and the last seqno.

use super::*;
use crate::error::CheckpointError;

#[test]
fn cas_order_is_seqno_order_when_the_clock_goes_back() {
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
fn received_cas_advances_the_clock() {
    let (replica, _) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 1)).expect("valid");
    let ahead = Cas(99 << 16);
    replica
        .receive(Item {
            cas: ahead,
            ..at(1, "a")
        })
        .expect("inside");
    replica
        .set_state(State::Active, Some(VbUuid(8)))
        .expect("a new branch");
    assert_eq!(
        replica.write(set("b"), 1).expect("active").cas,
        Cas(ahead.0 + 1)
    );
}

#[test]
fn exhausted_clock_refuses_writes_until_set_back() {
    let (replica, persisted) = vbucket(State::Replica);
    replica.receive_marker(marker(1, 1)).expect("valid");
    replica
        .receive(Item {
            cas: Cas(u64::MAX),
            ..at(1, "a")
        })
        .expect("inside");
    let on_replica = replica.force_max_cas(Cas(5));
    assert_eq!(
        on_replica,
        Err(VBucketError::WrongState {
            vb: Vbid(3),
            state: State::Replica
        })
    );
    replica
        .set_state(State::Active, Some(VbUuid(8)))
        .expect("a new branch");
    assert_eq!(
        replica.write(set("b"), 1),
        Err(VBucketError::ClockExhausted { vb: Vbid(3) })
    );
    assert_eq!(replica.high_seqno(), Seqno(1));

    replica.force_max_cas(Cas(5 << 16)).expect("active");
    let written = replica.write(set("b"), 1).expect("there is a next one");
    assert_eq!(written.cas, Cas((5 << 16) + 1));
    let flush = replica
        .manager()
        .begin_flush(ReadLimit::NONE)
        .expect("no other flush");
    let state = replica.state_with(flush.batch(), &persisted, Seqno::ZERO);
    assert_eq!(
        state.max_cas, written.cas,
        "the lower value set by hand counts"
    );
    flush.commit();
    // The lower value stays, although a higher one was committed before.
    let quiet = replica
        .manager()
        .begin_flush(ReadLimit::NONE)
        .expect("no other flush");
    assert_eq!(
        replica
            .state_with(quiet.batch(), &state, Seqno::ZERO)
            .max_cas,
        written.cas
    );
}

#[test]
fn write_after_the_last_seqno_is_refused() {
    let persisted = VBucketState::new(State::Replica, FailoverLog::new(VbUuid(7)));
    let config = CheckpointConfig {
        limits: ItemLimits::NONE,
        ..PERSISTING
    };
    let replica = VBucket::new(Vbid(3), &persisted, config);
    let last = u64::MAX - 1;
    let endless = replica.receive_marker(marker(1, u64::MAX));
    assert!(
        matches!(endless, Err(VBucketError::Checkpoint { .. })),
        "the highest number is not a seqno: {endless:?}"
    );
    replica.receive_marker(marker(1, last)).expect("valid");
    replica.receive(at(last, "a")).expect("inside");
    replica
        .set_state(State::Active, Some(VbUuid(8)))
        .expect("a new branch");
    let before = replica.manager().to_string();
    let refused = replica.write(set("b"), 1);
    let source = CheckpointError::SeqnosUsedUp { high: Seqno(last) };
    assert_eq!(
        refused,
        Err(VBucketError::Checkpoint {
            vb: Vbid(3),
            source
        })
    );
    assert_eq!(
        (replica.high_seqno(), replica.manager().to_string()),
        (Seqno(last), before),
        "a refused write changes nothing"
    );
}
