//! Whether a client may go on where it asks to, or must first give up what it has beyond some seqno.
//!
//! In go the client's position and the vBucket's history; out comes a decision. The rule is Couchbase's, as its server
//! decides it (not as its documents describe it). Pure.

use checkpoint::{FailoverLog, Seqno, VbUuid};

/// Where a client says it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientPosition {
    /// The branch it is on; 0 if it does not know.
    pub uuid: VbUuid,
    /// The last seqno it has.
    pub start: Seqno,
    /// Start of the snapshot `start` belongs to.
    pub snapshot_start: Seqno,
    /// End of that snapshot.
    pub snapshot_end: Seqno,
    /// It asks that its uuid be known even at seqno 0.
    pub strict_uuid: bool,
    /// The purge seqno of the history it has; tombstones up to there it need not have seen.
    pub purge: Seqno,
    /// It does not care about tombstones that are gone.
    pub ignore_purged: bool,
}

/// What the vBucket's own history is.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// Its branches.
    pub log: &'a FailoverLog,
    /// Its last seqno.
    pub high: Seqno,
    /// Its highest purged tombstone.
    pub purge: Seqno,
    /// The highest seqno of the collections that the client asked for, if it asked for some and that is known.
    pub filtered_high: Option<Seqno>,
}

/// `None`: go on. `Some(seqno)`: the client must first drop everything after `seqno`.
#[must_use]
pub fn rollback_to(client: &ClientPosition, history: &History<'_>) -> Option<Seqno> {
    if client.start == Seqno::ZERO && (!client.strict_uuid || client.uuid == VbUuid(0)) {
        return None;
    }
    let purge = if client.ignore_purged { Seqno::ZERO } else { history.purge };
    // Who has all of its collections has missed nothing of them, whatever was purged from others.
    let has_all = history.filtered_high.is_some_and(|high| client.start >= high && high <= purge);
    if client.start < purge && client.start != Seqno::ZERO && client.purge != purge && !has_all {
        return Some(Seqno::ZERO);
    }
    // The oldest branch of that name counts; the branch after it ends it.
    let entries = history.log.entries();
    let Some(index) = entries.iter().rposition(|entry| entry.uuid == client.uuid) else {
        return Some(Seqno::ZERO);
    };
    let newer = index.checked_sub(1).and_then(|newer| entries.get(newer));
    let upper = newer.map_or(history.high, |entry| entry.seqno);

    // A marker was seen but none of its items: the client has what was before it, whole.
    let snapshot_end = if client.start == client.snapshot_start { client.start } else { client.snapshot_end };
    if snapshot_end <= upper {
        return None;
    }
    // All of the snapshot was seen: nothing before its end need be given up for its sake.
    let snapshot_start = if client.start == snapshot_end { client.start } else { client.snapshot_start };
    Some(if upper < snapshot_start { upper } else { snapshot_start })
}

#[cfg(test)]
mod tests {
    use super::*;
    use checkpoint::FailoverEntry;

    /// Branches: 0xa from 0, 0xb from 10, 0xc from 20; high 30.
    fn decide(uuid: u64, start: u64, snapshot: (u64, u64), purge: u64) -> Option<u64> {
        let entries = [(0xc, 20), (0xb, 10), (0xa, 0)];
        let entries = entries.map(|(uuid, seqno)| FailoverEntry { uuid: VbUuid(uuid), seqno: Seqno(seqno) });
        let log = FailoverLog::from_entries(entries.to_vec()).expect("valid");
        let client = ClientPosition {
            uuid: VbUuid(uuid),
            start: Seqno(start),
            snapshot_start: Seqno(snapshot.0),
            snapshot_end: Seqno(snapshot.1),
            strict_uuid: false,
            purge: Seqno::ZERO,
            ignore_purged: false,
        };
        rollback_to(
            &client,
            &History { log: &log, high: Seqno(30), purge: Seqno(purge), filtered_high: None },
        )
        .map(|seqno| seqno.0)
    }

    #[test]
    fn a_client_on_the_newest_branch_goes_on() {
        assert_eq!(decide(0xc, 25, (25, 25), 0), None);
        assert_eq!(decide(0xc, 25, (24, 30), 0), None);
        assert_eq!(decide(0xc, 25, (24, 31), 0), Some(24), "its snapshot ends where we have nothing");
        assert_eq!(decide(0xc, 40, (40, 40), 0), Some(30), "it has more than there is");
    }

    #[test]
    fn a_client_on_an_older_branch_goes_back_to_where_that_ended() {
        assert_eq!(decide(0xb, 15, (15, 15), 0), None);
        assert_eq!(decide(0xb, 25, (25, 25), 0), Some(20));
        assert_eq!(decide(0xb, 22, (18, 25), 0), Some(18), "half a snapshot is no place to stand");
        assert_eq!(decide(0xa, 18, (18, 25), 0), Some(10));
        assert_eq!(decide(0xb, 15, (15, 25), 0), None, "a marker without items is forgotten");
    }

    #[test]
    fn an_unknown_branch_starts_again() {
        assert_eq!(decide(0xd, 5, (5, 5), 0), Some(0));
        assert_eq!(decide(0xd, 0, (0, 0), 0), None, "there is nothing to give up at 0");
    }

    /// Guards S24.
    #[test]
    fn who_has_all_of_its_collections_goes_on_whatever_was_purged_from_others() {
        let log = FailoverLog::new(VbUuid(0xa));
        let decide = |start: u64, filtered_high| {
            let client = ClientPosition {
                uuid: VbUuid(0xa),
                start: Seqno(start),
                snapshot_start: Seqno(start),
                snapshot_end: Seqno(start),
                strict_uuid: false,
                purge: Seqno::ZERO,
                ignore_purged: false,
            };
            let filtered_high = Some(Seqno(filtered_high));
            rollback_to(&client, &History { log: &log, high: Seqno(30), purge: Seqno(20), filtered_high })
        };
        assert_eq!(decide(10, 10), None);
        assert_eq!(decide(9, 10), Some(Seqno::ZERO), "it may have missed that one");
        assert_eq!(decide(15, 25), Some(Seqno::ZERO), "between them something may be gone");
    }

    #[test]
    fn a_client_that_may_have_missed_purged_tombstones_starts_again() {
        assert_eq!(decide(0xc, 25, (25, 25), 26), Some(0));
        assert_eq!(decide(0xc, 26, (26, 26), 26), None);
    }
}
