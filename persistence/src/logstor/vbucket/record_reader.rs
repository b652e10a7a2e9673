//! Reading of records: the rows of a view become items. Rows that lie close together are read
//! together.
//!
//! # Invariants
//!
//! Every item is the record that the index references, verified (L27): its checksum, its length, its
//! seqno and, by key, its key are compared.

use crate::logstor::hash_key::HashKey;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use lowtide_checkpoint::internal::violated;
use lowtide_checkpoint::{Item, ItemRef, Key, Namespace};

use crate::contract::EngineError;
use crate::logstor::format::{RecordView, decode_item, decode_item_ref, record_bytes, to_usize};
use crate::logstor::index::Slot;
use crate::logstor::log::{
    BlockCache, CACHED_RECORD_BYTES_MAX, FrameBounds, Segment, StoreContext, find_frame,
};

/// Rows of a view, and their segments, held so that they can be read.
#[derive(Debug, Default)]
pub(in crate::logstor) struct ViewRows {
    pub(in crate::logstor) slots: Vec<Slot>,
    pub(in crate::logstor) segments: BTreeMap<u32, Arc<Segment>>,
}

impl ViewRows {
    fn segment_of(
        &self,
        slot: &Slot,
        context: &StoreContext,
    ) -> Result<&Arc<Segment>, EngineError> {
        self.segments
            .get(&slot.location.segment)
            .ok_or_else(|| segment_lost(context))
    }
}

/// Returns the error of a record that an index names in a segment that is not in use.
#[cold]
pub(super) fn segment_lost(context: &StoreContext) -> EngineError {
    let violation = violated(
        "L33",
        "the segment of a record that the index names is in use",
    );
    context.internal(violation)
}

/// Bytes that are read together for several rows, at most.
const EXTENT_BYTES: u32 = 256 << 10;
/// Bytes of the memory that small values of a scan share.
const SHARED_BYTES: usize = 4 << 10;
/// Unused bytes between two rows that are read together, at most.
const GAP_BYTES: u32 = 4 << 10;

/// Reads one record.
///
/// # Errors
/// [`EngineError::Disk`] or [`EngineError::Corrupt`].
pub(in crate::logstor) fn read_record(slot: &Slot, segment: &Segment) -> Result<Item, EngineError> {
    let record = segment.read_record(slot.location)?;
    item(slot, segment, &record)
}

/// Reads one record through the cache, and compares its key.
///
/// # Errors
/// Same as [`read_record`].
pub(in crate::logstor) fn read_by_key(
    cache: &BlockCache,
    slot: &Slot,
    segment: &Segment,
    namespace: Namespace,
    key: &Key,
) -> Result<Item, EngineError> {
    let item = if segment.rest().is_empty() && slot.location.len <= CACHED_RECORD_BYTES_MAX {
        let found = cache.read(segment, slot.location, |record| {
            RecordView::verified(record).filter(|view| view.len == slot.location.len)?;
            decode_item_ref(record)?.to_item()
        })?;
        let item = found.filter(|item| item.seqno.0 == slot.seqno);
        item.ok_or_else(|| corrupt(slot, segment))?
    } else {
        read_record(slot, segment)?
    };
    if item.key != *key || item.operation.namespace() != Some(namespace) {
        return Err(segment.corrupt(
            slot.location.offset,
            "another key with the same fingerprint",
        ));
    }
    Ok(item)
}

/// The buffer of a scan, reused from one extent to the next.
#[derive(Debug, Default)]
pub(in crate::logstor) struct ReadBuffer {
    bytes: Vec<u8>,
    pool: BytesMut,
}

impl ReadBuffer {
    fn space(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
        let (space, _) = self.bytes.split_at_mut(len);
        space
    }

    /// Decodes a row's record in place, if it is sound and the row's.
    fn item_ref(&self, slot: &Slot, extent: &Extent) -> Option<ItemRef<'_>> {
        item_ref(&self.bytes, slot, extent)
    }

    /// Same as [`ReadBuffer::item_ref`], as an item of its own.
    fn item(&mut self, slot: &Slot, extent: &Extent) -> Option<Item> {
        let Self { bytes, pool } = self;
        item_ref(bytes, slot, extent)?.to_item_with(|part| pooled(pool, part))
    }
}

fn item_ref<'a>(bytes: &'a [u8], slot: &Slot, extent: &Extent) -> Option<ItemRef<'a>> {
    let at = to_usize(slot.location.offset - extent.start);
    let record = bytes.get(at..at + to_usize(slot.location.len))?;
    if record_bytes(record) != Some(slot.location.len) {
        return None;
    }
    if !extent.is_verified {
        RecordView::verified(record)?;
    }
    decode_item_ref(record).filter(|item| item.seqno.0 == slot.seqno)
}

/// Copies bytes. Small ones share memory, so that each needs no allocation.
fn pooled(pool: &mut BytesMut, part: &[u8]) -> Bytes {
    if part.len() > SHARED_BYTES / 4 {
        return Bytes::copy_from_slice(part);
    }
    if pool.capacity() < part.len() {
        *pool = BytesMut::with_capacity(SHARED_BYTES);
    }
    pool.extend_from_slice(part);
    pool.split().freeze()
}

