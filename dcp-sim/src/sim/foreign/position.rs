//! Position of a foreign client in one vBucket: its branches, last seqno, snapshot range and
//! documents.
//!
//! # Invariants
//!
//! - Its stream requests contain only values that it received.
//! - A state counts as complete only if the protocol declares it complete.
//! - Each violation of a stream's rules (W20) is reported as [`Seen::Broken`], and the client
//!   continues.

use std::collections::BTreeSet;

use lowtide_checkpoint::{FailoverEntry, Key, Seqno, VbUuid};

use super::documents::{Folded, Revision};
use crate::wire::{Marker, MarkerFlags};

/// Observation or conclusion of a client, for a judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Seen {
    /// A stream was opened. `content` is the client's content if it is complete.
    Opened {
        log: Vec<FailoverEntry>,
        seqno: Seqno,
        content: Option<u64>,
    },
    /// An item arrived and made this revision.
    Item { seqno: Seqno, digest: u64 },
    /// A snapshot is complete: this is the content up to its end.
    Whole { seqno: Seqno, content: u64 },
    /// A marker starts after `upto`: this content must be complete there.
    Concluded { upto: Seqno, content: u64 },
    /// The client was rolled back to `requested`, and returned to `to`, on the branch of its next
    /// request.
    WentBack {
        requested: Seqno,
        to: Seqno,
        uuid: VbUuid,
        content: u64,
    },
    /// The producer violated the protocol.
    Broken(String),
}

/// Position in a stream request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ResumeAt {
    pub(super) uuid: VbUuid,
    pub(super) start: Seqno,
    pub(super) snapshot: (Seqno, Seqno),
}

/// Choices of a client that the protocol leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manners {
    /// `true` to name the newest known branch, not the oldest one that contains all of the
    /// snapshot.
    pub(super) names_newest: bool,
    /// `true` to name a complete snapshot's range, not its seqno three times.
    pub(super) names_range: bool,
}

/// State of one vBucket.
#[derive(Debug)]
pub(super) struct Position {
    /// Newest first; empty before the first response.
    log: Vec<FailoverEntry>,
    seqno: Seqno,
    /// Range of the last item's snapshot.
    snapshot: (Seqno, Seqno),
    /// Last marker of the stream.
    marker: Option<Marker>,
    /// Start that the stream's first marker must have; `None` after that marker.
    first_start: Option<Seqno>,
    /// Keys of the current snapshot.
    keys: BTreeSet<Key>,
    documents: Folded,
}

impl Position {
    /// Creates the position at seqno 0, with a journal of `keeps` changes.
    pub(super) fn new(keeps: usize) -> Self {
        Self {
            log: Vec::new(),
            seqno: Seqno::ZERO,
            snapshot: (Seqno::ZERO, Seqno::ZERO),
            marker: None,
            first_start: None,
            keys: BTreeSet::new(),
            documents: Folded::new(keeps),
        }
    }

    pub(super) fn seqno(&self) -> Seqno {
        self.seqno
    }

    pub(super) fn snapshot(&self) -> (Seqno, Seqno) {
        self.snapshot
    }

    pub(super) fn documents(&self) -> &Folded {
        &self.documents
    }

    /// Returns the newest known branch, or 0.
    pub(super) fn newest(&self) -> VbUuid {
        self.log.first().map_or(VbUuid(0), |entry| entry.uuid)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.documents.is_whole_at(self.seqno)
    }

    /// Returns the position for the next stream request, and ends the previous stream.
    pub(super) fn resume(&mut self, manners: Manners) -> ResumeAt {
        self.marker = None;
        self.keys.clear();
        let (at, (start, end)) = (self.seqno, self.snapshot);
        let may_name_range = manners.names_range && (at == start || at == end);
        let snapshot = if self.is_whole() && !may_name_range {
            (at, at)
        } else {
            (start, end)
        };
        self.first_start = Some(snapshot.0);
        let uuid = if manners.names_newest {
            self.newest()
        } else {
            self.branch_of(snapshot.1.max(at))
        };
        ResumeAt {
            uuid,
            start: at,
            snapshot,
        }
    }

    /// Returns the branch of a seqno. A partial snapshot belongs to the branch of the snapshot's
    /// end: the client lacks the revisions that were replaced there, though another branch may
    /// still have them.
    fn branch_of(&self, seqno: Seqno) -> VbUuid {
        self.log
            .iter()
            .find(|entry| entry.seqno <= seqno)
            .map_or(VbUuid(0), |entry| entry.uuid)
    }

