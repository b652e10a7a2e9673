//! The findings of a check: kind, severity and place.

use std::fmt;

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

use crate::contract::{EngineError, Severity};
use crate::couchstore::format::{Tree, by_seqno, document};
use crate::couchstore::tools::surveyor::{Flaw, FlawKind};

/// The kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FindingKind {
    /// A header, or a block of unknown type where one could be.
    Header,
    /// The headers before the newest one.
    Chain,
    /// A node that cannot be read.
    Node,
    /// Keys, interior keys or depth of a tree.
    Structure,
    /// The size in a pointer.
    SubtreeBytes,
    /// The sums in a pointer.
    Reduction,
    /// Two things that overlap.
    Overlap,
    /// A row of an index that cannot be read.
    Row,
    /// An impossible seqno.
    Seqno,
    /// A key, or revision metadata, of unknown layout.
    Meta,
    /// A body that is missing or cannot be read.
    Body,
    /// A body whose size differs from that in its row.
    BodyBytes,
    /// A row that the other index does not have, or has differently.
    Index,
    /// The vBucket's state.
    State,
    /// The number of prepares in the vBucket's state.
    Prepares,
    /// Keys of another layout than this store reads.
    Namespaces,
    /// The purge seqno.
    PurgeSeqno,
    /// Bytes behind the newest header.
    Tail,
}

impl FindingKind {
    /// Returns it as one short stable word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Chain => "chain",
            Self::Node => "node",
            Self::Structure => "structure",
            Self::SubtreeBytes => "subtree-bytes",
            Self::Reduction => "reduction",
            Self::Overlap => "overlap",
            Self::Row => "row",
            Self::Seqno => "seqno",
            Self::Meta => "meta",
            Self::Body => "body",
            Self::BodyBytes => "body-bytes",
            Self::Index => "index",
            Self::State => "state",
            Self::Prepares => "prepares",
            Self::Namespaces => "namespaces",
            Self::PurgeSeqno => "purge-seqno",
            Self::Tail => "tail",
        }
    }

    /// Returns its severity. Counts that other writers keep differently, and remains of a crash,
    /// are notes.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::BodyBytes | Self::Prepares | Self::Namespaces | Self::PurgeSeqno | Self::Tail => {
                Severity::Note
            }
            _ => Severity::Damage,
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Kind of the finding.
    pub kind: FindingKind,
    /// Offset in the file.
    pub offset: u64,
    /// Tree that it is in, if any.
    pub tree: Option<Tree>,
    /// Seqno of the revision, if it is known.
    pub seqno: Option<Seqno>,
    /// Key of the document, with its prefixes as stored; in the local tree its name.
    pub key: Option<Bytes>,
    /// Description in words.
    pub what: String,
}

impl Finding {
    pub(crate) const fn new(kind: FindingKind, offset: u64, what: String) -> Self {
        Self {
            kind,
            offset,
            tree: None,
            seqno: None,
            key: None,
            what,
        }
    }

    /// Makes a finding of corruption. Other errors are returned unchanged.
    pub(crate) fn of_error(kind: FindingKind, error: EngineError) -> Result<Self, EngineError> {
        match error {
            EngineError::Corrupt { offset, what, .. } => Ok(Self::new(kind, offset, what)),
            error => Err(error),
        }
    }

    /// Makes a finding of a tree's flaw.
    pub(crate) fn of_flaw(tree: Tree, flaw: Flaw) -> Self {
        let kind = match flaw.kind {
            FlawKind::Lost(_) => FindingKind::Node,
            FlawKind::Structure => FindingKind::Structure,
            FlawKind::Size => FindingKind::SubtreeBytes,
            FlawKind::Reduction => FindingKind::Reduction,
            FlawKind::Overlap(_) => FindingKind::Overlap,
        };
        let mut finding = Self::new(kind, flaw.position, flaw.what).in_tree(tree);
        match tree {
            Tree::BySeqno => finding.seqno = flaw.key.as_deref().and_then(by_seqno::seqno),
            Tree::ById | Tree::Local => finding.key = flaw.key,
        }
        finding
    }

    pub(crate) fn in_tree(self, tree: Tree) -> Self {
        Self {
            tree: Some(tree),
            ..self
        }
    }

    pub(crate) fn of_row(self, seqno: Seqno, key: &Bytes) -> Self {
        Self {
            seqno: Some(seqno),
            key: Some(key.clone()),
            ..self
        }
    }

    /// Returns its severity.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.kind.severity()
    }
}

impl Finding {
    /// Returns the description without the offset, for errors that have the offset in another
    /// field.
    pub(crate) fn without_offset(&self) -> String {
        let mut place = Vec::new();
        if let Some(tree) = self.tree {
            place.push(tree.name().to_owned());
        }
        if let Some(seqno) = self.seqno {
            place.push(format!("seqno {seqno}"));
        }
        if let Some(key) = &self.key {
            let user = if self.tree == Some(Tree::Local) {
                None
            } else {
                document::split_key(key)
            };
            place.push(match user {
                Some((_, user)) => format!("key {user}"),
                None => format!("key {}", key.escape_ascii()),
            });
        }
        if place.is_empty() {
            self.what.clone()
        } else {
            format!("{}: {}", place.join(", "), self.what)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.tree.is_none() && self.seqno.is_none() && self.key.is_none() {
            ":"
        } else {
            ","
        };
        write!(
            f,
            "offset {}{separator} {}",
            self.offset,
            self.without_offset()
        )
    }
}
