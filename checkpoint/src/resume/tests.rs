//! Every line of the rule.

use super::*;
use crate::FailoverEntry;

/// Branches: 0xa from 0, 0xb from 10, 0xc from 20; high 30.
fn decide(uuid: u64, seqno: u64, snapshot: (u64, u64), purge: u64) -> Option<u64> {
    let entries = [(0xc, 20), (0xb, 10), (0xa, 0)];
    let entries = entries.map(|(uuid, seqno)| FailoverEntry {
        uuid: VbUuid(uuid),
        seqno: Seqno(seqno),
    });
    let log = FailoverLog::from_entries(entries.to_vec()).expect("valid");
    let (snapshot_start, snapshot_end) = (Seqno(snapshot.0), Seqno(snapshot.1));
    let point = ResumePoint {
        uuid: VbUuid(uuid),
        seqno: Seqno(seqno),
        snapshot_start,
        snapshot_end,
    };
    let history = History {
        log: &log,
        high: Seqno(30),
        purge: Seqno(purge),
        filtered_high: None,
    };
    history.rollback_to(&point.into()).map(|seqno| seqno.0)
}

#[test]
fn a_client_on_the_newest_branch_goes_on() {
    assert_eq!(decide(0xc, 25, (25, 25), 0), None);
    assert_eq!(decide(0xc, 25, (24, 30), 0), None);
    assert_eq!(
        decide(0xc, 25, (24, 31), 0),
        Some(24),
        "its snapshot ends where we have nothing"
    );
    assert_eq!(
        decide(0xc, 40, (40, 40), 0),
        Some(30),
        "it has more than there is"
    );
}

#[test]
fn a_client_on_an_older_branch_goes_back_to_where_that_ended() {
    assert_eq!(decide(0xb, 15, (15, 15), 0), None);
    assert_eq!(decide(0xb, 25, (25, 25), 0), Some(20));
    assert_eq!(
        decide(0xb, 22, (18, 25), 0),
        Some(18),
        "half a snapshot is no place to stand"
    );
    assert_eq!(decide(0xa, 18, (18, 25), 0), Some(10));
    assert_eq!(
        decide(0xb, 15, (15, 25), 0),
        None,
        "a marker without items is forgotten"
    );
}

#[test]
fn an_unknown_branch_starts_again() {
    assert_eq!(decide(0xd, 5, (5, 5), 0), Some(0));
    assert_eq!(
        decide(0xd, 0, (0, 0), 0),
        None,
        "there is nothing to give up at 0"
    );
}

/// Guards S24.
#[test]
fn who_has_all_of_its_collections_goes_on_whatever_was_purged_from_others() {
    let log = FailoverLog::new(VbUuid(0xa));
    let decide = |seqno: u64, filtered_high| {
        let filtered_high = Some(Seqno(filtered_high));
        let history = History {
            log: &log,
            high: Seqno(30),
            purge: Seqno(20),
            filtered_high,
        };
        history.rollback_to(&ResumePoint::whole(VbUuid(0xa), Seqno(seqno)).into())
    };
    assert_eq!(decide(10, 10), None);
    assert_eq!(
        decide(9, 10),
        Some(Seqno::ZERO),
        "it may have missed that one"
    );
    assert_eq!(
        decide(15, 25),
        Some(Seqno::ZERO),
        "between them something may be gone"
    );
}

#[test]
fn a_client_that_may_have_missed_purged_tombstones_starts_again() {
    assert_eq!(decide(0xc, 25, (25, 25), 26), Some(0));
    assert_eq!(decide(0xc, 26, (26, 26), 26), None);
}
