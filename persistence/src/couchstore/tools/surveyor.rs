//! The receiver of a tree survey, and what it receives: nodes, rows and flaws.

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::format::{NodeKind, Reduction, Tree};

/// A node that could be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SurveyedNode {
    pub(crate) tree: Tree,
    /// Depth; 0 at the root.
    pub(crate) depth: usize,
    pub(crate) kind: NodeKind,
    /// Start of its chunk in the file.
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Size on disk, as sizes are counted.
    pub(crate) disk_bytes: u64,
    /// Size before compression.
    pub(crate) raw_bytes: usize,
    pub(crate) entries: usize,
}

/// A flaw of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) kind: FlawKind,
    /// Position of the node.
    pub(crate) position: u64,
    /// Key of the entry at fault.
    pub(crate) key: Option<Bytes>,
    pub(crate) what: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FlawKind {
    /// The node cannot be read, and the rows below its pointer are lost.
    Lost(LostRows),
    /// Keys, depth or kind are wrong. The rows are reported all the same.
    Structure,
    /// The pointer's size differs from what is below it.
    Size,
    /// The pointer's reduction differs from what is below it.
    Reduction,
    /// The node overlaps something else.
    Overlap(LostRows),
}

/// The rows below a pointer that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LostRows {
    /// Key before the first of them; `None` if there is no such key.
    pub(crate) after: Option<Bytes>,
    /// Last of their keys; `None` below a root.
    pub(crate) last: Option<Bytes>,
    /// Their reduction, if it is known.
    pub(crate) reduction: Option<Reduction>,
}

/// The receiver of a survey.
pub(crate) trait Surveyor {
    /// Receives a node, before anything below it.
    fn node(&mut self, node: SurveyedNode);

    /// Receives a row of the leaf at `leaf`, in key order.
    fn row(&mut self, leaf: u64, key: &Bytes, value: &Bytes) -> Result<(), EngineError>;

    /// Receives a flaw.
    fn flaw(&mut self, flaw: Flaw);
}
