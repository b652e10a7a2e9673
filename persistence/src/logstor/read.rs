//! Reading records: rows of a view go in, items come out, checked; rows that lie close together are read together.
//!
//! Always: what is given out is the record the index names, whole: checksum, seqno and, by key, the key are compared.

use std::ops::ControlFlow;

use bytes::{Bytes, BytesMut};
use lowtide_checkpoint::{Item, Key, Namespace};

use crate::contract::{EngineError, ItemRef};

use super::branch::Rows;
use super::cache::{self, Cache};
use super::entry;
use super::frames::FrameAt;
use super::index::Slot;
use super::segment::Segment;

/// The most that is read at once for several rows.
const EXTENT_BYTES: u32 = 256 << 10;
/// What small values of a scan share.
const SHARED_BYTES: usize = 4 << 10;
/// What may lie unused between two rows that are read together.
const GAP_BYTES: u32 = 4 << 10;

/// One record.
///
/// # Errors
/// [`EngineError::Disk`] or [`EngineError::Corrupt`].
pub(super) fn one(slot: &Slot, segment: &Segment) -> Result<Item, EngineError> {
    let record = segment.read_record(slot.location)?;
    item(slot, segment, &record)
}

/// One record by its key.
///
/// # Errors
/// As [`one`].
pub(super) fn by_key(
    cache: &Cache,
    slot: &Slot,
    segment: &Segment,
    namespace: Namespace,
    key: &Key,
) -> Result<Item, EngineError> {
    let item = if segment.rest().is_empty() && slot.location.len <= cache::RECORD_BYTES_MAX {
        let found = cache.read(segment, slot.location, |record| {
            entry::peek(record)?;
            entry::shown(record)?.to_item()
        })?;
        let item = found.filter(|item| item.seqno.0 == slot.seqno);
        item.ok_or_else(|| corrupt(slot, segment))?
    } else {
        one(slot, segment)?
    };
    if item.key != *key || item.operation.namespace() != Some(namespace) {
        return Err(segment.corrupt(
            slot.location.offset,
            "another key with the same fingerprint",
        ));
    }
    Ok(item)
}

/// Where what was read lies while it is looked at; used again for the next rows.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    bytes: Vec<u8>,
    pool: BytesMut,
}

impl Scratch {
    fn room(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
        self.bytes.get_mut(..len).unwrap_or_default()
    }

    /// A record that was read into it, if it is sound and the one that was looked for.
    fn shown(&self, slot: &Slot, extent: &Extent) -> Option<ItemRef<'_>> {
        shown(&self.bytes, slot, extent)
    }

    /// As [`Scratch::shown`]; what others keep of it is copied.
    fn item(&mut self, slot: &Slot, extent: &Extent) -> Option<Item> {
        let Self { bytes, pool } = self;
        shown(bytes, slot, extent)?.to_item_with(|part| kept(pool, part))
    }
}

fn shown<'a>(bytes: &'a [u8], slot: &Slot, extent: &Extent) -> Option<ItemRef<'a>> {
    let at = (slot.location.offset - extent.start) as usize;
    let record = bytes.get(at..at + slot.location.len as usize)?;
    if !extent.is_verified {
        entry::peek(record)?;
    }
    entry::shown(record).filter(|item| item.seqno.0 == slot.seqno)
}

/// Small values share memory, so that each need not have its own.
fn kept(pool: &mut BytesMut, part: &[u8]) -> Bytes {
    if part.len() > SHARED_BYTES / 4 {
        return Bytes::copy_from_slice(part);
    }
    if pool.capacity() < part.len() {
        *pool = BytesMut::with_capacity(SHARED_BYTES);
    }
    pool.extend_from_slice(part);
    pool.split().freeze()
}

