//! The resume rule, line by line.

use super::*;
use crate::model::FailoverEntry;

/// Decides for a history with the branches 0xa from 0, 0xb from 10 and 0xc from 20, and high seqno 30.
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
    let history = ServedHistory {
        log: &log,
        high: Seqno(30),
        purge: Seqno(purge),
        filtered_high: None,
    };
    history.rollback_to(&point.into()).map(|seqno| seqno.0)
}

#[test]
fn client_on_the_newest_branch_continues() {
    assert_eq!(decide(0xc, 25, (25, 25), 0), None);
    assert_eq!(decide(0xc, 25, (24, 30), 0), None);
    assert_eq!(
        decide(0xc, 25, (24, 31), 0),
        Some(24),
        "its snapshot ends above the high seqno"
    );
    assert_eq!(
        decide(0xc, 40, (40, 40), 0),
        Some(30),
        "it has seqnos above the high seqno"
    );
}

#[test]
fn client_on_an_older_branch_goes_back_to_its_end() {
    assert_eq!(decide(0xb, 15, (15, 15), 0), None);
    assert_eq!(decide(0xb, 25, (25, 25), 0), Some(20));
    assert_eq!(
        decide(0xb, 22, (18, 25), 0),
        Some(18),
        "it goes back to the start of a partial snapshot"
    );
    assert_eq!(decide(0xa, 18, (18, 25), 0), Some(10));
    assert_eq!(
        decide(0xb, 15, (15, 25), 0),
        None,
        "a marker without items does not count"
    );
}

#[test]
fn client_on_an_unknown_branch_starts_again() {
    assert_eq!(decide(0xd, 5, (5, 5), 0), Some(0));
    assert_eq!(
        decide(0xd, 0, (0, 0), 0),
        None,
        "there is nothing to discard at 0"
    );
}

/// Guards S24.
#[test]
fn client_with_all_of_its_collections_continues_despite_purges() {
    let log = FailoverLog::new(VbUuid(0xa));
    let decide = |seqno: u64, filtered_high| {
        let filtered_high = Some(Seqno(filtered_high));
        let history = ServedHistory {
            log: &log,
            high: Seqno(30),
            purge: Seqno(20),
            filtered_high,
        };
        history.rollback_to(&ResumePoint::whole(VbUuid(0xa), Seqno(seqno)).into())
    };
    assert_eq!(decide(10, 10), None);
    assert_eq!(decide(9, 10), Some(Seqno::ZERO), "it may lack seqno 10");
    assert_eq!(
        decide(15, 25),
        Some(Seqno::ZERO),
        "a tombstone between them may be missing"
    );
}

#[test]
fn client_that_may_lack_purged_tombstones_starts_again() {
    assert_eq!(decide(0xc, 25, (25, 25), 26), Some(0));
    assert_eq!(decide(0xc, 26, (26, 26), 26), None);
}
