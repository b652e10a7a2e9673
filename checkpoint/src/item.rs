//! The one record type of all crates: an operation on a key, with everything its readers need to apply it.
//!
//! An item is complete before it is queued, its seqno apart: the manager gives it that. It never changes afterwards.

use bytes::Bytes;

use crate::{Cas, Key, Seqno, State};

/// What an item does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Set a document.
    Mutation,
    /// Remove a document on request.
    Deletion,
    /// Remove a document because its time has come.
    Expiration,
    /// First half of a durable write: not visible until its commit.
    Prepare,
    /// Second half: the prepared value becomes the document.
    Commit,
    /// The prepared write did not happen.
    Abort,
    /// A change of the collections, in its own name space.
    SystemEvent,
    /// The vBucket's state changed; uses up no seqno.
    SetVBucketState(State),
}

/// Two revisions with one key in one name space are revisions of the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// Mutations, deletions, expirations, commits.
    Committed,
    /// Prepares and aborts.
    Prepared,
    /// System events.
    System,
}

impl Operation {
    /// The name space its key lives in; vBucket states have no key and none.
    #[must_use]
    pub const fn namespace(self) -> Option<Namespace> {
        match self {
            Self::Mutation | Self::Deletion | Self::Expiration | Self::Commit => {
                Some(Namespace::Committed)
            }
            Self::Prepare | Self::Abort => Some(Namespace::Prepared),
            Self::SystemEvent => Some(Namespace::System),
            Self::SetVBucketState(_) => None,
        }
    }

    /// Whether a reader that knows nothing of durable writes sees it.
    #[must_use]
    pub const fn is_visible(self) -> bool {
        !matches!(self, Self::Prepare | Self::Abort | Self::SetVBucketState(_))
    }

    /// Whether it is part of a durable write; such an item neither replaces nor is replaced.
    #[must_use]
    pub const fn is_sync_write(self) -> bool {
        matches!(self, Self::Prepare | Self::Commit | Self::Abort)
    }

    /// The field's name for it, as scenario files and dumps print it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mutation => "mutation",
            Self::Deletion => "deletion",
            Self::Expiration => "expiration",
            Self::Prepare => "prepare",
            Self::Commit => "commit",
            Self::Abort => "abort",
            Self::SystemEvent => "system-event",
            Self::SetVBucketState(_) => "vbucket-state",
        }
    }
}

/// How far a durable write must have come before it is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum DurabilityLevel {
    /// In memory on a majority of the copies.
    Majority = 1,
    /// That, and on the active's disk.
    MajorityAndPersistOnMaster = 2,
    /// On disk on a majority.
    PersistToMajority = 3,
}

/// What a value's bytes are: a set of bits, as in the protocol and on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Datatype(pub u8);

impl Datatype {
    /// Nothing known.
    pub const RAW: Self = Self(0);
    /// Valid JSON.
    pub const JSON: Self = Self(1);
    /// Snappy-compressed.
    pub const SNAPPY: Self = Self(2);
    /// Begins with extended attributes.
    pub const XATTR: Self = Self(4);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits and those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These bits without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// One operation of a vBucket. Cloning shares key and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The key, with its collection prefix.
    pub key: Key,
    /// What is done.
    pub operation: Operation,
    /// Its place in the vBucket's order. Assigned when queued on an active vBucket.
    pub seqno: Seqno,
    /// The revision's CAS.
    pub cas: Cas,
    /// How many revisions the document has had, this one included.
    pub rev_seqno: u64,
    /// The client's own 32 bits, in the byte order it sent them.
    pub flags: u32,
    /// Expiry of a document or time of a deletion, in seconds since the epoch; 0 is never or unknown.
    pub expiry: u32,
    /// What the value's bytes are.
    pub datatype: Datatype,
    /// Whether the document is gone after it: deletions, expirations, and prepares or commits of a deletion.
    pub deleted: bool,
    /// Must be seen by every reader: neither replaces nor is replaced.
    pub history: bool,
    /// Of a prepare: how far it must come.
    pub durability: Option<DurabilityLevel>,
    /// Of a commit or abort: the seqno of its prepare; otherwise 0.
    pub prepare_seqno: Seqno,
    /// The value; `None` where there is no body, which is not the same as an empty one.
    pub value: Option<Bytes>,
}

impl Item {
    /// An operation on `key` without value, with every other field at its neutral value.
    #[must_use]
    pub fn new(operation: Operation, key: Key) -> Self {
        Self {
            key,
            operation,
            seqno: Seqno::ZERO,
            cas: Cas(0),
            rev_seqno: 1,
            flags: 0,
            expiry: 0,
            datatype: Datatype::RAW,
            deleted: matches!(operation, Operation::Deletion | Operation::Expiration),
            history: false,
            durability: None,
            prepare_seqno: Seqno::ZERO,
            value: None,
        }
    }

    /// A mutation of `key` to `value`.
    #[must_use]
    pub fn mutation(key: Key, value: Bytes) -> Self {
        Self {
            value: Some(value),
            ..Self::new(Operation::Mutation, key)
        }
    }

    /// A deletion of `key`.
    #[must_use]
    pub fn deletion(key: Key) -> Self {
        Self::new(Operation::Deletion, key)
    }

    /// Bytes of its key and value, which it keeps alive.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.key.encoded().len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}
