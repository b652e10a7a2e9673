//! A record of the log: an item, or a vBucket's state.
//!
//! ```text
//! CRC-32C u32 of what follows | bytes u32 | seqno u64 | CAS u64 | epoch u32 | key bytes u16
//! operation u8 | bits u8 | datatype u8
//! [revision u16 or u64] [flags u32] [expiry u32] [prepare's seqno u64] | key | value
//! ```
//!
//! Records follow one another without a gap. The operation's upper half is the durability level.
//! Fields in brackets are present if their bit is set: if they differ from the default. The default
//! revision is 1. A vBucket's state is a record without a key; its CAS counts the states of its
//! epoch, its seqno is the high seqno.
//!
//! # Invariants
//!
//! An item is decoded with every field as it was encoded, and a record with a changed bit is
//! rejected (L3).

mod decode;
mod encode;
mod layout;

#[cfg(test)]
mod tests;

pub(in crate::logstor) use self::decode::{
    RecordView, decode_item, decode_item_ref, epoch_of, epoch_range, record_bytes,
};
pub(in crate::logstor) use self::encode::{encode_item, encode_state_record};
pub(in crate::logstor) use self::layout::{
    FIXED_BYTES, KEY_BYTES_MAX, SEQNO_MAX, VALUE_BYTES_MAX, is_tombstone,
};
