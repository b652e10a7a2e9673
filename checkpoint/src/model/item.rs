//! The one record type of all crates: an operation on a key, with all data that readers need.
//!
//! An item is complete before it is queued, except for its seqno, which the manager of an active
//! assigns. It never changes afterwards.

use bytes::Bytes;

use super::ids::{Cas, Seqno};
use super::key::Key;
use super::state::State;

/// The kind of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Sets a document.
    Mutation,
    /// Removes a document on request.
    Deletion,
    /// Removes a document that has expired.
    Expiration,
    /// Begins a durable write, which is not visible until its commit.
    Prepare,
    /// Commits a durable write: the prepared value becomes the document.
    Commit,
    /// Aborts a durable write: the prepared value is dropped.
    Abort,
    /// Changes the collections, in a name space of its own.
    SystemEvent,
    /// Changes the vBucket's state. Uses up no seqno.
    SetVBucketState(State),
}

/// The name space of a key. Items with one key in one name space are revisions of the same
/// document. Every operation with a key is in one of these three, so a `match` may be exhaustive.
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
    /// Returns the name space of the item's key. A vBucket state has no key and no name space.
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

    /// Returns whether a reader without durable writes sees the item.
    #[must_use]
    pub const fn is_visible(self) -> bool {
        !matches!(self, Self::Prepare | Self::Abort | Self::SetVBucketState(_))
    }

    /// Returns whether the item is part of a durable write. Such an item neither replaces nor is
    /// replaced.
    #[must_use]
    pub const fn is_sync_write(self) -> bool {
        matches!(self, Self::Prepare | Self::Commit | Self::Abort)
    }

    /// Returns the name that scenario files and dumps print.
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

/// The replication that a durable write must reach before it is committed. The protocol has these
/// three levels, so a `match` may be exhaustive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum DurabilityLevel {
    /// In memory on a majority of the copies.
    Majority = 1,
    /// In memory on a majority of the copies, and on the active's disk.
    MajorityAndPersistOnMaster = 2,
    /// On disk on a majority of the copies.
    PersistToMajority = 3,
}

/// The format of a value's bytes: a set of bits, as in the protocol and on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Datatype(pub u8);

impl Datatype {
    /// Unknown bytes.
    pub const RAW: Self = Self(0);
    /// Valid JSON.
    pub const JSON: Self = Self(1);
    /// Snappy-compressed bytes.
    pub const SNAPPY: Self = Self(2);
    /// Extended attributes at the start.
    pub const XATTR: Self = Self(4);

    /// Returns whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns these bits and those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns these bits without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// One operation of a vBucket. Cloning shares a long key and the value.
///
/// It is plain data, open to literals that end in `..Item::new(operation, key)`. A later version may
/// add fields.
///
/// `K` and `V` are how it holds its key and its value: an `Item` owns them, an [`ItemRef`] borrows
/// them. So every field is declared once.
///
/// [`ItemRef`]: crate::ItemRef
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<K = Key, V = Bytes> {
    /// Key, with its collection prefix.
    pub key: K,
    /// Kind of operation.
    pub operation: Operation,
    /// Place in the vBucket's order. An active assigns it when the item is queued.
    pub seqno: Seqno,
    /// CAS of the revision.
    pub cas: Cas,
    /// Number of revisions of the document, this one included.
    pub rev_seqno: u64,
    /// The client's own 32 bits, in the byte order that the client sent.
    pub flags: u32,
    /// Expiry of a document or time of a deletion, in seconds since the epoch; 0 is never or
    /// unknown.
    pub expiry: u32,
    /// Format of the value.
    pub datatype: Datatype,
    /// Whether the document is gone after the operation: deletions, expirations, and prepares or
    /// commits of a deletion.
    pub deleted: bool,
    /// Whether every reader must see the item. Such an item neither replaces nor is replaced.
    pub history: bool,
    /// Durability level of a prepare.
    pub durability: Option<DurabilityLevel>,
    /// Seqno of the prepare that a commit or abort completes; otherwise 0.
    pub prepare_seqno: Seqno,
    /// Value. `None` means no body, which differs from an empty one.
    pub value: Option<V>,
}

impl<K, V> Item<K, V> {
    /// Returns the item with another key and value, and every other field as here.
    #[inline]
    pub(super) fn with_parts<L, W>(&self, key: L, value: Option<W>) -> Item<L, W> {
        Item {
            key,
            operation: self.operation,
            seqno: self.seqno,
            cas: self.cas,
            rev_seqno: self.rev_seqno,
            flags: self.flags,
            expiry: self.expiry,
            datatype: self.datatype,
            deleted: self.deleted,
            history: self.history,
            durability: self.durability,
            prepare_seqno: self.prepare_seqno,
            value,
        }
    }
}

impl Item {
    /// Creates an operation on `key` without value, with every other field at its neutral value.
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

    /// Creates a mutation of `key` to `value`.
    #[must_use]
    pub fn mutation(key: Key, value: Bytes) -> Self {
        Self {
            value: Some(value),
            ..Self::new(Operation::Mutation, key)
        }
    }

    /// Creates a deletion of `key`.
    #[must_use]
    pub fn deletion(key: Key) -> Self {
        Self::new(Operation::Deletion, key)
    }

    /// Returns the bytes of key and value, which the item keeps alive.
    #[inline]
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.key.encoded().len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}
