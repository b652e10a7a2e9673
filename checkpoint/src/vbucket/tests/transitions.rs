//! Changes of state: which ones are allowed, what they take, and that they are flushed.

use super::*;

const STATES: [State; 4] = [State::Active, State::Replica, State::Pending, State::Dead];

#[test]
fn write_needs_an_active_and_receive_a_replica() {
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
fn every_transition_except_active_to_pending_is_allowed() {
    for (from, to) in STATES
        .into_iter()
        .flat_map(|from| STATES.map(|to| (from, to)))
    {
        let (vbucket, _) = vbucket(from);
        let before = vbucket.manager().to_string();
        let uuid = Some(VbUuid(8)).filter(|_| to == State::Active);
        let changed = vbucket.set_state(to, uuid);
        if (from, to) == (State::Active, State::Pending) {
            assert_eq!(
                changed,
                Err(VBucketError::NoTransition {
                    vb: Vbid(3),
                    from,
                    to
                })
            );
            assert_eq!(
                (vbucket.state(), vbucket.manager().to_string()),
                (from, before)
            );
            continue;
        }
        assert_eq!((changed, vbucket.state()), (Ok(()), to), "{from} to {to}");
        // The operations that the new state accepts.
        assert_eq!(
            vbucket.write(set("a"), 1).is_ok(),
            to == State::Active,
            "{from} to {to}"
        );
        let follows = matches!(to, State::Replica | State::Pending);
        assert_eq!(
            vbucket.receive_marker(marker(1, 2)).is_ok(),
            follows,
            "{from} to {to}"
        );
        let branches = if to == State::Active { 2 } else { 1 };
        assert_eq!(
            vbucket.failover_log().entries().len(),
            branches,
            "{from} to {to}"
        );
    }
}

#[test]
fn transition_is_queued_and_same_state_is_not() {
    let (vbucket, persisted) = vbucket(State::Replica);
    vbucket
        .set_state(State::Replica, None)
        .expect("nothing happens");
    assert_eq!(vbucket.manager().stats().items, 0);
    vbucket
        .set_state(State::Active, Some(VbUuid(8)))
        .expect("a new branch");
    let flush = vbucket
        .manager()
        .begin_flush(ReadLimit::NONE)
        .expect("no other flush");
    let state = vbucket.state_with(flush.batch(), &persisted, Seqno::ZERO);
    assert_eq!(
        (state.state, state.failover_log.newest().uuid),
        (State::Active, VbUuid(8))
    );
    assert_eq!(
        (state.snapshot_start, state.snapshot_end),
        (Seqno(0), Seqno(0))
    );
}
