//! A snapshot: a pinned view of one vBucket. Later commits, rewriting and the vBucket's end do not
//! change it.
//!
//! The first scan by key reads every record once, to sort the keys. The keys stay in memory as long
//! as the snapshot.

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use lowtide_checkpoint::internal::{Invariant, Violation};
use lowtide_checkpoint::{Item, ItemRef, Key, Namespace, Seqno, VBucketState};

use super::record_reader::{ReadBuffer, read_by_key, read_rows, visit_rows};
use super::vbucket_index::{VBucketIndex, View};
use crate::contract::{
    EngineError, KeyRange, KeySlice, ScanLimit, ScanSlice, Snapshot, VBucketInfo,
};
use crate::logstor::format::{Fingerprint, PurgedTombstones, to_usize};
use crate::logstor::log::StoreContext;
use crate::sync::{Mutex, ranks};

/// Rows that are looked up under the vBucket's lock at once.
const ROWS: usize = 1024;
/// Rows that are visited together: those of several frames.
const ROWS_VISITED: usize = 4096;

#[derive(Debug)]
pub(in crate::logstor) struct LogSnapshot {
    vbucket: Arc<VBucketIndex>,
    pin: u64,
    view: View,
    context: Arc<StoreContext>,
    /// Reused from one slice to the next.
    buffer: Mutex<ReadBuffer>,
    by_key: OnceLock<Vec<(Namespace, Key)>>,
}

impl LogSnapshot {
    pub(in crate::logstor) fn new(vbucket: Arc<VBucketIndex>, context: Arc<StoreContext>) -> Self {
        let (pin, view) = vbucket.pin();
        Self {
            vbucket,
            pin,
            view,
            context,
            buffer: Mutex::new(ranks::SNAPSHOT_BUFFER, ReadBuffer::default()),
            by_key: OnceLock::new(),
        }
    }

    /// Returns the tombstones that are hidden from it.
    pub(in crate::logstor) fn purged(&self) -> &PurgedTombstones {
        self.view.purged()
    }

    /// Ends all writing because an invariant does not hold. Returns the error to report.
    pub(in crate::logstor) fn internal(&self, violation: Violation) -> EngineError {
        self.context.internal(violation)
    }

    /// Returns all keys, sorted: O(bytes) once.
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
            for item in slice.items {
                // A key that shares the value's memory would keep the value in memory.
                let key = Key::from_encoded(item.key.encoded().to_vec().into());
                let named = item.operation.namespace().zip(key);
                let named = named
                    .invariant("E9", "an item that is scanned has a name")
                    .map_err(|violation| self.internal(violation))?;
                keys.push(named);
            }
            next = slice.next;
        }
        keys.sort_unstable();
        Ok(self.by_key.get_or_init(|| keys))
    }
}

impl Drop for LogSnapshot {
    fn drop(&mut self) {
        self.vbucket.unpin(self.pin);
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
        let fingerprint = Fingerprint::of(self.context.hash_key, namespace, key.encoded());
        let Some((slot, segment)) = self.vbucket.find(fingerprint, &self.view)? else {
            return Ok(None);
        };
        read_by_key(&self.context.cache, &slot, &segment, namespace, key).map(Some)
    }

    fn scan(&self, from: Seqno, to: Seqno, limit: ScanLimit) -> Result<ScanSlice, EngineError> {
        let mut items: Vec<Item> = Vec::new();
        let mut next = Some(from.0);
        let mut bytes = 0_usize;
        let mut buffer = std::mem::take(&mut *self.buffer.lock());
        while let Some(at) = next {
            let room = limit.items.max(1) - items.len();
            // One row more than wanted tells whether there are more.
            let mut rows =
                self.vbucket
                    .rows(&self.view, at, to.0, room.saturating_add(1).min(ROWS));
            let found = rows.slots.len();
            let mut taken = 0;
            for slot in rows.slots.iter().take(room) {
                if (taken > 0 || !items.is_empty()) && bytes >= limit.bytes {
                    break;
                }
                // Fields other than key and value are small compared to the limit.
                bytes = bytes.saturating_add(to_usize(slot.location.len));
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
            read_rows(&rows, &self.context, &mut buffer, &mut items)?;
            if is_full {
                break;
            }
        }
        *self.buffer.lock() = buffer;
        let next = next.and_then(|at| {
            Some(
                self.vbucket
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
        visitor: &mut dyn FnMut(ItemRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let mut buffer = std::mem::take(&mut *self.buffer.lock());
        let mut next = Some(from.0);
        while let Some(at) = next {
            let rows = self.vbucket.rows(&self.view, at, to.0, ROWS_VISITED);
            let are_all = rows.slots.len() < ROWS_VISITED;
            let behind = rows.slots.last().and_then(|last| last.seqno.checked_add(1));
            next = match visit_rows(&rows, are_all, &self.context, &mut buffer, visitor)? {
                ControlFlow::Continue(left) => left.or(behind).filter(|_| !are_all),
                ControlFlow::Break(()) => None,
            };
        }
        *self.buffer.lock() = buffer;
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
            let item = self
                .get(*namespace, key)?
                .invariant("E9", "a key that was scanned is found")
                .map_err(|violation| self.internal(violation))?;
            bytes = bytes.saturating_add(item.payload_bytes());
            slice.items.push(item);
        }
        Ok(slice)
    }

    fn count(&self, from: Seqno, to: Seqno) -> Result<u64, EngineError> {
        Ok(self.vbucket.count(&self.view, from.0, to.0))
    }
}
