//! The contract of a pinned read view: points, ranges and counts of one commit.
//!
//! # Invariants
//!
//! A snapshot at S never changes (E3), and its three views agree (E9).

use std::fmt;
use std::ops::ControlFlow;

use lowtide_checkpoint::{Item, Key, Namespace, Seqno, VBucketState};

use super::error::EngineError;
use super::scan::{KeyRange, KeySlice, ScanLimit, ScanSlice};
use super::stats::VBucketInfo;
use lowtide_checkpoint::ItemRef;

/// The slice that is read at once for a caller that asks for single rows.
pub(super) const READ_TOGETHER: ScanLimit = ScanLimit {
    items: usize::MAX,
    bytes: 1 << 20,
};

/// A vBucket as it was at one commit. Later commits don't change it. Reads may run concurrently
/// with commits.
pub trait Snapshot: Send + Sync + fmt::Debug {
    /// Returns the high seqno of its commit.
    fn high(&self) -> Seqno;

    /// Returns the state committed with it; `None` before the first commit.
    fn state(&self) -> Option<&VBucketState>;

    /// Returns the figures at that commit.
    fn info(&self) -> VBucketInfo;

    /// Returns the newest revision of a key at or below [`Snapshot::high`], tombstones included.
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Corrupt`].
    fn get(&self, namespace: Namespace, key: &Key) -> Result<Option<Item>, EngineError>;

    /// Returns each key's newest revision, if its seqno is in `from..=to`, ascending, tombstones
    /// included.
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Corrupt`].
    fn scan(&self, from: Seqno, to: Seqno, limit: ScanLimit) -> Result<ScanSlice, EngineError>;

    /// Passes the rows of a scan of `from..=to` without limits to `see`, in order, until it breaks
    /// off. Cheaper than [`Snapshot::scan`] if the engine need not build items for it. O(rows
    /// visited and their bytes).
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Corrupt`]; the rows visited before are sound.
    fn visit(
        &self,
        from: Seqno,
        to: Seqno,
        see: &mut dyn FnMut(ItemRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let mut next = Some(from);
        while let Some(from) = next {
            let slice = self.scan(from, to, READ_TOGETHER)?;
            if slice.items.iter().any(|item| see(item.into()).is_break()) {
                break;
            }
            next = slice.next;
        }
        Ok(())
    }

    /// Returns the newest revision of every key in a range, ascending by key, tombstones included.
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Corrupt`].
    fn scan_keys(&self, range: &KeyRange, limit: ScanLimit) -> Result<KeySlice, EngineError>;

    /// Passes the keys of a name space that have a revision, tombstones included, to `see`, until it
    /// breaks off. An engine with an index by key reads no documents for it. O(keys).
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Corrupt`]; the keys passed before are sound.
    fn visit_keys(
        &self,
        namespace: Namespace,
        see: &mut dyn FnMut(&Key) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let mut next = Some(KeyRange::all(namespace));
        while let Some(range) = next {
            let slice = self.scan_keys(&range, READ_TOGETHER)?;
            if slice.items.iter().any(|item| see(&item.key).is_break()) {
                break;
            }
            next = slice.next.map(|from| range.with_from(from));
        }
        Ok(())
    }

    /// Returns the number of items in a scan of `from..=to`, without reading them. O(log n) if the
    /// engine has sums by seqno, otherwise a walk over its index in memory.
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Corrupt`].
    fn count(&self, from: Seqno, to: Seqno) -> Result<u64, EngineError>;
}