/// Reads all rows, in order.
///
/// # Errors
/// Same as [`read_record`].
pub(in crate::logstor) fn read_rows(
    rows: &ViewRows,
    context: &StoreContext,
    buffer: &mut ReadBuffer,
    items: &mut Vec<Item>,
) -> Result<(), EngineError> {
    items.reserve(rows.slots.len());
    let mut rest = rows.slots.as_slice();
    while let Some((first, others)) = rest.split_first() {
        let segment = rows.segment_of(first, context)?;
        if !segment.rest().is_empty() {
            items.push(read_record(first, segment)?);
            rest = others;
            continue;
        }
        let extent = plan(segment, rest, context.hash_key)?.read(segment, buffer)?;
        let (together, behind) = rest.split_at(extent.rows.max(1));
        rest = behind;
        for slot in together {
            let item = buffer.item(slot, &extent);
            items.push(item.ok_or_else(|| corrupt(slot, segment))?);
        }
    }
    Ok(())
}

/// Visits rows in order, until the visitor breaks off. Returns the seqno to continue with, if not
/// behind the rows. `are_all` means that no rows follow these. If some do, the last rows, whose
/// frame may continue, are left to be read with them.
///
/// # Errors
/// Same as [`read_record`].
pub(in crate::logstor) fn visit_rows(
    rows: &ViewRows,
    are_all: bool,
    context: &StoreContext,
    buffer: &mut ReadBuffer,
    visitor: &mut dyn FnMut(ItemRef<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<(), Option<u64>>, EngineError> {
    let mut rest = rows.slots.as_slice();
    while let Some((first, others)) = rest.split_first() {
        let segment = rows.segment_of(first, context)?;
        if !segment.rest().is_empty() {
            let item = read_record(first, segment)?;
            rest = others;
            if visitor((&item).into()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            continue;
        }
        let is_cut = |count: usize| !are_all && count == rest.len() && count < rows.slots.len();
        let planned = plan(segment, rest, context.hash_key)?;
        if is_cut(planned.rows) {
            return Ok(ControlFlow::Continue(Some(first.seqno)));
        }
        let extent = planned.read(segment, buffer)?;
        let (together, behind) = rest.split_at(extent.rows.max(1));
        rest = behind;
        for slot in together {
            let item = buffer
                .item_ref(slot, &extent)
                .ok_or_else(|| corrupt(slot, segment))?;
            if visitor(item).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(None))
}

/// Rows whose records were read together.
struct Extent {
    rows: usize,
    /// Offset in the segment.
    start: u32,
    /// It was verified by its frame's checksum.
    is_verified: bool,
}

/// Rows whose records are to be read together.
struct Plan {
    rows: usize,
    start: u32,
    bytes: u32,
    /// The frame, if all of it is read.
    frame: Option<FrameBounds>,
}

/// Plans the reading of the first rows. Where most of a frame is wanted, all of it is read: its one
/// checksum is cheaper than those of its records. Otherwise records that lie close together are
/// read together.
fn plan(segment: &Segment, rows: &[Slot], hash_key: HashKey) -> Result<Plan, EngineError> {
    let Some(first) = rows.first().map(|slot| slot.location) else {
        return Ok(Plan {
            rows: 0,
            start: 0,
            bytes: 0,
            frame: None,
        });
    };
    if let Some(frame) = find_frame(segment, first.offset, hash_key)? {
        let range = frame.start()..frame.end();
        let is_in = |slot: &&Slot| {
            slot.location.segment == first.segment && range.contains(&slot.location.offset)
        };
        let mut count = 0;
        let mut bytes = 0_u32;
        for slot in rows.iter().take_while(is_in) {
            count += 1;
            bytes = bytes.saturating_add(slot.location.len);
        }
        if count > 1 && bytes >= frame.payload_bytes / 2 {
            return Ok(Plan {
                rows: count,
                start: frame.start(),
                bytes: frame.payload_bytes,
                frame: Some(frame),
            });
        }
    }
    let count = close_together(rows).max(1);
    let end = rows.get(count - 1).map_or(first.offset, |last| {
        last.location.offset + last.location.len
    });
    Ok(Plan {
        rows: count,
        start: first.offset,
        bytes: end - first.offset,
        frame: None,
    })
}

impl Plan {
    fn read(self, segment: &Segment, buffer: &mut ReadBuffer) -> Result<Extent, EngineError> {
        let Self {
            rows,
            start,
            bytes,
            frame,
        } = self;
        let space = buffer.space(to_usize(bytes));
        let read = segment.read_into(start, space)?;
        // In a damaged frame each record is verified by itself.
        let is_verified = frame.is_some_and(|frame| frame.is_whole(read));
        let count = read.len();
        // Bytes that are missing must not be taken for an earlier extent's.
        let (_, missing) = space.split_at_mut(count);
        missing.fill(0);
        Ok(Extent {
            rows,
            start,
            is_verified,
        })
    }
}

/// Counts the first rows that lie close together.
fn close_together(rows: &[Slot]) -> usize {
    let Some(first) = rows.first().map(|slot| slot.location) else {
        return 0;
    };
    let mut end = first.offset;
    let joins = |slot: &&Slot| {
        let location = slot.location;
        let joins = location.segment == first.segment
            && location.offset >= end
            && location.offset - end <= GAP_BYTES
            && location.offset.saturating_add(location.len) - first.offset <= EXTENT_BYTES;
        end = location.offset.saturating_add(location.len);
        joins
    };
    rows.iter().take_while(joins).count()
}

fn item(slot: &Slot, segment: &Segment, record: &Bytes) -> Result<Item, EngineError> {
    let is_whole = record_bytes(record) == Some(slot.location.len);
    decode_item(record)
        .filter(|item| is_whole && item.seqno.0 == slot.seqno)
        .ok_or_else(|| corrupt(slot, segment))
}

fn corrupt(slot: &Slot, segment: &Segment) -> EngineError {
    segment.corrupt(
        slot.location.offset,
        "not the record that was written there",
    )
}
