//! The limits of items: an item beyond one is refused when it is written or received.
//!
//! An item that its engine could not store would stop its vBucket's flushing for good.
//!
//! # Invariants
//! - Every item that a manager has accepted is within its limits. An engine that stores everything
//!   within them never refuses an item of a flush (C30).

use crate::error::CheckpointError;
use crate::internal::number::to_u64;
use crate::model::{Item, Namespace, Seqno};

/// Largest number of 48 bits.
const U48_MAX: u64 = (1 << 48) - 1;

/// The largest item that a manager accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ItemLimits {
    /// Bytes of a key with its collection prefix, in every name space.
    pub key_bytes_max: usize,
    /// Bytes of a value.
    pub value_bytes_max: usize,
    /// Highest seqno, also for the prepare that an item names.
    pub seqno_max: Seqno,
    /// Highest revision.
    pub rev_seqno_max: u64,
    /// Collections from 1 up to this one cannot have documents; 0 if all can.
    pub reserved_collection_max: u32,
}

impl ItemLimits {
    /// The limits that every engine of this workspace supports.
    pub const DEFAULT: Self = Self {
        key_bytes_max: 4093,
        value_bytes_max: 20 << 20,
        seqno_max: Seqno(U48_MAX),
        rev_seqno_max: U48_MAX,
        reserved_collection_max: 2,
    };

    /// The limits of memory alone, for a manager whose items are not persisted. The highest number
    /// is not a seqno: it means "no end".
    pub const NONE: Self = Self {
        key_bytes_max: usize::MAX,
        value_bytes_max: usize::MAX,
        seqno_max: Seqno(u64::MAX - 1),
        rev_seqno_max: u64::MAX,
        reserved_collection_max: 0,
    };

    /// Sets the bytes of a key with its collection prefix.
    #[must_use]
    pub const fn with_key_bytes_max(mut self, key_bytes_max: usize) -> Self {
        self.key_bytes_max = key_bytes_max;
        self
    }

    /// Sets the bytes of a value.
    #[must_use]
    pub const fn with_value_bytes_max(mut self, value_bytes_max: usize) -> Self {
        self.value_bytes_max = value_bytes_max;
        self
    }

    /// Sets the highest seqno.
    #[must_use]
    pub const fn with_seqno_max(mut self, seqno_max: Seqno) -> Self {
        self.seqno_max = seqno_max;
        self
    }

    /// Sets the highest revision.
    #[must_use]
    pub const fn with_rev_seqno_max(mut self, rev_seqno_max: u64) -> Self {
        self.rev_seqno_max = rev_seqno_max;
        self
    }

    /// Sets the last collection that cannot have documents.
    #[must_use]
    pub const fn with_reserved_collection_max(mut self, reserved_collection_max: u32) -> Self {
        self.reserved_collection_max = reserved_collection_max;
        self
    }

    /// Returns whether `other` accepts every item that these limits accept.
    #[must_use]
    pub const fn are_within(&self, other: &Self) -> bool {
        self.key_bytes_max <= other.key_bytes_max
            && self.value_bytes_max <= other.value_bytes_max
            && self.seqno_max.0 <= other.seqno_max.0
            && self.rev_seqno_max <= other.rev_seqno_max
            && self.reserved_collection_max >= other.reserved_collection_max
    }

    /// Checks an item that is to have that seqno. A vBucket state is not stored as an item, so it
    /// always passes.
    ///
    /// # Errors
    /// [`CheckpointError::TooLarge`] or [`CheckpointError::ReservedCollection`].
    pub fn check(&self, item: &Item, seqno: Seqno) -> Result<(), CheckpointError> {
        let Some(namespace) = item.operation.namespace() else {
            return Ok(());
        };
        let value_bytes = item.value.as_ref().map_or(0, bytes::Bytes::len);
        let sizes = [
            (
                "the key",
                to_u64(item.key.encoded().len()),
                to_u64(self.key_bytes_max),
            ),
            (
                "the value",
                to_u64(value_bytes),
                to_u64(self.value_bytes_max),
            ),
            ("the seqno", seqno.0, self.seqno_max.0),
            ("the revision", item.rev_seqno, self.rev_seqno_max),
            (
                "the prepare's seqno",
                item.prepare_seqno.0,
                self.seqno_max.0,
            ),
        ];
        for (what, size, limit) in sizes {
            if size > limit {
                return Err(CheckpointError::TooLarge { what, size, limit });
            }
        }
        let is_reserved =
            |collection: u32| (1..=self.reserved_collection_max).contains(&collection);
        if self.reserved_collection_max > 0 && namespace != Namespace::System {
            let collection = item.key.collection();
            if is_reserved(collection) {
                return Err(CheckpointError::ReservedCollection { collection });
            }
        }
        Ok(())
    }
}

impl Default for ItemLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_within_holds_for_narrower_limits_only() {
        let small = ItemLimits {
            key_bytes_max: 10,
            value_bytes_max: 20,
            seqno_max: Seqno(30),
            rev_seqno_max: 40,
            reserved_collection_max: 2,
        };
        assert!(ItemLimits::DEFAULT.are_within(&ItemLimits::NONE));
        assert!(!ItemLimits::NONE.are_within(&ItemLimits::DEFAULT));
        assert!(small.are_within(&ItemLimits::DEFAULT) && !ItemLimits::DEFAULT.are_within(&small));
    }

    #[test]
    fn each_setter_of_item_limits_sets_its_own_field() {
        assert_eq!(
            ItemLimits::DEFAULT
                .with_key_bytes_max(1)
                .with_value_bytes_max(2)
                .with_seqno_max(Seqno(3))
                .with_rev_seqno_max(4)
                .with_reserved_collection_max(5),
            ItemLimits {
                key_bytes_max: 1,
                value_bytes_max: 2,
                seqno_max: Seqno(3),
                rev_seqno_max: 4,
                reserved_collection_max: 5,
            }
        );
    }
}
