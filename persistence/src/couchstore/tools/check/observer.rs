//! The caller's side of a check: the receiver of findings, and the totals at the end.

use super::finding::Finding;

/// The receiver of the findings of a check.
pub trait CheckObserver {
    /// Receives a finding.
    fn found(&mut self, finding: Finding);

    /// Receives the number of rows checked so far, and of all rows.
    fn progress(&mut self, done: u64, total: u64) {
        let _ = (done, total);
    }
}

impl CheckObserver for Vec<Finding> {
    fn found(&mut self, finding: Finding) {
        self.push(finding);
    }
}

/// The totals of a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Headers, from the newest back.
    pub headers: u64,
    /// Nodes of the three trees.
    pub nodes: u64,
    /// Rows of the by-seqno index.
    pub rows: u64,
    /// Bodies.
    pub bodies: u64,
    /// Size of the bodies on disk.
    pub body_bytes: u64,
    /// Length of the file.
    pub file_bytes: u64,
}
