//! The caller's side of a salvage: the receiver of losses, and the totals at the end.

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

use crate::couchstore::format::document;

/// A part of the source that is not in the new file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// Offset in the source.
    pub offset: u64,
    /// First and last of the revisions, if they are known.
    pub seqnos: Option<(Seqno, Seqno)>,
    /// Key of the document, with its prefixes as stored, or name of the local document.
    pub key: Option<Bytes>,
    /// Number of documents and tombstones; `None` if it is unknown. 0 if the indexes contradict
    /// each other about a row and nothing shows which is right: the new file then has the by-id
    /// index's row.
    pub rows: Option<u64>,
    /// Reason.
    pub what: String,
}

impl Loss {
    /// Returns a stored key in the form that users know.
    #[must_use]
    pub fn key_shown(&self) -> Option<String> {
        let key = self.key.as_ref()?;
        // The name of a local document, which has no seqno, is shown as it is.
        let user = document::split_key(key).map(|(_, user)| user.to_string());
        Some(
            user.filter(|_| self.seqnos.is_some())
                .unwrap_or_else(|| key.escape_ascii().to_string()),
        )
    }
}

/// The receiver of the losses of a salvage.
pub trait SalvageObserver {
    /// Receives a loss.
    fn lost(&mut self, loss: Loss);

    /// Receives the number of rows read so far, and of all rows.
    fn progress(&mut self, done: u64, total: u64) {
        let _ = (done, total);
    }
}

impl SalvageObserver for Vec<Loss> {
    fn lost(&mut self, loss: Loss) {
        self.push(loss);
    }
}

/// The totals of a salvage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Salvaged {
    /// Position of the source's header that counted.
    pub header: u64,
    /// High seqno of the new file: that of the source's header, or of a row above it.
    pub high: Seqno,
    /// Documents and tombstones in the new file.
    pub rows: u64,
    /// Those of them that were found by key only.
    pub found_by_key: u64,
    /// Local documents in the new file.
    pub locals: u64,
    /// Number of reported losses.
    pub losses: u64,
}

/// An observer that also counts losses.
pub(super) struct CountingObserver<'a> {
    pub(super) observer: &'a mut dyn SalvageObserver,
    pub(super) losses: u64,
}

impl SalvageObserver for CountingObserver<'_> {
    fn lost(&mut self, loss: Loss) {
        self.losses += 1;
        self.observer.lost(loss);
    }

    fn progress(&mut self, done: u64, total: u64) {
        self.observer.progress(done, total);
    }
}
