//! Reading records: rows of a view go in, items come out, checked; rows that lie close together are read together.
//!
//! Always: what is given out is the record the index names, whole: checksum, seqno and, by key, the key are compared.

use bytes::Bytes;
use checkpoint::{Item, Key, Namespace};

use crate::EngineError;

use super::branch::Rows;
use super::entry;
use super::index::Slot;
use super::segment::Segment;

/// The most that is read at once for several rows.
const EXTENT_BYTES: u32 = 256 << 10;
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
    slot: &Slot,
    segment: &Segment,
    namespace: Namespace,
    key: &Key,
) -> Result<Item, EngineError> {
    let item = one(slot, segment)?;
    if item.key != *key || item.operation.namespace() != Some(namespace) {
        return Err(segment.corrupt(slot.location.offset, "another key with the same fingerprint"));
    }
    Ok(item)
}

/// All rows, in their order.
///
/// # Errors
/// As [`one`].
pub(super) fn rows(rows: &Rows) -> Result<Vec<Item>, EngineError> {
    let mut items = Vec::with_capacity(rows.slots.len());
    let mut rest = rows.slots.as_slice();
    while let Some(first) = rest.first() {
        let segment = rows.segments.get(&first.location.segment).ok_or_else(|| lost(first))?;
        let (together, behind) = rest.split_at(extent(rest).max(1));
        rest = behind;
        if !segment.rest().is_empty() {
            items.push(one(first, segment)?);
            continue;
        }
        let start = first.location.offset;
        let end = together.last().map_or(start, |last| last.location.offset + last.location.len);
        let bytes = Bytes::from(segment.read(start, (end - start) as usize)?);
        for slot in together {
            let at = (slot.location.offset - start) as usize;
            let end = (at + slot.location.len as usize).min(bytes.len());
            let record = if at <= end { bytes.slice(at..end) } else { Bytes::new() };
            items.push(item(slot, segment, &record)?);
        }
    }
    Ok(items)
}

/// How many of the first rows are read together.
fn extent(rows: &[Slot]) -> usize {
    let Some(first) = rows.first().map(|slot| slot.location) else { return 0 };
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
    item.ok_or_else(|| segment.corrupt(slot.location.offset, "not the record that was written there"))
}

fn lost(slot: &Slot) -> EngineError {
    EngineError::InvalidArgument(format!("segment {} is not in use", slot.location.segment))
}
