//! The use of a file's bytes at its newest commit: bodies, nodes of each tree, the header, or dead.
//!
//! The file is divided into cells of equal size, each with the number of bytes of every use. Bodies
//! are not read: their sizes come from their rows.
//!
//! What always holds (T2): in each cell, and so in the file, the live uses and the dead bytes add
//! up to its size.

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::btree::split_policy::THRESHOLD_BYTES;
use crate::couchstore::file::{CommitView, Extents, encryption};
use crate::couchstore::format::block::{self, BLOCK_BYTES};
use crate::couchstore::format::chunk_head::HEAD_BYTES;
use crate::couchstore::format::{DocInfo, NodeKind, Tree, by_id, by_seqno};
use crate::numbers::{part_to_usize, to_u64};

use super::surveyor::{Flaw, FlawKind, SurveyedNode, Surveyor};
use super::tree_survey;

/// The use of a live byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Use {
    /// A document's body.
    Body,
    /// A node of the by-id tree.
    ById,
    /// A node of the by-seqno tree.
    BySeqno,
    /// A node of the local tree.
    Local,
    /// The newest header, and the block that describes the encryption.
    Header,
}

impl Use {
    /// All uses.
    pub const ALL: [Self; 5] = [
        Self::Body,
        Self::ById,
        Self::BySeqno,
        Self::Local,
        Self::Header,
    ];

    /// Returns its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Body => "bodies",
            Self::ById => "by-id",
            Self::BySeqno => "by-seqno",
            Self::Local => "local",
            Self::Header => "header",
        }
    }

    const fn of(tree: Tree) -> Self {
        match tree {
            Tree::BySeqno => Self::BySeqno,
            Tree::ById => Self::ById,
            Tree::Local => Self::Local,
        }
    }
}

/// A part of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cell {
    /// Size of the part.
    pub bytes: u64,
    live: [u64; 5],
}

impl Cell {
    /// Returns the number of bytes of one use.
    #[must_use]
    pub fn live(&self, of: Use) -> u64 {
        Use::ALL
            .into_iter()
            .zip(self.live)
            .filter(|&(each, _)| each == of)
            .map(|(_, bytes)| bytes)
            .sum()
    }

    /// Returns the number of live bytes.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        self.live.iter().sum()
    }

    /// Returns the number of dead bytes.
    #[must_use]
    pub fn dead_bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.live_bytes())
    }

    /// Adds bytes, as many as there is room for.
    fn add(&mut self, of: Use, bytes: u64) {
        let room = self.dead_bytes();
        let slots = Use::ALL
            .into_iter()
            .zip(&mut self.live)
            .filter(|(each, _)| *each == of);
        slots.for_each(|(_, slot)| *slot += bytes.min(room));
    }
}

/// Figures of one tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeLayout {
    /// Levels, leaves included; 0 for an empty tree.
    pub depth: u64,
    /// Interior nodes.
    pub interior_nodes: u64,
    /// Leaves.
    pub leaves: u64,
    /// Rows.
    pub rows: u64,
    /// Size of its nodes on disk.
    pub disk_bytes: u64,
    /// Size of its nodes before compression.
    pub raw_bytes: u64,
    /// Nodes that cannot be read; all below them are not counted.
    pub unreadable: u64,
}

impl TreeLayout {
    /// Returns the average size of its nodes as a fraction of the size at which a changed node is
    /// cut; 0 for an empty tree.
    #[must_use]
    pub fn fill(&self) -> f64 {
        let nodes = self.leaves + self.interior_nodes;
        if nodes == 0 {
            0.0
        } else {
            self.raw_bytes as f64 / (nodes * THRESHOLD_BYTES as u64) as f64
        }
    }
}

/// The use of a file's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layout {
    /// The file, in order. All cells except the last have the same size.
    pub cells: Vec<Cell>,
    /// The by-seqno tree.
    pub by_seqno: TreeLayout,
    /// The by-id tree.
    pub by_id: TreeLayout,
    /// The local tree.
    pub local: TreeLayout,
    /// Number of bodies.
    pub bodies: u64,
}

