//! What purges take out of a vBucket while it is compacted, remembered for the compaction to take out of its file, too.
//!
//! E14. A purge gives no row a new seqno, so nothing that comes after the compaction's last look tells of it. What is
//! remembered belongs to the purge's commit, by its place in the file: a compaction that has come up to a commit has
//! taken out what was purged with that one and before, and nothing else. There is room for [`BYTES_MAX`]; what a purge
//! has taken out beyond that ends the compaction, which would otherwise hold in memory what grows with the file.

use std::collections::BTreeMap;
use std::mem;

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

use crate::couchstore::format::DocInfo;

/// So much is remembered, over all purges that a compaction has not heard of.
const BYTES_MAX: usize = 8 << 20;

/// A row that was taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PurgedRow {
    pub(crate) id: Bytes,
    /// No row of the key up to here is left.
    pub(crate) seqno: Seqno,
}

impl PurgedRow {
    fn memory_bytes(&self) -> usize {
        mem::size_of::<Self>() + self.id.len()
    }
}

/// The purges beside a compaction.
#[derive(Debug, Default)]
pub(crate) struct PurgeLog {
    /// By the place of their commits.
    purges: BTreeMap<u64, Vec<PurgedRow>>,
    bytes: usize,
}

impl PurgeLog {
    /// Remembers what the commit at `position` has taken out; `false` if it is too much.
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

    /// What was purged with the commits up to that at `position`; it is forgotten here.
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

    /// A purge may be committed between a look at the newest commit and the question what was purged by then.
    #[test]
    fn what_was_purged_is_told_up_to_a_commit_and_once() {
        let mut purges = PurgeLog::default();
        for (position, seqno) in [(4096, 1), (8192, 2), (12_288, 3)] {
            assert!(purges.remember(position, vec![row(b"key", seqno)]));
        }
        let mut told = |position| -> Vec<u64> {
            purges
                .take(position)
                .into_iter()
                .map(|taken_out| taken_out.seqno.0)
                .collect()
        };
        assert_eq!(
            (told(4095), told(8192), told(8192)),
            (vec![], vec![1, 2], vec![])
        );
        assert_eq!(told(u64::MAX), [3]);
        assert_eq!(purges.bytes, 0);
    }
}
