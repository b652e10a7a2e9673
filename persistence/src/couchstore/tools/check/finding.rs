//! What a check has found: which kind, how bad, and where.

use std::fmt;

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

use crate::contract::EngineError;
use crate::couchstore::format::{Tree, by_seqno, document};
use crate::couchstore::tools::surveyor::{Flaw, FlawKind};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Odd or unfinished, but nothing is lost and nothing read wrongly.
    Note,
    /// Bytes are not what was written, or parts of the file contradict one another.
    Damage,
}

impl Severity {
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
pub enum FindingKind {
    /// A header, or a block of unknown type where one could be.
    Header,
    /// The headers before the newest one.
    Chain,
    /// A node that can't be read.
    Node,
    /// Keys, interior keys or depth of a tree.
    Structure,
    /// The size a pointer tells.
    SubtreeBytes,
    /// The sums a pointer tells.
    Reduction,
    /// Two things in one place.
    Overlap,
    /// A row of an index that can't be read.
    Row,
    /// A seqno that can't be.
    Seqno,
    /// A key, or revision metadata, of no known layout.
    Meta,
    /// A body that is missing or can't be read.
    Body,
    /// A body of another size than its row tells.
    BodyBytes,
    /// A row that one index has and the other has not, or not so.
    Index,
    /// The vBucket's state.
    State,
    /// The count of prepares in the vBucket's state.
    Prepares,
    /// Keys are not as this store reads them.
    Namespaces,
    /// The purge seqno.
    PurgeSeqno,
    /// What lies after the newest header.
    Tail,
}

impl FindingKind {
    /// One short stable word.
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

    /// How bad it is. Counts that other writers keep differently, and what a crash leaves behind, are notes.
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

/// One thing that is wrong, or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// Where in the file.
    pub offset: u64,
    /// In which tree, if in one.
    pub tree: Option<Tree>,
    /// Of which revision, where that can be told.
    pub seqno: Option<Seqno>,
    /// Of which document, with its prefixes as stored; in the local tree its name.
    pub key: Option<Bytes>,
    /// In words.
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

    /// Damage that reading met; other errors are given back.
    pub(crate) fn of_error(kind: FindingKind, error: EngineError) -> Result<Self, EngineError> {
        match error {
            EngineError::Corrupt { offset, what, .. } => Ok(Self::new(kind, offset, what)),
            error => Err(error),
        }
    }

    /// A tree's flaw as a finding.
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

    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.kind.severity()
    }
}

impl Finding {
    /// What is wrong, without the offset: for errors that name it themselves.
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
