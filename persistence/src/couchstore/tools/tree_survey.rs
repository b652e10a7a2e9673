//! Walking a tree that may be damaged: every node and row that can be read is told, and so is everything that is
//! wrong; what lies below an unreadable node is left out, and the walk goes on beside it.
//!
//! Always: no node is read twice and none below [`DEPTH_MAX`], so a walk ends, whatever the bytes say; memory is one
//! node for each level. Each node is compared with its pointer alone, and its pointer's sums with those of the
//! pointers in it: one wrong sum is one finding, not one for each level above.

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::btree::DEPTH_MAX;
use crate::couchstore::file::{CommitView, Extents, chunk};
use crate::couchstore::format::{Entry, Node, NodeKind, Pointer, Reduction, Tree, block};

/// Versions whose sizes count the type bytes inside a chunk, too.
const VERSION_COUNTS_TYPE_BYTES: u8 = 12;

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
    Lost(Lost),
    /// Keys, depth or kind are not as they must be; rows are told all the same.
    Structure,
    /// The pointer's size is not what is below it.
    Size,
    /// The pointer's reduction is not what is below it.
    Reduction,
    /// Its bytes are those of something else, too.
    Overlap(Lost),
}

/// The rows below a pointer that can't be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
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

/// Walks a tree; `taken` gets its nodes.
///
/// # Errors
/// Whatever is not about the tree: [`EngineError::Disk`], or what the surveyor returns.
pub(crate) fn survey(
    view: &CommitView,
    tree: Tree,
    taken: &mut Extents,
    surveyor: &mut dyn Surveyor,
) -> Result<(), EngineError> {
    let mut survey = Survey::new(view, tree);
    while let Some(SurveyedRow { leaf, key, value }) = survey.next(view, Some(taken), surveyor)? {
        surveyor.row(leaf, &key, &value)?;
    }
    Ok(())
}

/// A row of a leaf.
#[derive(Clone, Debug)]
pub(crate) struct SurveyedRow {
    /// The leaf's position.
    pub(crate) leaf: u64,
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
}

/// A walk that can be taken a row at a time. It holds one node for each level and no reference to the commit, which every
/// call names again.
#[derive(Debug)]
pub(crate) struct Survey {
    tree: Tree,
    root: Option<Pointer>,
    path: Vec<Level>,
    /// That of the first leaf: all others must have it.
    leaf_depth: Option<usize>,
}

/// A node on the way down, and what of it is left.
#[derive(Debug)]
struct Level {
    position: u64,
    kind: NodeKind,
    entries: std::vec::IntoIter<Entry>,
    /// The key before the next entry.
    after: Option<Bytes>,
}

impl Survey {
    /// Of a tree of `view`.
    pub(crate) fn new(view: &CommitView, tree: Tree) -> Self {
        Self {
            tree,
            root: view.header.root(tree),
            path: Vec::new(),
            leaf_depth: None,
        }
    }

    /// The next row; the surveyor is told of nodes and flaws on the way to it. `taken` gets the nodes, if their places are
    /// to be compared.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(crate) fn next(
        &mut self,
        view: &CommitView,
        taken: Option<&mut Extents>,
        surveyor: &mut dyn Surveyor,
    ) -> Result<Option<SurveyedRow>, EngineError> {
        let mut visit = Visit {
            view,
            tree: self.tree,
            taken,
            surveyor,
            leaf_depth: &mut self.leaf_depth,
        };
        if let Some(root) = self.root.take() {
            self.path.extend(visit.node(root, None, None, 0)?);
        }
        loop {
            let depth = self.path.len();
            let Some(level) = self.path.last_mut() else {
                return Ok(None);
            };
            let Some(entry) = level.entries.next() else {
                self.path.pop();
                continue;
            };
            if level.kind == NodeKind::Leaf {
                return Ok(Some(SurveyedRow {
                    leaf: level.position,
                    key: entry.key,
                    value: entry.value,
                }));
            }
            let after = level.after.replace(entry.key.clone());
            let parent = level.position;
            match Pointer::decode_entry(self.tree, &entry.value) {
                Some(child) if child.position < parent => {
                    self.path
                        .extend(visit.node(child, after, Some(entry.key), depth)?);
                }
                child => {
                    let reduction = child.map(|child| child.reduction);
                    let lost = Lost {
                        after,
                        last: Some(entry.key.clone()),
                        reduction,
                    };
                    let what = format!("bad pointer in the {}", self.tree.name());
                    visit.flaw(FlawKind::Lost(lost), parent, Some(entry.key), what);
                }
            }
        }
    }
}

/// One call's part of a walk.
struct Visit<'a> {
    view: &'a CommitView,
    tree: Tree,
    taken: Option<&'a mut Extents>,
    surveyor: &'a mut dyn Surveyor,
    leaf_depth: &'a mut Option<usize>,
}

impl Visit<'_> {
    /// Looks at a node, whose keys come after `after` and end with `last`; `None` if what is below it is lost.
    fn node(
        &mut self,
        pointer: Pointer,
        after: Option<Bytes>,
        last: Option<Bytes>,
        depth: usize,
    ) -> Result<Option<Level>, EngineError> {
        let position = pointer.position;
        let lost = Lost {
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
            let what = "node lies where something else is".to_owned();
            self.flaw(FlawKind::Overlap(lost), position, last, what);
            return Ok(None);
        }
        let entries: Vec<_> = node.shared_entries().collect();
        let (kind, raw_bytes, tree) = (node.kind, node.len(), self.tree);
        let surveyed = SurveyedNode {
            tree,
            depth,
            kind,
            start,
            end,
            disk_bytes,
            raw_bytes,
            entries: entries.len(),
        };
        self.surveyor.node(surveyed);
        self.check_keys(&node, position, after.as_ref(), last.as_ref());
        self.check_sums(&node, pointer, &surveyed);
        if kind == NodeKind::Leaf {
            self.check_depth(position, depth);
        }
        Ok(Some(Level {
            position,
            kind,
            entries: entries.into_iter(),
            after,
        }))
    }

    /// A node and what its chunk takes.
    fn read(&self, position: u64) -> Result<(Node, u64), EngineError> {
        let source = &self.view.source;
        let body = chunk::read(source, position, chunk::NODE_HINT, self.view.position)?;
        let node = Node::decode(&body).map_err(|what| source.corrupt(position, what))?;
        Ok((node, chunk::disk_bytes(source, &body)))
    }

    /// The node itself has checked that its keys ascend.
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
            // A bad pointer is told as such.
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

    fn flaw(&mut self, kind: FlawKind, position: u64, key: Option<Bytes>, what: String) {
        self.surveyor.flaw(Flaw {
            kind,
            position,
            key,
            what,
        });
    }
}