    /// Records the response to a stream request.
    pub(super) fn opened(&mut self, log: Vec<FailoverEntry>) -> Seen {
        self.log = log;
        let content = self.is_whole().then(|| self.documents.content());
        Seen::Opened {
            log: self.log.clone(),
            seqno: self.seqno,
            content,
        }
    }

    /// Starts a snapshot.
    pub(super) fn begin(&mut self, marker: Marker) -> Option<Seen> {
        let before = self.marker.replace(marker);
        self.keys.clear();
        let broken = |what: &str| {
            let start = marker.start;
            let end = marker.end;
            let seqno = self.seqno;
            Some(Seen::Broken(format!(
                "a marker {start} to {end} came at {seqno}: {what}"
            )))
        };
        if marker.end <= self.seqno || marker.start > marker.end {
            return broken("it contains no new seqno");
        }
        let first = self.first_start.take();
        if let Some(first) = first.filter(|&first| first != marker.start) {
            return broken(&format!("the stream's first marker must start at {first}"));
        }
        if marker.start > self.seqno {
            // By the protocol everything before it is complete here.
            let upto = Seqno(marker.start.0 - 1);
            let content = self.documents.content();
            self.documents.mark_whole(self.seqno);
            return Some(Seen::Concluded { upto, content });
        }
        if first.is_none() && before.is_none_or(|before| before.end <= self.seqno) {
            return broken("the previous marker ended there");
        }
        if first.is_none() && marker.start > self.snapshot.0 {
            return broken(&format!(
                "it starts inside the snapshot that starts at {}",
                self.snapshot.0
            ));
        }
        self.snapshot = (marker.start, marker.end);
        None
    }

    /// Records an item, which made that revision of its key.
    pub(super) fn item(&mut self, seqno: Seqno, key: &Key, revision: Revision) -> Vec<Seen> {
        let mut seen = Vec::new();
        let may_repeat = self
            .marker
            .is_some_and(|marker| marker.flags.contains(MarkerFlags::MAY_DUPLICATE_KEYS));
        if !self.keys.insert(key.clone()) && !may_repeat {
            seen.push(Seen::Broken(format!(
                "{key} came twice in one snapshot, again at {seqno}"
            )));
        }
        let is_in_order = self.advance_to(seqno, &mut seen);
        if is_in_order {
            self.documents.apply(seqno, key.clone(), revision);
            seen.push(Seen::Item {
                seqno,
                digest: revision.digest,
            });
            self.check_end(&mut seen);
        }
        seen
    }

    /// Advances to `seqno` of the snapshot, without an item for this client.
    pub(super) fn advance(&mut self, seqno: Seqno) -> Vec<Seen> {
        let mut seen = Vec::new();
        if self.advance_to(seqno, &mut seen) {
            self.check_end(&mut seen);
        }
        seen
    }

    /// Rolls back: the producer's history differs after `requested`. The stream must be requested
    /// again.
    pub(super) fn roll_back(&mut self, requested: Seqno, manners: Manners) -> Vec<Seen> {
        let mut seen = Vec::new();
        // At seqno 0 a rollback reports an unknown branch, if the request was strict.
        let forgets_branch = requested == Seqno::ZERO && !self.log.is_empty();
        if requested >= self.seqno && !forgets_branch {
            seen.push(Seen::Broken(format!(
                "a rollback to {requested} came at {}",
                self.seqno
            )));
        }
        self.seqno = self.documents.roll_back(requested);
        self.snapshot = (self.seqno, self.seqno);
        if self.seqno == Seqno::ZERO {
            self.log.clear();
        }
        let uuid = self.resume(manners).uuid;
        seen.push(Seen::WentBack {
            requested,
            to: self.seqno,
            uuid,
            content: self.documents.content(),
        });
        seen
    }

    fn advance_to(&mut self, seqno: Seqno, seen: &mut Vec<Seen>) -> bool {
        let Some(marker) = self.marker else {
            seen.push(Seen::Broken(format!("{seqno} came before any marker")));
            return false;
        };
        if seqno <= self.seqno || seqno < marker.start || seqno > marker.end {
            let start = marker.start;
            let end = marker.end;
            let before = self.seqno;
            seen.push(Seen::Broken(format!(
                "{seqno} came after {before}, in a snapshot {start} to {end}"
            )));
            return false;
        }
        self.seqno = seqno;
        self.snapshot = (marker.start, marker.end);
        true
    }

    fn check_end(&mut self, seen: &mut Vec<Seen>) {
        // Everything before a snapshot's first seqno is complete, hence everything up to it after
        // its item.
        if self.seqno == self.snapshot.1 || self.seqno == self.snapshot.0 {
            self.documents.mark_whole(self.seqno);
            seen.push(Seen::Whole {
                seqno: self.seqno,
                content: self.documents.content(),
            });
        }
    }
}
