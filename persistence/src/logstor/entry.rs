//! A record of the log: an item goes in, bytes come out, and the other way round.
//!
//! ```text
//! CRC-32C u32 of what follows | bytes u32 | seqno u64 | CAS u64 | epoch u32 | key bytes u16 | operation u8 | bits u8
//! datatype u8 | [revision u16 or u64] [flags u32] [expiry u32] [prepare's seqno u64] | key | value
//! ```
//!
//! One begins where the last one ends. The operation's upper half is the durability level. Fields in brackets are there when
//! their bit is set: where they say something; a revision that is not there is 1. A vBucket's state is a record without a
//! key; its CAS is which of the epoch's states it is, its seqno the high seqno.
//!
//! Always: an item comes back with every field as it was, and a record with any bit changed is none (L3).

use bytes::Bytes;
use lowtide_checkpoint::{Cas, Datatype, DurabilityLevel, Item, Operation, Seqno};

use crate::contract::ItemRef;

/// What every record has before its optional fields.
pub(super) const FIXED_BYTES: usize = 33;
/// The longest key.
pub(super) const KEY_BYTES_MAX: usize = 4096;
/// The longest value.
pub(super) const VALUE_BYTES_MAX: usize = 20 << 20;
/// The highest seqno: one more stands for no end.
pub(super) const SEQNO_MAX: u64 = u64::MAX - 1;
/// The longest record: with it no length overflows.
const RECORD_BYTES_MAX: usize = FIXED_BYTES + 26 + KEY_BYTES_MAX + VALUE_BYTES_MAX;

const DELETED: u8 = 1;
const HISTORY: u8 = 2;
const HAS_VALUE: u8 = 4;
const LONG_REVISION: u8 = 8;
const HAS_FLAGS: u8 = 16;
const HAS_EXPIRY: u8 = 32;
const HAS_PREPARE: u8 = 64;
const SHORT_REVISION: u8 = 128;
/// Says that some field is there that need not be.
const OPTIONAL: u8 = LONG_REVISION | HAS_FLAGS | HAS_EXPIRY | HAS_PREPARE | SHORT_REVISION;
/// What is not written: what most items have.
const USUAL_REVISION: u64 = 1;

/// The operation of a vBucket's state.
const STATE: u8 = 15;

const OPERATIONS: [(Operation, u8); 7] = [
    (Operation::Mutation, 1),
    (Operation::Deletion, 2),
    (Operation::Expiration, 3),
    (Operation::Prepare, 4),
    (Operation::Commit, 5),
    (Operation::Abort, 6),
    (Operation::SystemEvent, 7),
];
const LEVELS: [(DurabilityLevel, u8); 3] = [
    (DurabilityLevel::Majority, 1),
    (DurabilityLevel::MajorityAndPersistOnMaster, 2),
    (DurabilityLevel::PersistToMajority, 3),
];

/// What is known of a record without taking it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peek<'a> {
    pub(super) len: u32,
    pub(super) seqno: u64,
    /// Of a state: which of its epoch's.
    pub(super) cas: u64,
    pub(super) epoch: u32,
    /// `None` for a vBucket's state.
    pub(super) operation: Option<Operation>,
    /// Says that its key is gone.
    pub(super) tombstone: bool,
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

/// Whether an item says that its key is gone. A prepare of a deletion does not: it has yet to happen.
pub(super) fn is_tombstone(operation: Operation, deleted: bool) -> bool {
    match operation {
        Operation::Prepare => false,
        Operation::Abort => true,
        _ => deleted,
    }
}

/// Appends an item's record; its length. Nothing if the item is none that is stored.
pub(super) fn put_item(out: &mut Vec<u8>, epoch: u32, item: &Item) -> Option<u32> {
    let code = OPERATIONS
        .iter()
        .find(|(operation, _)| *operation == item.operation)?
        .1;
    let level = item
        .durability
        .and_then(|level| LEVELS.iter().find(|(of, _)| *of == level))
        .map_or(0, |(_, l)| *l);
    let revision = Revision::of(item.rev_seqno);
    let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    let bits = bit(item.deleted, DELETED)
        | bit(item.history, HISTORY)
        | bit(item.value.is_some(), HAS_VALUE)
        | bit(matches!(revision, Revision::Short(_)), SHORT_REVISION)
        | bit(matches!(revision, Revision::Long(_)), LONG_REVISION)
        | bit(item.flags != 0, HAS_FLAGS)
        | bit(item.expiry != 0, HAS_EXPIRY)
        | bit(item.prepare_seqno != Seqno::ZERO, HAS_PREPARE);
    let key = item.key.encoded();
    let start = begin(
        out,
        item.seqno.0,
        item.cas.0,
        epoch,
        key.len(),
        [level << 4 | code, bits],
    );
    out.push(item.datatype.0);
    match revision {
        Revision::Usual => {}
        Revision::Short(revision) => out.extend_from_slice(&revision.to_be_bytes()),
        Revision::Long(revision) => out.extend_from_slice(&revision.to_be_bytes()),
    }
    if item.flags != 0 {
        out.extend_from_slice(&item.flags.to_be_bytes());
    }
    if item.expiry != 0 {
        out.extend_from_slice(&item.expiry.to_be_bytes());
    }
    if item.prepare_seqno != Seqno::ZERO {
        out.extend_from_slice(&item.prepare_seqno.0.to_be_bytes());
    }
    out.extend_from_slice(key);
    out.extend_from_slice(item.value.as_deref().unwrap_or_default());
    Some(end(out, start))
}

