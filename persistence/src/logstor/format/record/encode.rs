//! Encoding of records.

use lowtide_checkpoint::internal::{Invariant, checked_invariant};
use lowtide_checkpoint::{Item, Seqno};

use super::super::integers::to_u32;
use super::layout::{
    DEFAULT_REVISION, DELETED, HAS_EXPIRY, HAS_FLAGS, HAS_PREPARE, HAS_VALUE, HISTORY,
    KEY_BYTES_MAX, LONG_REVISION, OPERATIONS, SHORT_REVISION, STATE, level_code,
};

/// Appends an item's record, and returns its length. `None` if items of its operation are not
/// stored.
pub(in crate::logstor) fn encode_item(out: &mut Vec<u8>, epoch: u32, item: &Item) -> Option<u32> {
    let code = OPERATIONS
        .iter()
        .find(|(operation, _)| *operation == item.operation)?
        .1;
    let level = item.durability.map_or(0, level_code);
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
        Revision::Default => {}
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

/// Appends the record of a vBucket's state, and returns its length.
pub(in crate::logstor) fn encode_state_record(
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
    checked_invariant!(
        key_bytes <= KEY_BYTES_MAX,
        "L13",
        "a longer key was refused before"
    );
    out.extend_from_slice(&(key_bytes as u16).to_be_bytes());
    out.extend_from_slice(&codes);
    start
}

fn end(out: &mut [u8], start: usize) -> u32 {
    let len = to_u32(out.len() - start);
    let record = out.get_mut(start..);
    let checked = record.and_then(|record| record.split_first_chunk_mut::<4>());
    // A record without its checksum is rejected by every reader.
    let checked = checked.expected("L3", "a record has the place of its checksum");
    if let Some((crc, behind)) = checked {
        behind
            .iter_mut()
            .zip(len.to_be_bytes())
            .for_each(|(to, from)| *to = from);
        *crc = crc32c::crc32c(behind).to_be_bytes();
    }
    len
}

/// Encoded form of a revision.
#[derive(Clone, Copy)]
enum Revision {
    Default,
    Short(u16),
    Long(u64),
}

impl Revision {
    fn of(revision: u64) -> Self {
        match u16::try_from(revision) {
            Ok(_) if revision == DEFAULT_REVISION => Self::Default,
            Ok(short) => Self::Short(short),
            Err(_) => Self::Long(revision),
        }
    }
}
