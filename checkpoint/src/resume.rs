//! The resume rule: whether a reader may continue, or must first discard a part of what it has.
//!
//! The input is the reader's position and the vBucket's history. Streams and subscriptions share
//! the rule. It is Couchbase's, as its server implements it (not as its documents describe it). The
//! functions are pure.
//!
//! # Invariants
//! - C28. A reader that continues has a prefix of this history, or is inside a snapshot that this
//!   history has completely. None of its items is of another branch, and no tombstone that it needs
//!   was purged.

use crate::model::{FailoverLog, Seqno, VbUuid};

/// A reader's position in a vBucket's history, from which it continues.
///
/// A reader stores it together with the items it has processed, and passes it when it returns, to
/// this copy or another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumePoint {
    /// Branch that the reader is on; 0 for none.
    pub uuid: VbUuid,
    /// Last seqno that the reader has.
    pub seqno: Seqno,
    /// Start of that seqno's snapshot: the end of the last snapshot that the reader has completely.
    pub snapshot_start: Seqno,
    /// End of that snapshot; equal to `seqno` when the reader has it completely.
    pub snapshot_end: Seqno,
}

impl ResumePoint {
    /// The position of a reader that has nothing yet. It is a prefix of every history.
    pub const START: Self = Self::whole(VbUuid(0), Seqno::ZERO);

    /// Creates the position of a reader that has everything up to `seqno`.
    #[must_use]
    pub const fn whole(uuid: VbUuid, seqno: Seqno) -> Self {
        Self {
            uuid,
            seqno,
            snapshot_start: seqno,
            snapshot_end: seqno,
        }
    }

    /// Returns the point as bytes, for a reader to store or to send: four big-endian numbers, in the
    /// order of the fields.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        let numbers = [
            self.uuid.0,
            self.seqno.0,
            self.snapshot_start.0,
            self.snapshot_end.0,
        ];
        let mut bytes = [0; 32];
        let places = bytes.chunks_exact_mut(8);
        places
            .zip(numbers)
            .for_each(|(place, number)| place.copy_from_slice(&number.to_be_bytes()));
        bytes
    }

    /// Returns the point with these [`ResumePoint::to_bytes`]; `None` if there is none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 32] = bytes.try_into().ok()?;
        let mut numbers = bytes.chunks_exact(8).map(|number| {
            number
                .iter()
                .fold(0, |value, &byte| value << 8 | u64::from(byte))
        });
        let point = Self {
            uuid: VbUuid(numbers.next()?),
            seqno: Seqno(numbers.next()?),
            snapshot_start: Seqno(numbers.next()?),
            snapshot_end: Seqno(numbers.next()?),
        };
        Some(point).filter(Self::is_sound)
    }

    /// Returns whether the seqno lies in its snapshot.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.snapshot_start <= self.seqno && self.seqno <= self.snapshot_end
    }
}

/// A reader's request: its position, and its knowledge about purged tombstones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeRequest {
    /// Position of the reader.
    pub point: ResumePoint,
    /// Whether the uuid must be known even at seqno 0.
    pub strict_uuid: bool,
    /// Purge seqno of the history that the reader has. Tombstones up to it may be unseen.
    pub purge: Seqno,
    /// Whether the reader accepts that purged tombstones are missing.
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

/// A vBucket's own history.
#[derive(Clone, Copy, Debug)]
pub struct ServedHistory<'a> {
    /// Branches.
    pub log: &'a FailoverLog,
    /// Last seqno of the vBucket.
    pub high: Seqno,
    /// Seqno of the highest purged tombstone.
    pub purge: Seqno,
    /// Highest seqno of the collections that the reader requested; `None` if it requested none, or
    /// if that is unknown.
    pub filtered_high: Option<Seqno>,
}

impl ServedHistory<'_> {
    /// Returns `None` if the reader may continue.
    ///
    /// Returns `Some(seqno)` if it must first discard everything after `seqno`, and also any
    /// snapshot that it has only partially there.
    #[must_use]
    pub fn rollback_to(&self, request: &ResumeRequest) -> Option<Seqno> {
        let point = &request.point;
        if point.seqno == Seqno::ZERO && (!request.strict_uuid || point.uuid == VbUuid(0)) {
            return None;
        }
        if may_lack_purged(request, self.purge) && !self.has_all_collections(point.seqno) {
            return Some(Seqno::ZERO);
        }
        // The oldest branch of that name counts. It ends where the next branch begins.
        let entries = self.log.entries();
        let Some(index) = entries.iter().rposition(|entry| entry.uuid == point.uuid) else {
            return Some(Seqno::ZERO);
        };
        let newer = index.checked_sub(1).and_then(|newer| entries.get(newer));
        let upper = newer.map_or(self.high, |entry| entry.seqno);

        // A marker was seen, but none of its items: the reader has everything before it completely.
        let snapshot_end = if point.seqno == point.snapshot_start {
            point.seqno
        } else {
            point.snapshot_end
        };
        if snapshot_end <= upper {
            return None;
        }
        // The snapshot was seen completely: nothing before its end need be discarded for its sake.
        let snapshot_start = if point.seqno == snapshot_end {
            point.seqno
        } else {
            point.snapshot_start
        };
        Some(upper.min(snapshot_start))
    }

    /// Returns whether nothing was written after `seqno` to the collections that the reader
    /// requested. It has missed nothing of them, whatever was purged from others.
    #[must_use]
    pub fn has_all_collections(&self, seqno: Seqno) -> bool {
        self.filtered_high.is_some_and(|high| high <= seqno)
    }
}

/// Returns whether tombstones up to `purge` are gone that a reader of all collections has not seen
/// and may need. A reader that has nothing needs none.
#[must_use]
pub fn may_lack_purged(request: &ResumeRequest, purge: Seqno) -> bool {
    let seqno = request.point.seqno;
    Seqno::ZERO < seqno && seqno < purge && request.purge != purge && !request.ignore_purged
}

#[cfg(test)]
mod tests;
