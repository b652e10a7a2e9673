//! The log of rows that are purged during a compaction, which removes them from its own file as
//! well.
//!
//! E14. A purge gives no row a new seqno, so the compaction's search for newer rows would miss it.
//! Logged rows belong to the purge's commit, identified by its position. A compaction that has
//! caught up with a commit has removed the rows of that purge and of earlier ones, and no others.
//! The log holds at most [`BYTES_MAX`]. A purge beyond that ends the compaction, whose memory would
//! otherwise grow with the file.

use std::collections::BTreeMap;
use std::mem;

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

use crate::couchstore::format::DocInfo;

/// Most memory for rows that the compaction has not taken yet.
const BYTES_MAX: usize = 8 << 20;

/// A purged row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PurgedRow {
    pub(crate) id: Bytes,
    /// The key has no row up to this seqno.
    pub(crate) seqno: Seqno,
}

impl PurgedRow {
    fn memory_bytes(&self) -> usize {
        mem::size_of::<Self>() + self.id.len()
    }
}

/// The purges during a compaction.
#[derive(Debug, Default)]
pub(crate) struct PurgeLog {
    /// Purged rows by the position of their commit.
    purges: BTreeMap<u64, Vec<PurgedRow>>,
    bytes: usize,
}

impl PurgeLog {
    /// Logs the rows that the commit at `position` removed. Returns `false` if they are too many.
    pub(crate) fn remember(&mut self, position: u64, rows: Vec<DocInfo>) -> bool {
        let rows: Vec<PurgedRow> = rows
            .into_iter()
            .map(|row| PurgedRow {
                id: row.id,
                seqno: row.seqno,
            })
            .collect();
        self.bytes += rows.iter().map(PurgedRow::memory_bytes).sum::<usize>();
        if self.bytes > BYTES_MAX {
            *self = Self::default();
            return false;
        }
        self.purges.insert(position, rows);
        true
    }

    /// Returns and forgets the rows that were purged with the commits up to `position`.
    pub(crate) fn take(&mut self, position: u64) -> Vec<PurgedRow> {
        let later = self.purges.split_off(&position.saturating_add(1));
        let taken: Vec<PurgedRow> = mem::replace(&mut self.purges, later)
            .into_values()
            .flatten()
            .collect();
        self.bytes -= taken.iter().map(PurgedRow::memory_bytes).sum::<usize>();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &[u8], seqno: u64) -> DocInfo {
        DocInfo {
            id: Bytes::copy_from_slice(id),
            seqno: Seqno(seqno),
            rev_seqno: 1,
            deleted: true,
            body_position: 0,
            physical_bytes: 0,
            content_meta: 0,
            rev_meta: Bytes::new(),
        }
    }

    /// A purge may be committed between the read of the newest commit and the call for its rows.
    #[test]
    fn purged_rows_are_returned_up_to_a_commit_and_once() {
        let mut purges = PurgeLog::default();
        for (position, seqno) in [(4096, 1), (8192, 2), (12_288, 3)] {
            assert!(purges.remember(position, vec![row(b"key", seqno)]));
        }
        let mut taken = |position| -> Vec<u64> {
            purges
                .take(position)
                .into_iter()
                .map(|purged| purged.seqno.0)
                .collect()
        };
        assert_eq!(
            (taken(4095), taken(8192), taken(8192)),
            (vec![], vec![1, 2], vec![])
        );
        assert_eq!(taken(u64::MAX), [3]);
        assert_eq!(purges.bytes, 0);
    }
}
