//! The caller's side of a salvage: the receiver of losses, and the totals at the end.

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

use crate::couchstore::format::document;

/// Something of the source that is not in the new file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Where in the source.
    pub offset: u64,
    /// Which revisions, first and last, if that can be told.
    pub seqnos: Option<(Seqno, Seqno)>,
    /// Which document, with its prefixes as stored, or which local document.
    pub key: Option<Bytes>,
    /// How many documents and tombstones; `None` if that can't be told; 0 where the two indexes tell different things of
    /// one and nothing shows which is right: what the by-id index tells is in the new file.
    pub rows: Option<u64>,
    /// Why.
    pub what: String,
}

impl Loss {
    /// A stored key as its user knows it.
    #[must_use]
    pub fn key_shown(&self) -> Option<String> {
        let key = self.key.as_ref()?;
        let user = document::split_key(key).map(|(_, user)| user.to_string());
        Some(
            user.filter(|_| self.seqnos.is_some())
                .unwrap_or_else(|| key.escape_ascii().to_string()),
        )
    }
}

/// Who is told what is lost.
pub trait SalvageObserver {
    /// Something can't be read.
    fn lost(&mut self, loss: Loss);

    /// So many rows of so many have been looked at.
    fn progress(&mut self, done: u64, total: u64) {
        let _ = (done, total);
    }
}

impl SalvageObserver for Vec<Loss> {
    fn lost(&mut self, loss: Loss) {
        self.push(loss);
    }
}

/// What was saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// Where in the source the header is that counted.
    pub header: u64,
    /// The high seqno it tells.
    pub high: Seqno,
    /// Documents and tombstones in the new file.
    pub rows: u64,
    /// Those of them that were found by key only.
    pub found_by_key: u64,
    /// Local documents in the new file.
    pub locals: u64,
    /// How often something was told as lost.
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
