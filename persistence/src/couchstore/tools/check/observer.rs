//! The caller's side of a check: the receiver of findings, and the totals at the end.

use super::finding::Finding;

/// Who is told what a check finds, as it finds it.
pub trait CheckObserver {
    /// Something is wrong, or worth knowing.
    fn found(&mut self, finding: Finding);

    /// So many rows of so many have been looked at.
    fn progress(&mut self, done: u64, total: u64) {
        let _ = (done, total);
    }
}

impl CheckObserver for Vec<Finding> {
    fn found(&mut self, finding: Finding) {
        self.push(finding);
    }
}

/// What a check has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Headers, from the newest back.
    pub headers: u64,
    /// Nodes of the three trees.
    pub nodes: u64,
    /// Rows of the by-seqno index.
    pub rows: u64,
    /// BodyReader.
    pub bodies: u64,
    /// What they take on disk.
    pub body_bytes: u64,
    /// The file's length.
    pub file_bytes: u64,
}
