//! Decoding of records.

use bytes::Bytes;
use lowtide_checkpoint::internal::checked_invariant;
use lowtide_checkpoint::{Cas, Datatype, Item, ItemRef, Operation, Seqno};

use super::super::integers::{to_u32, to_usize, u16_at, u32_at, u64_at};
use super::layout::{
    DEFAULT_REVISION, DELETED, FIXED_BYTES, HAS_EXPIRY, HAS_FLAGS, HAS_PREPARE, HAS_VALUE, HISTORY,
    LONG_REVISION, OPERATIONS, RECORD_BYTES_MAX, SHORT_REVISION, STATE, is_tombstone, level_of,
    optional_bytes,
};

/// The fields of a record that an index needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct RecordView<'a> {
    pub(in crate::logstor) len: u32,
    pub(in crate::logstor) seqno: u64,
    /// CAS of an item. A state has its number among the states of its epoch here.
    pub(in crate::logstor) cas: u64,
    pub(in crate::logstor) epoch: u32,
    /// `None` for a vBucket's state.
    pub(in crate::logstor) operation: Option<Operation>,
    /// It says that its key is gone.
    pub(in crate::logstor) tombstone: bool,
    pub(in crate::logstor) key: &'a [u8],
    pub(in crate::logstor) value: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// Returns the record at the start of `bytes`, if it is whole and its checksum is right.
    pub(in crate::logstor) fn verified(bytes: &'a [u8]) -> Option<Self> {
        let record = record(bytes)?;
        if crc32c::crc32c(record.get(4..)?) != u32_at(record, 0)? {
            return None;
        }
        parse(record)
    }

    /// Same as [`RecordView::verified`], where the record's checksum was compared already, or that
    /// of its frame.
    pub(in crate::logstor::format) fn unverified(bytes: &'a [u8]) -> Option<Self> {
        parse(record(bytes)?)
    }
}

/// Returns the length that the record at the start of `bytes` claims.
#[inline]
pub(in crate::logstor) fn record_bytes(bytes: &[u8]) -> Option<u32> {
    u32_at(bytes, 4)
}

/// Returns the epoch of the record at the start of `bytes`, of which the first fields are enough.
pub(in crate::logstor) fn epoch_of(bytes: &[u8]) -> Option<u32> {
    u32_at(bytes, 24)
}

/// Returns the bytes of the record at the start of `bytes`.
#[inline]
fn record(bytes: &[u8]) -> Option<&[u8]> {
    let len = to_usize(record_bytes(bytes)?);
    bytes
        .get(..len)
        .filter(|_| (FIXED_BYTES..=RECORD_BYTES_MAX).contains(&len))
}

/// Reads the fields of a record, and does not compare its checksum.
#[inline]
fn parse(record: &[u8]) -> Option<RecordView<'_>> {
    let fixed: &[u8; FIXED_BYTES] = record.first_chunk()?;
    let [code, bits] = *fixed.get(30..)?.first_chunk()?;
    let key_bytes = usize::from(u16_at(fixed, 28)?);
    let (key, value) = record
        .get(FIXED_BYTES + optional_bytes(bits)..)?
        .split_at_checked(key_bytes)?;
    let operation = match code & 15 {
        STATE => None,
        // Their codes count up from 1.
        code => Some(OPERATIONS.get(usize::from(code).checked_sub(1)?)?.0),
    };
    Some(RecordView {
        len: to_u32(record.len()),
        seqno: u64_at(fixed, 8)?,
        cas: u64_at(fixed, 16)?,
        epoch: u32_at(fixed, 24)?,
        operation,
        tombstone: operation.is_some_and(|operation| is_tombstone(operation, bits & DELETED != 0)),
        key,
        value,
    })
}

/// Returns the lowest and the highest epoch of records that were encoded one behind the other; zeros
/// if there are none.
pub(in crate::logstor) fn epoch_range(mut records: &[u8]) -> (u32, u32) {
    let mut lowest = u32::MAX;
    let mut highest = 0;
    while let (Some(len), Some(epoch)) = (record_bytes(records), epoch_of(records)) {
        lowest = lowest.min(epoch);
        highest = highest.max(epoch);
        let Some((_, behind)) = records.split_at_checked(to_usize(len).max(FIXED_BYTES)) else {
            break;
        };
        records = behind;
    }
    checked_invariant!(
        records.is_empty(),
        "L24",
        "a frame names the epochs of all its records"
    );
    (lowest.min(highest), highest)
}

/// Decodes the record at the start of `bytes`, verified; the item shares its value with them.
pub(in crate::logstor) fn decode_item(bytes: &Bytes) -> Option<Item> {
    item_ref(bytes, &RecordView::verified(bytes)?)?.to_item_with(|part| bytes.slice_ref(part))
}

/// Decodes a record that was verified already, in place.
#[inline]
pub(in crate::logstor) fn decode_item_ref(bytes: &[u8]) -> Option<ItemRef<'_>> {
    let record = record(bytes)?;
    item_ref(record, &parse(record)?)
}

#[inline]
fn item_ref<'a>(bytes: &[u8], view: &RecordView<'a>) -> Option<ItemRef<'a>> {
    let [code, bits, datatype] = *bytes.get(30..)?.first_chunk()?;
    let mut at = FIXED_BYTES;
    let mut take = |bit: u8, width: usize| {
        let here = at;
        (bits & bit != 0).then(|| {
            at += width;
            here
        })
    };
    let [short, long, flags, expiry, prepare] = [
        take(SHORT_REVISION, 2),
        take(LONG_REVISION, 8),
        take(HAS_FLAGS, 4),
        take(HAS_EXPIRY, 4),
        take(HAS_PREPARE, 8),
    ];
    Some(ItemRef {
        key: view.key,
        operation: view.operation?,
        seqno: Seqno(view.seqno),
        cas: Cas(view.cas),
        rev_seqno: match (short, long) {
            (_, Some(at)) => u64_at(bytes, at)?,
            (Some(at), None) => u16_at(bytes, at)?.into(),
            (None, None) => DEFAULT_REVISION,
        },
        flags: flags.map_or(Some(0), |at| u32_at(bytes, at))?,
        expiry: expiry.map_or(Some(0), |at| u32_at(bytes, at))?,
        datatype: Datatype(datatype),
        deleted: bits & DELETED != 0,
        history: bits & HISTORY != 0,
        durability: match code >> 4 {
            0 => None,
            level => Some(level_of(level)?),
        },
        prepare_seqno: Seqno(prepare.map_or(Some(0), |at| u64_at(bytes, at))?),
        value: (bits & HAS_VALUE != 0).then_some(view.value),
    })
}
