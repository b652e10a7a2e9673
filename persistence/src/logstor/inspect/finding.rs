//! What looking at a log store has found: which kind, how bad, and where.

use std::fmt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use lowtide_checkpoint::{Key, Seqno, Vbid};

use crate::logstor::segment::Segment;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogSeverity {
    /// Unfinished, but nothing is lost and nothing read wrongly.
    Note,
    /// Bytes are not what was written, or parts of the store contradict one another.
    Damage,
}

impl LogSeverity {
    /// One word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Damage => "damage",
        }
    }
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LogFindingKind {
    /// A log file is missing, or has a length no log file has.
    File,
    /// A frame's header.
    Header,
    /// A frame's payload.
    Frame,
    /// A part of an append is missing.
    Append,
    /// A record in a frame, or a large one in several.
    Record,
    /// A record of an epoch that no vBucket ever had.
    Epoch,
    /// A seqno that can't be.
    Seqno,
    /// A vBucket's state.
    State,
    /// Two copies of one record differ.
    Copies,
    /// The index that opening the store makes is not what the records say.
    Index,
    /// An index image that can't be used, or says of the log what is not so. Without the file everything is read.
    Image,
    /// What opening the store finishes or cuts off.
    Tail,
}

impl LogFindingKind {
    /// One short stable word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Header => "header",
            Self::Frame => "frame",
            Self::Append => "append",
            Self::Record => "record",
            Self::Epoch => "epoch",
            Self::Seqno => "seqno",
            Self::State => "state",
            Self::Copies => "copies",
            Self::Index => "index",
            Self::Image => "image",
            Self::Tail => "tail",
        }
    }

    /// How bad it is. What a crash leaves behind is a note.
    #[must_use]
    pub const fn severity(self) -> LogSeverity {
        match self {
            Self::Tail => LogSeverity::Note,
            _ => LogSeverity::Damage,
        }
    }
}

/// One thing that is wrong, or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFinding {
    /// What it is.
    pub kind: LogFindingKind,
    /// In which file.
    pub path: PathBuf,
    /// Where in the file.
    pub offset: u64,
    /// In which segment, if in one.
    pub segment: Option<u32>,
    /// Of which vBucket, where that can be told.
    pub vb: Option<Vbid>,
    /// Of which revision, where that can be told.
    pub seqno: Option<Seqno>,
    /// Of which document, with its collection's prefix as stored.
    pub key: Option<Bytes>,
    /// In words.
    pub what: String,
}

impl LogFinding {
    pub(in crate::logstor) fn of_file(
        kind: LogFindingKind,
        path: &Path,
        offset: u64,
        what: impl Into<String>,
    ) -> Self {
        let (segment, vb, seqno, key) = (None, None, None, None);
        Self {
            kind,
            path: path.to_owned(),
            offset,
            segment,
            vb,
            seqno,
            key,
            what: what.into(),
        }
    }

    pub(in crate::logstor) fn in_segment(
        kind: LogFindingKind,
        segment: &Segment,
        offset: u32,
        what: impl Into<String>,
    ) -> Self {
        let of_file = Self::of_file(
            kind,
            &segment.file.path,
            segment.base + u64::from(offset),
            what,
        );
        Self {
            segment: Some(segment.id),
            ..of_file
        }
    }

    pub(in crate::logstor) fn of_record(self, vb: Option<Vbid>, seqno: u64, key: &[u8]) -> Self {
        Self {
            vb,
            seqno: Some(Seqno(seqno)),
            key: Some(Bytes::copy_from_slice(key)),
            ..self
        }
    }

    pub(in crate::logstor) fn of_vbucket(self, vb: Vbid) -> Self {
        Self {
            vb: Some(vb),
            ..self
        }
    }

    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> LogSeverity {
        self.kind.severity()
    }
}

impl fmt::Display for LogFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {}", self.offset)?;
        if let Some(segment) = self.segment {
            write!(f, ", segment {segment}")?;
        }
        if let Some(vb) = self.vb {
            write!(f, ", vBucket {vb}")?;
        }
        if let Some(seqno) = self.seqno {
            write!(f, ", seqno {seqno}")?;
        }
        if let Some(key) = self.key.as_ref().filter(|key| !key.is_empty()) {
            match Key::from_encoded(key.clone()) {
                Some(key) => write!(f, ", key {key}")?,
                None => write!(f, ", key {}", key.escape_ascii())?,
            }
        }
        write!(f, ": {}", self.what)
    }
}

/// Who is told what looking at a store finds, as it is found.
pub trait LogObserver {
    /// Something is wrong, or worth knowing.
    fn found(&mut self, finding: LogFinding);

    /// So many segments of so many have been looked at.
    fn progress(&mut self, done: u64, total: u64) {
        let _ = (done, total);
    }
}

impl LogObserver for Vec<LogFinding> {
    fn found(&mut self, finding: LogFinding) {
        self.push(finding);
    }
}
