//! One item of a message.

use bytes::Bytes;
use lowtide_checkpoint::internal::violated;
use lowtide_checkpoint::{Cas, Datatype, DurabilityLevel, Item, Key, Operation, Seqno};

use super::error::DeliveryError;
use super::fields::{Fields, flag, put_u64};
use crate::numbers::to_u64;

const DELETED: u8 = 1;
const HISTORY: u8 = 2;
const VALUE: u8 = 4;

/// The operations by their codes, from 1 on. A vBucket state is an event of its own.
const OPERATIONS: [Operation; 7] = [
    Operation::Mutation,
    Operation::Deletion,
    Operation::Expiration,
    Operation::Prepare,
    Operation::Commit,
    Operation::Abort,
    Operation::SystemEvent,
];

/// Durability levels by their codes, 0 for none.
const LEVELS: [DurabilityLevel; 3] = [
    DurabilityLevel::Majority,
    DurabilityLevel::MajorityAndPersistOnMaster,
    DurabilityLevel::PersistToMajority,
];

/// Bytes of an item without its key and its value.
const HEAD_BYTES: usize = 60;

/// Returns the bytes of an item.
pub(super) fn encoded_bytes(item: &Item) -> usize {
    HEAD_BYTES.saturating_add(item.payload_bytes())
}

pub(super) fn encode(item: &Item, out: &mut Vec<u8>) {
    let Some(code) = OPERATIONS.iter().position(|&known| known == item.operation) else {
        // Its reader misses nothing: states are events.
        let _violation = violated("S35", "a follower's items have no vBucket state");
        return;
    };
    let level = item.durability.map_or(0, |level| level as u8);
    let flags = flag(item.deleted, DELETED)
        | flag(item.history, HISTORY)
        | flag(item.value.is_some(), VALUE);
    let key = item.key.encoded();
    let value = item.value.as_deref().unwrap_or_default();
    out.extend_from_slice(&[code as u8 + 1, flags, item.datatype.0, level]);
    put_u64(out, item.seqno.0);
    put_u64(out, item.cas.0);
    put_u64(out, item.rev_seqno);
    put_u64(out, item.prepare_seqno.0);
    out.extend_from_slice(&item.flags.to_be_bytes());
    out.extend_from_slice(&item.expiry.to_be_bytes());
    put_u64(out, to_u64(key.len()));
    put_u64(out, to_u64(value.len()));
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Item, DeliveryError> {
    let operation = fields.code(&OPERATIONS, "the operation")?;
    let flags = fields.flags(DELETED | HISTORY | VALUE, "the flag byte of an item")?;
    let datatype = Datatype(fields.u8("the datatype")?);
    let durability = fields.code_or_none(&LEVELS, "the durability level")?;
    let seqno = Seqno(fields.u64("the seqno")?);
    let cas = Cas(fields.u64("the CAS")?);
    let rev_seqno = fields.u64("the revision")?;
    let prepare_seqno = Seqno(fields.u64("the prepare's seqno")?);
    let user_flags = fields.u32("the client's flags")?;
    let expiry = fields.u32("the expiry")?;
    let key_bytes = fields.u64("the key's length")?;
    let value_bytes = fields.u64("the value's length")?;
    let key = fields.bytes(key_bytes, "the key")?;
    let key = Key::copy_from_encoded(key).ok_or(DeliveryError::Key { seqno })?;
    let has_value = flags & VALUE != 0;
    if !has_value && value_bytes > 0 {
        let bytes = value_bytes;
        return Err(DeliveryError::ValueOfNone { seqno, bytes });
    }
    // Copied: a slice would keep the whole message in memory for as long as one value.
    let value = Bytes::copy_from_slice(fields.bytes(value_bytes, "the value")?);
    Ok(Item {
        seqno,
        cas,
        rev_seqno,
        flags: user_flags,
        expiry,
        datatype,
        deleted: flags & DELETED != 0,
        history: flags & HISTORY != 0,
        durability,
        prepare_seqno,
        value: has_value.then_some(value),
        ..Item::new(operation, key)
    })
}