/// Appends the record of a vBucket's state; its length.
pub(super) fn put_state(
    out: &mut Vec<u8>,
    epoch: u32,
    high: Seqno,
    revision: u64,
    state: &[u8],
) -> u32 {
    let start = begin(out, high.0, revision, epoch, 0, [STATE, HAS_VALUE]);
    out.push(0);
    out.extend_from_slice(state);
    end(out, start)
}

fn begin(
    out: &mut Vec<u8>,
    seqno: u64,
    cas: u64,
    epoch: u32,
    key_bytes: usize,
    codes: [u8; 2],
) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&seqno.to_be_bytes());
    out.extend_from_slice(&cas.to_be_bytes());
    out.extend_from_slice(&epoch.to_be_bytes());
    // Longer keys are refused before anything is written.
    out.extend_from_slice(&(key_bytes as u16).to_be_bytes());
    out.extend_from_slice(&codes);
    start
}

fn end(out: &mut [u8], start: usize) -> u32 {
    let len = (out.len() - start) as u32;
    if let Some(place) = out.get_mut(start + 4..start + 8) {
        place.copy_from_slice(&len.to_be_bytes());
    }
    let crc = out.get(start + 4..).map_or(0, crc32c::crc32c);
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&crc.to_be_bytes());
    }
    len
}

/// The record at the start of `bytes`, if it is whole and sound.
pub(super) fn peek(bytes: &[u8]) -> Option<Peek<'_>> {
    let record = record(bytes)?;
    if crc32c::crc32c(record.get(4..)?) != u32_at(record, 0)? {
        return None;
    }
    parse(record)
}

/// As [`peek`], where the checksum has been compared, or that of all around it.
pub(super) fn peek_sound(bytes: &[u8]) -> Option<Peek<'_>> {
    parse(record(bytes)?)
}

#[inline]
fn record(bytes: &[u8]) -> Option<&[u8]> {
    let len = u32_at(bytes, 4)? as usize;
    bytes
        .get(..len)
        .filter(|_| (FIXED_BYTES..=RECORD_BYTES_MAX).contains(&len))
}

/// What a record says, its checksum apart.
#[inline]
fn parse(record: &[u8]) -> Option<Peek<'_>> {
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
    Some(Peek {
        len: record.len() as u32,
        seqno: u64_at(fixed, 8)?,
        cas: u64_at(fixed, 16)?,
        epoch: u32_at(fixed, 24)?,
        operation,
        tombstone: operation.is_some_and(|operation| is_tombstone(operation, bits & DELETED != 0)),
        key,
        value,
    })
}

/// The lowest and the highest epoch of records that were put one after the other; zeros if there are none.
pub(super) fn epochs(mut records: &[u8]) -> (u32, u32) {
    let (mut lowest, mut highest) = (u32::MAX, 0);
    while let (Some(len), Some(epoch)) = (u32_at(records, 4), u32_at(records, 24)) {
        lowest = lowest.min(epoch);
        highest = highest.max(epoch);
        records = records.get(len.max(8) as usize..).unwrap_or_default();
    }
    (lowest.min(highest), highest)
}

/// The item of the record at the start of `bytes`, sharing its value with them; `None` if there is no sound one.
pub(super) fn item(bytes: &Bytes) -> Option<Item> {
    show(bytes, &peek(bytes)?)?.to_item_with(|part| bytes.slice_ref(part))
}

/// The item of a record that was found sound already, as it lies there.
#[inline]
pub(super) fn shown(bytes: &[u8]) -> Option<ItemRef<'_>> {
    let record = record(bytes)?;
    show(record, &parse(record)?)
}

#[inline]
fn show<'a>(bytes: &[u8], peek: &Peek<'a>) -> Option<ItemRef<'a>> {
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
        key: peek.key,
        operation: peek.operation?,
        seqno: Seqno(peek.seqno),
        cas: Cas(peek.cas),
        rev_seqno: match (short, long) {
            (_, Some(at)) => u64_at(bytes, at)?,
            (Some(at), None) => u16_at(bytes, at)?.into(),
            (None, None) => USUAL_REVISION,
        },
        flags: flags.map_or(Some(0), |at| u32_at(bytes, at))?,
        expiry: expiry.map_or(Some(0), |at| u32_at(bytes, at))?,
        datatype: Datatype(datatype),
        deleted: bits & DELETED != 0,
        history: bits & HISTORY != 0,
        durability: match code >> 4 {
            0 => None,
            level => LEVELS
                .iter()
                .find(|(_, known)| *known == level)
                .map(|(level, _)| *level),
        },
        prepare_seqno: Seqno(prepare.map_or(Some(0), |at| u64_at(bytes, at))?),
        value: (bits & HAS_VALUE != 0).then_some(peek.value),
    })
}

/// A revision, as it is written.
#[derive(Clone, Copy)]
enum Revision {
    Usual,
    Short(u16),
    Long(u64),
}

impl Revision {
    fn of(revision: u64) -> Self {
        match u16::try_from(revision) {
            Ok(_) if revision == USUAL_REVISION => Self::Usual,
            Ok(short) => Self::Short(short),
            Err(_) => Self::Long(revision),
        }
    }
}

#[inline]
fn optional_bytes(bits: u8) -> usize {
    if bits & OPTIONAL == 0 {
        return 0;
    }
    let width = |bit: u8, width: usize| if bits & bit != 0 { width } else { 0 };
    width(SHORT_REVISION, 2)
        + width(LONG_REVISION, 8)
        + width(HAS_FLAGS, 4)
        + width(HAS_EXPIRY, 4)
        + width(HAS_PREPARE, 8)
}

#[inline]
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[inline]
fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests;
