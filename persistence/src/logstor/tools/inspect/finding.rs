//! Findings of an inspection: kind, severity and place.

use std::fmt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use lowtide_checkpoint::{Key, Seqno, Vbid};

use crate::contract::Severity;
use crate::logstor::log::Segment;

/// Kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LogFindingKind {
    /// A log file is missing, or has an impossible length.
    File,
    /// A frame's header is damaged.
    Header,
    /// A frame's payload is damaged.
    Frame,
    /// A part of an append is missing.
    Append,
    /// A record is damaged, in a frame or, a large one, in several.
    Record,
    /// A record has an epoch that no vBucket ever had.
    Epoch,
    /// A seqno is impossible.
    Seqno,
    /// A vBucket's state can't be read.
    State,
    /// Two copies of one record differ.
    Copies,
    /// The index of the opened store contradicts the records.
    Index,
    /// An index image can't be used, or contradicts the log. Without the file everything is read.
    Image,
    /// Unfinished work that opening the store completes or cuts off.
    Tail,
}

impl LogFindingKind {
    /// Returns one short stable word.
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

    /// Returns the severity. Remains of a crash are notes.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::Tail => Severity::Note,
            _ => Severity::Damage,
        }
    }
}

/// A finding of an inspection or a check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogFinding {
    /// Kind.
    pub kind: LogFindingKind,
    /// File.
    pub path: PathBuf,
    /// Offset in the file.
    pub offset: u64,
    /// Segment, if it is in one.
    pub segment: Option<u32>,
    /// vBucket, if known.
    pub vb: Option<Vbid>,
    /// Seqno of the revision, if known.
    pub seqno: Option<Seqno>,
    /// Key of the document with its collection's prefix, if known.
    pub key: Option<Bytes>,
    /// Description.
    pub what: String,
}

impl LogFinding {
    pub(in crate::logstor::tools) fn of_file(
        kind: LogFindingKind,
        path: &Path,
        offset: u64,
        what: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            path: path.to_owned(),
            offset,
            segment: None,
            vb: None,
            seqno: None,
            key: None,
            what: what.into(),
        }
    }

    pub(super) fn in_segment(
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

    /// Returns the severity of its kind.
    #[must_use]
    pub const fn severity(&self) -> Severity {
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

/// Receiver of findings, in the order of discovery.
pub trait LogObserver {
    /// Receives a finding.
    fn found(&mut self, finding: LogFinding);

    /// Receives the number of segments that were read, and of all.
    fn progress(&mut self, done: u64, total: u64) {
        let _ = (done, total);
    }
}

impl LogObserver for Vec<LogFinding> {
    fn found(&mut self, finding: LogFinding) {
        self.push(finding);
    }
}
