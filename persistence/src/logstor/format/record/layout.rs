//! The layout of a record: sizes, limits, bits and codes.

use lowtide_checkpoint::{DurabilityLevel, Operation};

/// Bytes of every record before its optional fields.
pub(in crate::logstor) const FIXED_BYTES: usize = 33;
/// Length of the longest key.
pub(in crate::logstor) const KEY_BYTES_MAX: usize = 4096;
/// Length of the longest value.
pub(in crate::logstor) const VALUE_BYTES_MAX: usize = 20 << 20;
/// The highest seqno: the next number stands for no end.
pub(in crate::logstor) const SEQNO_MAX: u64 = u64::MAX - 1;
/// Length of the longest record: with it no length overflows.
pub(super) const RECORD_BYTES_MAX: usize = FIXED_BYTES + 26 + KEY_BYTES_MAX + VALUE_BYTES_MAX;

pub(super) const DELETED: u8 = 1;
pub(super) const HISTORY: u8 = 2;
pub(super) const HAS_VALUE: u8 = 4;
pub(super) const LONG_REVISION: u8 = 8;
pub(super) const HAS_FLAGS: u8 = 16;
pub(super) const HAS_EXPIRY: u8 = 32;
pub(super) const HAS_PREPARE: u8 = 64;
pub(super) const SHORT_REVISION: u8 = 128;
/// Bits of the optional fields.
const OPTIONAL: u8 = LONG_REVISION | HAS_FLAGS | HAS_EXPIRY | HAS_PREPARE | SHORT_REVISION;
/// The revision that is not written: most items have it.
pub(super) const DEFAULT_REVISION: u64 = 1;

/// Code of a vBucket's state.
pub(super) const STATE: u8 = 15;

pub(super) const OPERATIONS: [(Operation, u8); 7] = [
    (Operation::Mutation, 1),
    (Operation::Deletion, 2),
    (Operation::Expiration, 3),
    (Operation::Prepare, 4),
    (Operation::Commit, 5),
    (Operation::Abort, 6),
    (Operation::SystemEvent, 7),
];
pub(super) const LEVELS: [DurabilityLevel; 3] = [
    DurabilityLevel::Majority,
    DurabilityLevel::MajorityAndPersistOnMaster,
    DurabilityLevel::PersistToMajority,
];

/// Returns the code of a durability level.
pub(super) const fn level_code(level: DurabilityLevel) -> u8 {
    match level {
        DurabilityLevel::Majority => 1,
        DurabilityLevel::MajorityAndPersistOnMaster => 2,
        DurabilityLevel::PersistToMajority => 3,
    }
}

/// Returns the durability level with a code. No item is read with another one.
pub(super) fn level_of(code: u8) -> Option<DurabilityLevel> {
    LEVELS.into_iter().find(|level| level_code(*level) == code)
}

/// Returns whether an item says that its key is gone. A prepare of a deletion does not: it has yet
/// to happen.
pub(in crate::logstor) fn is_tombstone(operation: Operation, deleted: bool) -> bool {
    match operation {
        Operation::Prepare => false,
        Operation::Abort => true,
        _ => deleted,
    }
}

/// Returns the bytes of the optional fields that are present.
#[inline]
pub(super) fn optional_bytes(bits: u8) -> usize {
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
