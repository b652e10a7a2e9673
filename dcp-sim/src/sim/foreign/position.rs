//! Where a foreign client stands in one vBucket: its branches, its last seqno, the snapshot that belongs to, its documents.
//!
//! What always holds: what it asks with is what it was given; it counts as whole only what the protocol says is
//! whole; whatever breaks the rules of a stream (W20) is said as [`Seen::Broken`], and the client goes on.

use std::collections::BTreeSet;

use lowtide_checkpoint::{FailoverEntry, Key, Seqno, VbUuid};

use super::documents::{Folded, Revision};
use crate::wire::{Marker, MarkerFlags};

/// What a client has seen or concluded, for a judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Seen {
    /// A stream was opened. `content` is what the client has, if that is whole.
    Opened {
        log: Vec<FailoverEntry>,
        seqno: Seqno,
        content: Option<u64>,
    },
    /// An item came, which made this revision.
    Item { seqno: Seqno, digest: u64 },
    /// A snapshot is complete: this is the content up to its end.
    Whole { seqno: Seqno, content: u64 },
    /// A marker starts after `upto`: this content must be whole there.
    Concluded { upto: Seqno, content: u64 },
    /// The client was told to go back to `told`, and went to `to`, on the branch that it names next.
    WentBack {
        told: Seqno,
        to: Seqno,
        uuid: VbUuid,
        content: u64,
    },
    /// The producer broke the protocol.
    Broken(String),
}

/// What a stream is asked for with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ResumeAt {
    pub(super) uuid: VbUuid,
    pub(super) start: Seqno,
    pub(super) snapshot: (Seqno, Seqno),
}

/// How a client says where it stands, where the protocol leaves it the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manners {
    /// It names the newest branch it heard of, not the oldest one that has all of its snapshot.
    pub(super) names_newest: bool,
    /// With a whole snapshot it names that snapshot's range, not its seqno three times.
    pub(super) names_range: bool,
}

/// One vBucket's state.
#[derive(Debug)]
pub(super) struct Position {
    /// Newest first; empty before the first answer.
    log: Vec<FailoverEntry>,
    seqno: Seqno,
    /// Range of the snapshot that the last item was in.
    snapshot: (Seqno, Seqno),
    /// The stream's last marker.
    marker: Option<Marker>,
    /// Where the stream's first marker must start, until it has come.
    first_start: Option<Seqno>,
    /// Keys of the current snapshot.
    keys: BTreeSet<Key>,
    documents: Folded,
}

impl Position {
    /// At the beginning, with a journal of so many changes.
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

    /// The newest branch that the client heard of; 0 for none.
    pub(super) fn newest(&self) -> VbUuid {
        self.log.first().map_or(VbUuid(0), |entry| entry.uuid)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.documents.is_whole_at(self.seqno)
    }

    /// What a stream is to be asked for with now. The one before, if there was one, is over.
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

    /// The branch that a seqno is on. What a client has of a snapshot is of the branch that the snapshot's end is on: what was
    /// replaced there it lacks, though another branch may have it still.
    fn branch_of(&self, seqno: Seqno) -> VbUuid {
        self.log
            .iter()
            .find(|entry| entry.seqno <= seqno)
            .map_or(VbUuid(0), |entry| entry.uuid)
    }

    /// The stream was opened.
    pub(super) fn opened(&mut self, log: Vec<FailoverEntry>) -> Seen {
        self.log = log;
        let content = self.is_whole().then(|| self.documents.content());
        Seen::Opened {
            log: self.log.clone(),
            seqno: self.seqno,
            content,
        }
    }

    /// A snapshot is announced.
    pub(super) fn begin(&mut self, marker: Marker) -> Option<Seen> {
        let before = self.marker.replace(marker);
        self.keys.clear();
        let broken = |what: &str| {
            let (start, end, seqno) = (marker.start, marker.end, self.seqno);
            Some(Seen::Broken(format!(
                "a marker {start} to {end} came at {seqno}: {what}"
            )))
        };
        if marker.end <= self.seqno || marker.start > marker.end {
            return broken("it announces nothing");
        }
        let first = self.first_start.take();
        if let Some(first) = first.filter(|&first| first != marker.start) {
            return broken(&format!("the stream's first one must start at {first}"));
        }
        if marker.start > self.seqno {
            // By the protocol whatever is before it is whole here.
            let (upto, content) = (Seqno(marker.start.0 - 1), self.documents.content());
            self.documents.mark_whole(self.seqno);
            return Some(Seen::Concluded { upto, content });
        }
        if first.is_none() && before.is_none_or(|before| before.end <= self.seqno) {
            return broken("the one before ended there");
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

    /// An item has come; it made that revision of its key.
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
        let is_in_order = self.come_to(seqno, &mut seen);
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

    /// The snapshot has come to `seqno`, with nothing for this client there.
    pub(super) fn advance(&mut self, seqno: Seqno) -> Vec<Seen> {
        let mut seen = Vec::new();
        if self.come_to(seqno, &mut seen) {
            self.check_end(&mut seen);
        }
        seen
    }

    /// The producer's history is another one after `told`: the client goes back, and must ask again.
    pub(super) fn go_back(&mut self, told: Seqno, manners: Manners) -> Vec<Seen> {
        let mut seen = Vec::new();
        // A client at 0 may be told that its branch is unknown, if it asked to be.
        let forgets_branch = told == Seqno::ZERO && !self.log.is_empty();
        if told >= self.seqno && !forgets_branch {
            seen.push(Seen::Broken(format!(
                "it was told to go back to {told} from {}",
                self.seqno
            )));
        }
        self.seqno = self.documents.go_back(told);
        self.snapshot = (self.seqno, self.seqno);
        if self.seqno == Seqno::ZERO {
            self.log.clear();
        }
        let (to, uuid, content) = (
            self.seqno,
            self.resume(manners).uuid,
            self.documents.content(),
        );
        seen.push(Seen::WentBack {
            told,
            to,
            uuid,
            content,
        });
        seen
    }

    fn come_to(&mut self, seqno: Seqno, seen: &mut Vec<Seen>) -> bool {
        let Some(marker) = self.marker else {
            seen.push(Seen::Broken(format!("{seqno} came before any marker")));
            return false;
        };
        if seqno <= self.seqno || seqno < marker.start || seqno > marker.end {
            let (start, end, before) = (marker.start, marker.end, self.seqno);
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
        // What lies before a snapshot's first seqno is whole, and with that one everything up to there.
        if self.seqno == self.snapshot.1 || self.seqno == self.snapshot.0 {
            self.documents.mark_whole(self.seqno);
            seen.push(Seen::Whole {
                seqno: self.seqno,
                content: self.documents.content(),
            });
        }
    }
}
