//! The lines from a child to its parent, and back: words and numbers.
//!
//! A line is written whole, by one call. So of a killed child only the last line may be torn.

use std::fmt;
use std::str::{FromStr, SplitAsciiWhitespace};

use lowtide_checkpoint::{ResumePoint, Seqno, VbUuid, Vbid};

/// One step of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The store is open.
    Opened { was_orderly: bool },
    /// The store could not be opened, because the disk failed.
    OpenFailed,
    /// The high seqno of a vBucket on disk.
    High { vb: Vbid, seqno: u64 },
    /// A revision on disk; digest 0 for a tombstone.
    Stored { vb: Vbid, written: Written },
    /// Everything on disk was reported, and writing begins.
    Ready,
    /// A writer is about to write.
    Intent { vb: Vbid, key: u64, digest: u64 },
    /// The last intent of the key's writer was taken.
    Taken { key: u64, seqno: u64 },
    /// The last intent of the key's writer was refused.
    Refused { key: u64 },
    /// A write was reported as persisted.
    Acked { vb: Vbid, seqno: u64 },
    /// A follower has an item.
    Item {
        at: At,
        from_disk: bool,
        written: Written,
    },
    /// The place of a follower after its items so far, perhaps inside a snapshot.
    Place { at: At, point: ResumePoint },
    /// A follower has a whole snapshot.
    End { at: At, point: ResumePoint },
    /// A follower was to go back, and went to the end of a snapshot.
    Back { at: At, to: u64 },
    /// Something that is only counted.
    Count { name: String, number: u64 },
    /// The store was closed.
    Closed { in_order: bool },
    /// Something is wrong.
    Bad { text: String },
}

/// A follower, and one of its vBuckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) follower: u64,
    pub(super) vb: Vbid,
}

/// A revision of a key; digest 0 for a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) seqno: u64,
    pub(super) key: u64,
    pub(super) digest: u64,
}

impl Line {
    pub(super) fn count(name: &str, number: u64) -> Self {
        let name = name.to_owned();
        Self::Count { name, number }
    }

    pub(super) fn bad(text: impl fmt::Display) -> Self {
        // A line has no end inside.
        let text = text.to_string().replace('\n', " ");
        Self::Bad { text }
    }

    /// Reads a line; `None` for any other text.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = Words(rest.split_ascii_whitespace());
        Some(match name {
            "opened" => Self::Opened {
                was_orderly: words.next()?,
            },
            "open-failed" => Self::OpenFailed,
            "high" => Self::High {
                vb: words.vb()?,
                seqno: words.next()?,
            },
            "stored" => Self::Stored {
                vb: words.vb()?,
                written: words.written()?,
            },
            "ready" => Self::Ready,
            "intent" => Self::Intent {
                vb: words.vb()?,
                key: words.next()?,
                digest: words.next()?,
            },
            "taken" => Self::Taken {
                key: words.next()?,
                seqno: words.next()?,
            },
            "refused" => Self::Refused { key: words.next()? },
            "acked" => Self::Acked {
                vb: words.vb()?,
                seqno: words.next()?,
            },
            "item" => Self::Item {
                at: words.at()?,
                from_disk: words.next()?,
                written: words.written()?,
            },
            "place" => Self::Place {
                at: words.at()?,
                point: words.point()?,
            },
            "end" => Self::End {
                at: words.at()?,
                point: words.point()?,
            },
            "back" => Self::Back {
                at: words.at()?,
                to: words.next()?,
            },
            "count" => Self::Count {
                name: words.next()?,
                number: words.next()?,
            },
            "closed" => Self::Closed {
                in_order: words.next()?,
            },
            "bad" => Self::bad(rest),
            _ => return None,
        })
    }
}

struct Words<'a>(SplitAsciiWhitespace<'a>);

impl Words<'_> {
    fn next<T: FromStr>(&mut self) -> Option<T> {
        self.0.next()?.parse().ok()
    }

    fn vb(&mut self) -> Option<Vbid> {
        self.next().map(Vbid)
    }

    fn at(&mut self) -> Option<At> {
        let follower = self.next()?;
        let vb = self.vb()?;
        Some(At { follower, vb })
    }

    fn written(&mut self) -> Option<Written> {
        let (seqno, key, digest) = (self.next()?, self.next()?, self.next()?);
        Some(Written { seqno, key, digest })
    }

    fn point(&mut self) -> Option<ResumePoint> {
        Some(ResumePoint {
            uuid: VbUuid(self.next()?),
            seqno: Seqno(self.next()?),
            snapshot_start: Seqno(self.next()?),
            snapshot_end: Seqno(self.next()?),
        })
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.follower, self.vb.0)
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.seqno, self.key, self.digest)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |f: &mut fmt::Formatter<'_>, name, at: &At, point: &ResumePoint| {
            let (start, end) = (point.snapshot_start.0, point.snapshot_end.0);
            write!(
                f,
                "{name} {at} {} {} {start} {end}",
                point.uuid.0, point.seqno.0
            )
        };
        match self {
            Self::Opened { was_orderly } => write!(f, "opened {was_orderly}"),
            Self::OpenFailed => f.write_str("open-failed"),
            Self::High { vb, seqno } => write!(f, "high {} {seqno}", vb.0),
            Self::Stored { vb, written } => write!(f, "stored {} {written}", vb.0),
            Self::Ready => f.write_str("ready"),
            Self::Intent { vb, key, digest } => write!(f, "intent {} {key} {digest}", vb.0),
            Self::Taken { key, seqno } => write!(f, "taken {key} {seqno}"),
            Self::Refused { key } => write!(f, "refused {key}"),
            Self::Acked { vb, seqno } => write!(f, "acked {} {seqno}", vb.0),
            Self::Item {
                at,
                from_disk,
                written,
            } => write!(f, "item {at} {from_disk} {written}"),
            Self::Place { at, point } => place(f, "place", at, point),
            Self::End { at, point } => place(f, "end", at, point),
            Self::Back { at, to } => write!(f, "back {at} {to}"),
            Self::Count { name, number } => write!(f, "count {name} {number}"),
            Self::Closed { in_order } => write!(f, "closed {in_order}"),
            Self::Bad { text } => write!(f, "bad {text}"),
        }
    }
}