impl Layout {
    /// Returns the file as a single cell.
    #[must_use]
    pub fn total(&self) -> Cell {
        self.cells.iter().fold(Cell::default(), |mut total, cell| {
            total.bytes += cell.bytes;
            total
                .live
                .iter_mut()
                .zip(cell.live)
                .for_each(|(sum, bytes)| *sum += bytes);
            total
        })
    }
}

/// Maps what a commit reaches, in at most `cells_max` cells; 0 counts as 1.
pub(crate) fn layout(view: &CommitView, cells_max: u64) -> Result<Layout, EngineError> {
    let file_bytes = view.source.file.len()?;
    let cell_bytes = file_bytes
        .div_ceil(cells_max.max(1))
        .next_multiple_of(BLOCK_BYTES)
        .max(BLOCK_BYTES);
    let cells = (0..file_bytes.div_ceil(cell_bytes)).map(|index| {
        let bytes = cell_bytes.min(file_bytes - index * cell_bytes);
        Cell {
            bytes,
            ..Cell::default()
        }
    });
    let mut builder = LayoutBuilder {
        layout: Layout {
            cells: cells.collect(),
            ..Layout::default()
        },
        cell_bytes,
        tree: Tree::Local,
        bodies: Extents::default(),
    };
    builder.mark(Use::Header, view.position, view.end);
    builder.mark(Use::Header, 0, encryption::block_bytes(view)?);
    let mut taken = Extents::default();
    for tree in [Tree::BySeqno, Tree::ById, Tree::Local] {
        builder.tree = tree;
        tree_survey::survey(view, tree, &mut taken, &mut builder)?;
    }
    Ok(builder.layout)
}

struct LayoutBuilder {
    layout: Layout,
    cell_bytes: u64,
    /// Tree that is being surveyed.
    tree: Tree,
    /// Places of the heads of the bodies found so far.
    bodies: Extents,
}

impl LayoutBuilder {
    const fn tree(&mut self) -> &mut TreeLayout {
        match self.tree {
            Tree::BySeqno => &mut self.layout.by_seqno,
            Tree::ById => &mut self.layout.by_id,
            Tree::Local => &mut self.layout.local,
        }
    }

    fn mark(&mut self, of: Use, start: u64, end: u64) {
        let mut from = start;
        while from < end {
            let index = from / self.cell_bytes;
            let to = end.min((index + 1) * self.cell_bytes);
            let Some(cell) = self.layout.cells.get_mut(part_to_usize(index)) else {
                return;
            };
            cell.add(of, to - from);
            from = to;
        }
    }
}

impl Surveyor for LayoutBuilder {
    fn node(&mut self, node: SurveyedNode) {
        self.mark(Use::of(node.tree), node.start, node.end);
        let tree = self.tree();
        tree.depth = tree.depth.max(to_u64(node.depth) + 1);
        tree.disk_bytes += node.disk_bytes;
        tree.raw_bytes += to_u64(node.raw_bytes);
        match node.kind {
            NodeKind::Interior => tree.interior_nodes += 1,
            NodeKind::Leaf => {
                tree.leaves += 1;
                tree.rows += to_u64(node.entries);
            }
        }
    }

    fn row(&mut self, _: u64, key: &Bytes, value: &Bytes) -> Result<(), EngineError> {
        let info = match self.tree {
            Tree::BySeqno => by_seqno::decode(key, value),
            // A row that cannot be read by seqno may still be read by id.
            Tree::ById if self.layout.by_seqno.unreadable > 0 => by_id::decode(key, value),
            Tree::ById | Tree::Local => None,
        };
        let cells = to_u64(self.layout.cells.len());
        let is_inside = |info: &DocInfo| info.body_position / self.cell_bytes < cells;
        let Some(info) = info.filter(|info| info.body_position != 0 && is_inside(info)) else {
            return Ok(());
        };
        let (start, end) = block::extent(info.body_position, info.physical_bytes);
        // The chunk's head identifies a body, because the size in its row may exceed it.
        if self.bodies.take(start, start + HEAD_BYTES) {
            self.mark(Use::Body, start, end);
            self.layout.bodies += 1;
        }
        Ok(())
    }

    fn flaw(&mut self, flaw: Flaw) {
        if matches!(flaw.kind, FlawKind::Lost(_) | FlawKind::Overlap(_)) {
            self.tree().unreadable += 1;
        }
    }
}
