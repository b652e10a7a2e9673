//! The visit of one node of a tree that may be damaged: reading it, and comparing it with its
//! pointer.

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::btree::DEPTH_MAX;
use crate::couchstore::file::{CommitView, Extents, chunk};
use crate::couchstore::format::{Entry, Node, NodeKind, Pointer, Reduction, Tree, block};

use super::surveyor::{Flaw, FlawKind, LostRows, SurveyedNode, Surveyor};

/// Last version whose sizes count the type bytes inside a chunk.
const VERSION_COUNTS_TYPE_BYTES: u8 = 12;

/// A node on the way down, with its remaining entries.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) position: u64,
    pub(super) kind: NodeKind,
    pub(super) entries: std::vec::IntoIter<Entry>,
    /// The key before the next entry.
    pub(super) after: Option<Bytes>,
}

/// The borrowed parts of one step of a survey.
pub(super) struct Visit<'a> {
    pub(super) view: &'a CommitView,
    pub(super) tree: Tree,
    pub(super) taken: Option<&'a mut Extents>,
    pub(super) surveyor: &'a mut dyn Surveyor,
    pub(super) leaf_depth: &'a mut Option<usize>,
}

impl Visit<'_> {
    /// Reads and compares a node, whose keys come after `after` and end with `last`. Returns `None`
    /// if all below it is lost.
    pub(super) fn node(
        &mut self,
        pointer: Pointer,
        after: Option<Bytes>,
        last: Option<Bytes>,
        depth: usize,
    ) -> Result<Option<Level>, EngineError> {
        let position = pointer.position;
        let lost = LostRows {
            after: after.clone(),
            last: last.clone(),
            reduction: Some(pointer.reduction),
        };
        if depth >= DEPTH_MAX {
            self.flaw(
                FlawKind::Lost(lost),
                position,
                last,
                format!("the {} is too deep", self.tree.name()),
            );
            return Ok(None);
        }
        let (node, disk_bytes) = match self.read(position) {
            Ok(read) => read,
            Err(EngineError::Corrupt { what, .. }) => {
                self.flaw(FlawKind::Lost(lost), position, last, what);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let start = block::data_start(position);
        let end = block::end_of(start, disk_bytes);
        if self
            .taken
            .as_mut()
            .is_some_and(|taken| !taken.take(start, end))
        {
            let what = "node overlaps something else".to_owned();
            self.flaw(FlawKind::Overlap(lost), position, last, what);
            return Ok(None);
        }
        let entries: Vec<_> = node.shared_entries().collect();
        let surveyed = SurveyedNode {
            tree: self.tree,
            depth,
            kind: node.kind,
            start,
            end,
            disk_bytes,
            raw_bytes: node.len(),
            entries: entries.len(),
        };
        self.surveyor.node(surveyed);
        self.check_keys(&node, position, after.as_ref(), last.as_ref());
        self.check_sums(&node, pointer, &surveyed);
        if node.kind == NodeKind::Leaf {
            self.check_depth(position, depth);
        }
        Ok(Some(Level {
            position,
            kind: node.kind,
            entries: entries.into_iter(),
            after,
        }))
    }

    /// Reads a node. Returns the size of its chunk as well.
    fn read(&self, position: u64) -> Result<(Node, u64), EngineError> {
        let source = &self.view.source;
        let body = chunk::read(source, position, chunk::NODE_HINT, self.view.position)?;
        let node = Node::decode(&body).map_err(|what| source.corrupt(position, what))?;
        Ok((node, chunk::disk_bytes(source, &body)))
    }

    /// Compares the node's first and last key with its pointer's. Decoding has checked that its
    /// keys ascend.
    fn check_keys(
        &mut self,
        node: &Node,
        position: u64,
        after: Option<&Bytes>,
        last: Option<&Bytes>,
    ) {
        let first = node.entries().next().map(|(key, _)| key);
        if let (Some(first), Some(after)) = (first, after)
            && first <= after.as_ref()
        {
            let (key, what) = (
                node.share(first),
                format!("keys of the {} don't ascend", self.tree.name()),
            );
            self.flaw(FlawKind::Structure, position, Some(key), what);
        }
        let found = node.entries().last().map(|(key, _)| key);
        if let (Some(found), Some(last)) = (found, last)
            && found != last.as_ref()
        {
            let what = format!(
                "an interior key of the {} is not the last one below it",
                self.tree.name()
            );
            self.flaw(FlawKind::Structure, position, Some(last.clone()), what);
        }
    }

    fn check_depth(&mut self, position: u64, depth: usize) {
        let expected = *self.leaf_depth.get_or_insert(depth);
        if expected != depth {
            let what = format!("leaf at depth {depth}, others are at {expected}");
            self.flaw(FlawKind::Structure, position, None, what);
        }
    }

    /// Compares a pointer's size and reduction with the node it points to.
    fn check_sums(&mut self, node: &Node, pointer: Pointer, surveyed: &SurveyedNode) {
        let children = || {
            node.entries()
                .filter_map(|(_, value)| Pointer::decode_entry(self.tree, value))
        };
        let (mut bytes, mut reduction) = (0_u64, Some(Reduction::empty(self.tree)));
        match node.kind {
            NodeKind::Leaf => {
                reduction = node
                    .entries()
                    .try_fold(Reduction::empty(self.tree), |sum, (_, value)| {
                        sum.with_row(value)
                    });
            }
            // A bad pointer is reported when it is followed.
            NodeKind::Interior if children().count() != node.entries().count() => return,
            NodeKind::Interior => {
                for child in children() {
                    bytes = bytes.saturating_add(child.subtree_bytes);
                    reduction = reduction.map(|sum| sum.with_subtree(child.reduction));
                }
            }
        }
        let own = surveyed.disk_bytes;
        let with_type_bytes = [
            surveyed.end - surveyed.start,
            surveyed.end - pointer.position,
        ];
        let is_old = self.view.header.version <= VERSION_COUNTS_TYPE_BYTES;
        let claimed = pointer.subtree_bytes;
        if claimed != bytes.saturating_add(own)
            && !(is_old && with_type_bytes.contains(&claimed.saturating_sub(bytes)))
        {
            let found = bytes.saturating_add(own);
            let what = format!("pointer says {claimed} bytes, {found} are below it");
            self.flaw(FlawKind::Size, pointer.position, None, what);
        }
        if let Some(found) = reduction
            && found != pointer.reduction
        {
            let what = format!("pointer says {}, there are {found}", pointer.reduction);
            self.flaw(FlawKind::Reduction, pointer.position, None, what);
        }
    }

    pub(super) fn flaw(&mut self, kind: FlawKind, position: u64, key: Option<Bytes>, what: String) {
        self.surveyor.flaw(Flaw {
            kind,
            position,
            key,
            what,
        });
    }
}
