//! The receiver of a tree survey, and what it is given: nodes, rows and flaws.

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::format::{NodeKind, Reduction, Tree};

/// A node that could be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SurveyedNode {
    pub(crate) tree: Tree,
    /// 0 at the root.
    pub(crate) depth: usize,
    pub(crate) kind: NodeKind,
    /// Where its chunk is in the file.
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// What it takes on disk, as sizes are counted.
    pub(crate) disk_bytes: u64,
    /// Its size before compression.
    pub(crate) raw_bytes: usize,
    pub(crate) entries: usize,
}

/// What is wrong with a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) kind: FlawKind,
    /// The node's position.
    pub(crate) position: u64,
    /// The key of the entry that is meant.
    pub(crate) key: Option<Bytes>,
    pub(crate) what: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FlawKind {
    /// The node can't be read: its rows are lost, so many as its pointer says.
    Lost(LostRows),
    /// Keys, depth or kind are not as they must be; rows are told all the same.
    Structure,
    /// The pointer's size is not what is below it.
    Size,
    /// The pointer's reduction is not what is below it.
    Reduction,
    /// Its bytes are those of something else, too.
    Overlap(LostRows),
}

/// The rows below a pointer that can't be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LostRows {
    /// Their keys come after this one; `None`: no key is before them.
    pub(crate) after: Option<Bytes>,
    /// Their last key; `None` below a root.
    pub(crate) last: Option<Bytes>,
    /// What they sum up to, if that can be told.
    pub(crate) reduction: Option<Reduction>,
}

/// Who is told.
pub(crate) trait Surveyor {
    /// A node, before what is below it.
    fn node(&mut self, node: SurveyedNode);

    /// A row of the leaf at `leaf`, in key order.
    fn row(&mut self, leaf: u64, key: &Bytes, value: &Bytes) -> Result<(), EngineError>;

    /// Something wrong.
    fn flaw(&mut self, flaw: Flaw);
}
