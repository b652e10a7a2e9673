//! Reductions: the sums that each tree keeps below every pointer, so that counts and sizes need no
//! walk.

use std::fmt;

use super::fields::{Fields, U48_MAX, put};
use super::index_row::by_id;

/// One of a file's three trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tree {
    /// Rows by seqno.
    BySeqno,
    /// Rows by document key.
    ById,
    /// Local documents by name.
    Local,
}

impl Tree {
    /// Returns its name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BySeqno => "by-seqno tree",
            Self::ById => "by-id tree",
            Self::Local => "local tree",
        }
    }
}

/// The largest count of rows: its field has 40 bits.
const U40_MAX: u64 = (1 << 40) - 1;

/// The sums below one pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduction {
    /// By seqno: number of rows.
    Rows(u64),
    /// By id: documents, tombstones, and the size of their bodies on disk.
    Documents {
        live: u64,
        deleted: u64,
        body_bytes: u64,
    },
    /// Local tree: no sums.
    Nothing,
}

impl fmt::Display for Reduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(rows) => write!(f, "{rows} rows"),
            Self::Documents {
                live,
                deleted,
                body_bytes,
            } => {
                write!(
                    f,
                    "{live} documents, {deleted} tombstones, {body_bytes} bytes of bodies"
                )
            }
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

impl Reduction {
    /// Returns the reduction of no rows.
    pub(crate) const fn empty(tree: Tree) -> Self {
        match tree {
            Tree::BySeqno => Self::Rows(0),
            Tree::ById => Self::Documents {
                live: 0,
                deleted: 0,
                body_bytes: 0,
            },
            Tree::Local => Self::Nothing,
        }
    }

    /// Returns the number of rows, tombstones included. The local tree does not count its rows.
    pub(crate) const fn rows(self) -> u64 {
        match self {
            Self::Rows(rows) => rows,
            Self::Documents { live, deleted, .. } => live.saturating_add(deleted),
            Self::Nothing => 0,
        }
    }

    /// Reads the reduction of a pointer. Returns `None` if its size is wrong.
    pub(crate) fn decode(tree: Tree, bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let reduction = match tree {
            Tree::BySeqno => Self::Rows(fields.uint(5)?),
            Tree::ById => Self::Documents {
                live: fields.uint(5)?,
                deleted: fields.uint(5)?,
                body_bytes: fields.uint(6)?,
            },
            Tree::Local => Self::Nothing,
        };
        fields.rest().is_empty().then_some(reduction)
    }

    /// Returns the number of bytes that [`Reduction::encode`] appends.
    pub(crate) const fn encoded_bytes(self) -> u64 {
        match self {
            Self::Rows(_) => 5,
            Self::Documents { .. } => 16,
            Self::Nothing => 0,
        }
    }

    /// Returns whether each sum fits its field. Sums of damaged pointers may not; additions saturate
    /// at a number that does not.
    pub(crate) const fn fits(self) -> bool {
        match self {
            Self::Rows(rows) => rows <= U40_MAX,
            Self::Documents {
                live,
                deleted,
                body_bytes,
            } => live <= U40_MAX && deleted <= U40_MAX && body_bytes <= U48_MAX,
            Self::Nothing => true,
        }
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        match self {
            Self::Rows(rows) => put(out, rows, 5),
            Self::Documents {
                live,
                deleted,
                body_bytes,
            } => {
                put(out, live, 5);
                put(out, deleted, 5);
                put(out, body_bytes, 6);
            }
            Self::Nothing => {}
        }
    }

    /// Adds one leaf entry. Returns `None` if its value cannot be read.
    #[must_use]
    pub(crate) fn with_row(self, value: &[u8]) -> Option<Self> {
        Some(match self {
            Self::Rows(rows) => Self::Rows(rows.saturating_add(1)),
            Self::Documents {
                live,
                deleted,
                body_bytes,
            } => {
                let (dead, bytes) = by_id::figures(value)?;
                Self::Documents {
                    live: live.saturating_add(u64::from(!dead)),
                    deleted: deleted.saturating_add(u64::from(dead)),
                    body_bytes: body_bytes.saturating_add(bytes),
                }
            }
            Self::Nothing => Self::Nothing,
        })
    }

    /// Adds a subtree of the same tree.
    #[must_use]
    pub(crate) const fn with_subtree(self, other: Self) -> Self {
        match (self, other) {
            (Self::Rows(a), Self::Rows(b)) => Self::Rows(a.saturating_add(b)),
            (
                Self::Documents {
                    live,
                    deleted,
                    body_bytes,
                },
                Self::Documents {
                    live: more_live,
                    deleted: more_deleted,
                    body_bytes: more_bytes,
                },
            ) => Self::Documents {
                live: live.saturating_add(more_live),
                deleted: deleted.saturating_add(more_deleted),
                body_bytes: body_bytes.saturating_add(more_bytes),
            },
            (kept, _) => kept,
        }
    }
}
