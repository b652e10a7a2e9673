//! Whether a reader may go on where it stands, or must first give up what it has beyond some seqno.
//!
//! In goes where the reader stands and what a vBucket's history is; out comes a decision. Streams and subscriptions take it
//! from here. The rule is Couchbase's, as its server decides it (not as its documents describe it). Pure.
//!
//! - C28. Whoever goes on has a prefix of this history, or is inside a snapshot all of which this history has: nothing that it
//!   has is of another branch, and no tombstone that it needs was purged.

use crate::{FailoverLog, Seqno, VbUuid};

/// Where a reader of a vBucket's history stands: what it goes on from.
///
/// A reader keeps it beside what it has made of the items, and gives it when it comes back, to this copy or another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumePoint {
    /// The branch it is on; 0 if it is on none.
    pub uuid: VbUuid,
    /// The last seqno it has.
    pub seqno: Seqno,
    /// Where that seqno's snapshot starts: the end of the last one it has all of.
    pub snapshot_start: Seqno,
    /// End of that snapshot; equal to `seqno` when it has all of it.
    pub snapshot_end: Seqno,
}

impl ResumePoint {
    /// Of a reader that has nothing yet: every history has it as a prefix.
    pub const START: Self = Self::whole(VbUuid(0), Seqno::ZERO);

    /// Of a reader that has everything up to `seqno`.
    #[must_use]
    pub const fn whole(uuid: VbUuid, seqno: Seqno) -> Self {
        Self {
            uuid,
            seqno,
            snapshot_start: seqno,
            snapshot_end: seqno,
        }
    }

    /// Whether the seqno lies in its snapshot.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.snapshot_start <= self.seqno && self.seqno <= self.snapshot_end
    }
}

/// What a reader asks for: where it stands, and what it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeRequest {
    /// Where it stands.
    pub point: ResumePoint,
    /// It asks that its uuid be known even at seqno 0.
    pub strict_uuid: bool,
    /// The purge seqno of the history it has; tombstones up to there it need not have seen.
    pub purge: Seqno,
    /// It does not care about tombstones that are gone.
    pub ignore_purged: bool,
}

impl From<ResumePoint> for ResumeRequest {
    fn from(point: ResumePoint) -> Self {
        Self {
            point,
            strict_uuid: false,
            purge: Seqno::ZERO,
            ignore_purged: false,
        }
    }
}

/// What a vBucket's own history is.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// Its branches.
    pub log: &'a FailoverLog,
    /// Its last seqno.
    pub high: Seqno,
    /// Its highest purged tombstone.
    pub purge: Seqno,
    /// The highest seqno of the collections that the reader asked for, if it asked for some and that is known.
    pub filtered_high: Option<Seqno>,
}

impl History<'_> {
    /// `None`: the reader goes on. `Some(seqno)`: it must first give up everything after `seqno`, and what it has of a snapshot
    /// that it does not have whole there.
    #[must_use]
    pub fn rollback_to(&self, request: &ResumeRequest) -> Option<Seqno> {
        let point = &request.point;
        if point.seqno == Seqno::ZERO && (!request.strict_uuid || point.uuid == VbUuid(0)) {
            return None;
        }
        if may_lack_purged(request, self.purge) && !self.has_all_collections(point.seqno) {
            return Some(Seqno::ZERO);
        }
        // The oldest branch of that name counts; the branch after it ends it.
        let entries = self.log.entries();
        let Some(index) = entries.iter().rposition(|entry| entry.uuid == point.uuid) else {
            return Some(Seqno::ZERO);
        };
        let newer = index.checked_sub(1).and_then(|newer| entries.get(newer));
        let upper = newer.map_or(self.high, |entry| entry.seqno);

        // A marker was seen but none of its items: the reader has what was before it, whole.
        let snapshot_end = if point.seqno == point.snapshot_start {
            point.seqno
        } else {
            point.snapshot_end
        };
        if snapshot_end <= upper {
            return None;
        }
        // All of the snapshot was seen: nothing before its end need be given up for its sake.
        let snapshot_start = if point.seqno == snapshot_end {
            point.seqno
        } else {
            point.snapshot_start
        };
        Some(upper.min(snapshot_start))
    }

    /// Whether nothing was written after `seqno` to the collections that the reader asked for: of them it has missed nothing,
    /// whatever was purged from others.
    #[must_use]
    pub fn has_all_collections(&self, seqno: Seqno) -> bool {
        self.filtered_high.is_some_and(|high| high <= seqno)
    }
}

/// Whether tombstones up to `purge` are gone that a reader of all collections has not seen and may need. One that has nothing
/// needs none.
#[must_use]
pub fn may_lack_purged(request: &ResumeRequest, purge: Seqno) -> bool {
    let seqno = request.point.seqno;
    Seqno::ZERO < seqno && seqno < purge && request.purge != purge && !request.ignore_purged
}

#[cfg(test)]
mod tests;
