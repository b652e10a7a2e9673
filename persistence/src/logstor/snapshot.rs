//! A pinned view of one vBucket: later commits, rewriting, and the vBucket's end don't touch it.
//!
//! By key it reads every record once, when the first scan by key asks for the order; the keys stay in memory as long as
//! the snapshot does.

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use crate::sync::Mutex;
use lowtide_checkpoint::{Item, Key, Namespace, Seqno, VBucketState};

use crate::contract::{
    EngineError, ItemRef, KeyRange, KeySlice, ScanLimit, ScanSlice, Snapshot, VBucketInfo,
};

use super::branch::{Branch, View};
use super::fingerprint::Fingerprint;
use super::purged::Purged;
use super::read::{self, Scratch};
use super::shared::Shared;

/// How many rows are looked up under the vBucket's lock at once.
const ROWS: usize = 1024;
/// ... where nothing is kept of them: several frames' rows.
const ROWS_SHOWN: usize = 4096;

#[derive(Debug)]
pub(super) struct LogSnapshot {
    branch: Arc<Branch>,
    pin: u64,
    view: View,
    shared: Arc<Shared>,
    /// Kept from one slice to the next.
    scratch: Mutex<Scratch>,
    by_key: OnceLock<Vec<(Namespace, Key)>>,
}

impl LogSnapshot {
    pub(super) fn new(branch: Arc<Branch>, shared: Arc<Shared>) -> Self {
        let (pin, view) = branch.pin();
        Self {
            branch,
            pin,
            view,
            shared,
            scratch: Mutex::default(),
            by_key: OnceLock::new(),
        }
    }

    /// What is hidden from it.
    pub(super) fn purged(&self) -> &Purged {
        self.view.purged()
    }

    /// Every key, sorted: O(bytes) once.
    fn keys(&self) -> Result<&[(Namespace, Key)], EngineError> {
        if let Some(keys) = self.by_key.get() {
            return Ok(keys);
        }
        let mut keys = Vec::new();
        let mut next = Some(Seqno::ZERO);
        while let Some(from) = next {
            let slice = self.scan(
                from,
                Seqno::MAX,
                ScanLimit {
                    items: ROWS,
                    bytes: usize::MAX,
                },
            )?;
            let named = slice.items.into_iter().filter_map(|item| {
                let namespace = item.operation.namespace()?;
                // A key that shares the value's memory would keep all of it.
                Some((
                    namespace,
                    Key::from_encoded(item.key.encoded().to_vec().into())?,
                ))
            });
            keys.extend(named);
            next = slice.next;
        }
        keys.sort_unstable();
        Ok(self.by_key.get_or_init(|| keys))
    }
}

impl Drop for LogSnapshot {
    fn drop(&mut self) {
        self.branch.unpin(self.pin);
    }
}

impl Snapshot for LogSnapshot {
    fn high(&self) -> Seqno {
        self.view.info.high
    }

    fn state(&self) -> Option<&VBucketState> {
        self.view.state.as_deref()
    }

    fn info(&self) -> VBucketInfo {
        self.view.info
    }

    fn get(&self, namespace: Namespace, key: &Key) -> Result<Option<Item>, EngineError> {
        let fingerprint = Fingerprint::of(self.shared.hash_key, namespace, key.encoded());
        let Some((slot, segment)) = self.branch.find(fingerprint, &self.view) else {
            return Ok(None);
        };
        read::by_key(&self.shared.cache, &slot, &segment, namespace, key).map(Some)
    }

    fn scan(&self, from: Seqno, to: Seqno, limit: ScanLimit) -> Result<ScanSlice, EngineError> {
        let mut items: Vec<Item> = Vec::new();
        let (mut next, mut bytes) = (Some(from.0), 0_usize);
        let mut scratch = std::mem::take(&mut *self.scratch.lock());
        while let Some(at) = next {
            let room = limit.items.max(1) - items.len();
            // One more than is wanted tells whether there is more.
            let mut rows = self
                .branch
                .rows(&self.view, at, to.0, room.saturating_add(1).min(ROWS));
            let found = rows.slots.len();
            let mut taken = 0;
            for slot in rows.slots.iter().take(room) {
                if (taken > 0 || !items.is_empty()) && bytes >= limit.bytes {
                    break;
                }
                // Fields that are not key or value are few beside the limit.
                bytes = bytes.saturating_add(slot.location.len as usize);
                taken += 1;
            }
            next = match rows.slots.get(taken) {
                Some(slot) => Some(slot.seqno),
                None if found == ROWS => {
                    rows.slots.last().and_then(|last| last.seqno.checked_add(1))
                }
                None => None,
            };
            let is_full =
                taken < found || items.len() + taken >= limit.items.max(1) || bytes >= limit.bytes;
            rows.slots.truncate(taken);
            read::rows(&rows, self.shared.hash_key, &mut scratch, &mut items)?;
            if is_full {
                break;
            }
        }
        *self.scratch.lock() = scratch;
        let next = next.and_then(|at| {
            Some(
                self.branch
                    .rows(&self.view, at, to.0, 1)
                    .slots
                    .first()?
                    .seqno,
            )
        });
        Ok(ScanSlice {
            items,
            next: next.map(Seqno),
        })
    }

    fn visit(
        &self,
        from: Seqno,
        to: Seqno,
        see: &mut dyn FnMut(ItemRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let mut scratch = std::mem::take(&mut *self.scratch.lock());
        let mut next = Some(from.0);
        while let Some(at) = next {
            let rows = self.branch.rows(&self.view, at, to.0, ROWS_SHOWN);
            let are_all = rows.slots.len() < ROWS_SHOWN;
            let behind = rows.slots.last().and_then(|last| last.seqno.checked_add(1));
            next = match read::show(&rows, are_all, self.shared.hash_key, &mut scratch, see)? {
                ControlFlow::Continue(left) => left.or(behind).filter(|_| !are_all),
                ControlFlow::Break(()) => None,
            };
        }
        *self.scratch.lock() = scratch;
        Ok(())
    }

    fn scan_keys(&self, range: &KeyRange, limit: ScanLimit) -> Result<KeySlice, EngineError> {
        let keys = self.keys()?;
        let start = keys
            .partition_point(|(namespace, key)| (namespace, key) < (&range.namespace, &range.from));
        let in_range = |key: &Key| range.to.as_ref().is_none_or(|to| key < to);
        let mut slice = KeySlice::default();
        let mut bytes = 0_usize;
        for (namespace, key) in keys.iter().skip(start) {
            if *namespace != range.namespace || !in_range(key) {
                break;
            }
            let is_full = slice.items.len() >= limit.items || bytes >= limit.bytes;
            if is_full && !slice.items.is_empty() {
                slice.next = Some(key.clone());
                break;
            }
            if let Some(item) = self.get(*namespace, key)? {
                bytes = bytes.saturating_add(item.payload_bytes());
                slice.items.push(item);
            }
        }
        Ok(slice)
    }

    fn count(&self, from: Seqno, to: Seqno) -> Result<u64, EngineError> {
        Ok(self.branch.count(&self.view, from.0, to.0))
    }
}