/// All rows, in their order.
///
/// # Errors
/// As [`one`].
pub(super) fn rows(
    rows: &Rows,
    hash_key: [u64; 2],
    scratch: &mut Scratch,
    items: &mut Vec<Item>,
) -> Result<(), EngineError> {
    items.reserve(rows.slots.len());
    let mut rest = rows.slots.as_slice();
    while let Some(first) = rest.first() {
        let segment = rows
            .segments
            .get(&first.location.segment)
            .ok_or_else(|| lost(first))?;
        if !segment.rest().is_empty() {
            items.push(one(first, segment)?);
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let extent = extent(segment, rest, hash_key, scratch)?;
        let (together, behind) = rest.split_at(extent.rows.max(1));
        rest = behind;
        for slot in together {
            let item = scratch.item(slot, &extent);
            items.push(item.ok_or_else(|| corrupt(slot, segment))?);
        }
    }
    Ok(())
}

/// Shows rows in their order, until `see` breaks off; where to go on, if not behind them. `are_all`: no rows follow these.
/// If some do the last ones, whose frame may go on, are left to be read with them.
///
/// # Errors
/// As [`one`].
pub(super) fn show(
    rows: &Rows,
    are_all: bool,
    hash_key: [u64; 2],
    scratch: &mut Scratch,
    see: &mut dyn FnMut(ItemRef<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<(), Option<u64>>, EngineError> {
    let mut rest = rows.slots.as_slice();
    while let Some(first) = rest.first() {
        let segment = rows
            .segments
            .get(&first.location.segment)
            .ok_or_else(|| lost(first))?;
        if !segment.rest().is_empty() {
            let item = one(first, segment)?;
            rest = rest.get(1..).unwrap_or_default();
            if see((&item).into()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            continue;
        }
        let is_cut = |count: usize| !are_all && count == rest.len() && count < rows.slots.len();
        let planned = plan(segment, rest, hash_key)?;
        if is_cut(planned.rows) {
            return Ok(ControlFlow::Continue(Some(first.seqno)));
        }
        let extent = planned.read(segment, scratch)?;
        let (together, behind) = rest.split_at(extent.rows.max(1));
        rest = behind;
        for slot in together {
            let item = scratch
                .shown(slot, &extent)
                .ok_or_else(|| corrupt(slot, segment))?;
            if see(item).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(None))
}

/// Rows whose records were read together.
struct Extent {
    rows: usize,
    /// Where in the segment it begins.
    start: u32,
    /// By its frame's checksum.
    is_verified: bool,
}

/// What is to be read together.
struct Plan {
    rows: usize,
    start: u32,
    bytes: u32,
    /// It is all of that frame.
    frame: Option<FrameAt>,
}

/// Takes the first rows' records: with the whole of their frame where most of it is wanted, whose one checksum is cheaper
/// than all of theirs; else what lies close together.
fn plan(segment: &Segment, rows: &[Slot], hash_key: [u64; 2]) -> Result<Plan, EngineError> {
    let Some(first) = rows.first().map(|slot| slot.location) else {
        return Ok(Plan {
            rows: 0,
            start: 0,
            bytes: 0,
            frame: None,
        });
    };
    if let Some(frame) = segment.frame_of(first.offset, hash_key)? {
        let range = frame.start()..frame.end();
        let is_in = |slot: &&Slot| {
            slot.location.segment == first.segment && range.contains(&slot.location.offset)
        };
        let (mut count, mut bytes) = (0, 0_u32);
        for slot in rows.iter().take_while(is_in) {
            count += 1;
            bytes = bytes.saturating_add(slot.location.len);
        }
        if count > 1 && bytes >= frame.payload_bytes / 2 {
            let (start, bytes) = (frame.start(), frame.payload_bytes);
            return Ok(Plan {
                rows: count,
                start,
                bytes,
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
    fn read(self, segment: &Segment, scratch: &mut Scratch) -> Result<Extent, EngineError> {
        let Self {
            rows,
            start,
            bytes,
            frame,
        } = self;
        let len = bytes as usize;
        let read = segment.read_into(start, scratch.room(len))?;
        // Where it is damaged each record speaks for itself.
        let is_verified = frame.is_some_and(|frame| frame.is_whole(read));
        // What is missing must not be taken for what was read before.
        let read = read.len();
        scratch.bytes.get_mut(read..len).unwrap_or_default().fill(0);
        Ok(Extent {
            rows,
            start,
            is_verified,
        })
    }
}

fn extent(
    segment: &Segment,
    rows: &[Slot],
    hash_key: [u64; 2],
    scratch: &mut Scratch,
) -> Result<Extent, EngineError> {
    plan(segment, rows, hash_key)?.read(segment, scratch)
}

/// How many of the first rows are read together.
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
    let item = entry::item(record).filter(|item| item.seqno.0 == slot.seqno);
    item.ok_or_else(|| corrupt(slot, segment))
}

fn corrupt(slot: &Slot, segment: &Segment) -> EngineError {
    segment.corrupt(
        slot.location.offset,
        "not the record that was written there",
    )
}

fn lost(slot: &Slot) -> EngineError {
    EngineError::InvalidArgument(format!("segment {} is not in use", slot.location.segment))
}
