//! Everything that a store has on disk, as lines.

use lowtide_checkpoint::{Item, Seqno, Vbid};
use lowtide_persistence::{ScanLimit, Store, StoreError};

use super::lines::{Line, Written};
use super::plan::{VBUCKETS, digest};
use super::told::bad;

/// Returns the revision of an item.
pub(super) fn written(item: &Item) -> Written {
    let name = String::from_utf8_lossy(item.key.user());
    let key = name.strip_prefix("key-").and_then(|key| key.parse().ok());
    let Some(key) = key else {
        bad(format!("key {name:?} was never written"));
    };
    let value = item.value.as_deref().filter(|_| !item.deleted);
    Written {
        seqno: item.seqno.0,
        key,
        digest: value.map_or(0, digest),
    }
}

/// Returns the high seqno and the revisions of each vBucket.
pub(super) fn all(store: &Store) -> Result<Vec<Line>, StoreError> {
    let mut lines = Vec::new();
    for vb in (0..VBUCKETS).map(Vbid) {
        let snapshot = store.snapshot(vb)?;
        let seqno = snapshot.high().0;
        lines.push(Line::High { vb, seqno });
        let mut next = Some(Seqno::ZERO);
        while let Some(from) = next {
            let slice = snapshot.scan(from, Seqno::MAX, ScanLimit::new(500, 1 << 20))?;
            let revisions = slice.items.iter().map(|item| Line::Stored {
                vb,
                written: written(item),
            });
            lines.extend(revisions);
            next = slice.next;
        }
    }
    Ok(lines)
}
