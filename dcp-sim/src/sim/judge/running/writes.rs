//! W23: each write counts up from the newest revision of its key.
//!
//! So no answer of a node's memory, nor a read of its store that ended late, is older than what the
//! node wrote, received or persisted.

use lowtide_checkpoint::{Item, Seqno};

use crate::sim::oracle::Revision;
use crate::sim::record::InvariantVerdict;

pub(in crate::sim) fn verdict() -> InvariantVerdict {
    InvariantVerdict::new(
        "W23",
        "each write counts up from the newest revision of its key",
    )
}

/// Returns the violation of a write. `before` is the revision of its key in the copy. Tombstones up
/// to `purged` may be missing on the disk.
pub(in crate::sim) fn violation(
    before: Option<Revision>,
    item: &Item,
    purged: Seqno,
) -> Option<String> {
    let is_next = item.rev_seqno == before.map_or(0, |before| before.rev_seqno) + 1;
    let was_purged = before.is_some_and(|before| !before.is_live && before.seqno <= purged);
    let is_right = is_next || (was_purged && item.rev_seqno == 1);
    (!is_right).then(|| {
        let (key, seqno, rev_seqno) = (&item.key, item.seqno, item.rev_seqno);
        format!("{key} at {seqno} is revision {rev_seqno} after {before:?}, purged up to {purged}")
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lowtide_checkpoint::Key;

    use super::*;

    fn item(rev_seqno: u64) -> Item {
        Item {
            rev_seqno,
            seqno: Seqno(9),
            ..Item::mutation(Key::new(b"k"), Bytes::new())
        }
    }

    #[test]
    fn revision_that_is_no_successor_is_a_violation() {
        let before = |is_live| Revision {
            seqno: Seqno(3),
            rev_seqno: 4,
            digest: 0,
            is_live,
        };
        let violates = |before, rev_seqno, purged| {
            violation(before, &item(rev_seqno), Seqno(purged)).is_some()
        };
        assert!(!violates(None, 1, 0) && violates(None, 2, 0));
        for is_live in [true, false] {
            assert!(!violates(Some(before(is_live)), 5, 0));
            assert!(violates(Some(before(is_live)), 1, 2));
            assert!(violates(Some(before(is_live)), 4, 9));
        }
        assert!(!violates(Some(before(false)), 1, 3), "it was purged");
        assert!(
            violates(Some(before(true)), 1, 3),
            "a document is not purged"
        );
    }
}
