//! What an item may be, so that whatever persists its vBucket can store it: limits go in when a manager is made; an item that
//! passes one is refused when it is written or received.
//!
//! Always (C30): what a manager has accepted is within its limits. An engine that stores everything within them never refuses
//! an item that a flush brings, so that no item can stop a vBucket's flushing.

use crate::{CheckpointError, Item, Namespace, Seqno};

/// The largest number of 48 bits.
const U48_MAX: u64 = (1 << 48) - 1;

/// What an item may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemLimits {
    /// Bytes of a key with its collection's prefix, in every name space.
    pub key_bytes_max: usize,
    /// Bytes of a value.
    pub value_bytes_max: usize,
    /// The highest seqno, also of a prepare that an item names.
    pub seqno_max: Seqno,
    /// The highest revision.
    pub rev_seqno_max: u64,
    /// Collections from 1 up to this one can have no documents; 0 if all can.
    pub reserved_collection_max: u32,
}

impl ItemLimits {
    /// What every engine of this workspace stores.
    pub const DEFAULT: Self = Self {
        key_bytes_max: 4093,
        value_bytes_max: 20 << 20,
        seqno_max: Seqno(U48_MAX),
        rev_seqno_max: U48_MAX,
        reserved_collection_max: 2,
    };

    /// Whatever can be in memory: for a manager whose items nothing persists. A seqno more stands for no end.
    pub const NONE: Self = Self {
        key_bytes_max: usize::MAX,
        value_bytes_max: usize::MAX,
        seqno_max: Seqno(u64::MAX - 1),
        rev_seqno_max: u64::MAX,
        reserved_collection_max: 0,
    };

    /// Whether whatever these limits let through, `other` does, too.
    #[must_use]
    pub const fn are_within(&self, other: &Self) -> bool {
        self.key_bytes_max <= other.key_bytes_max
            && self.value_bytes_max <= other.value_bytes_max
            && self.seqno_max.0 <= other.seqno_max.0
            && self.rev_seqno_max <= other.rev_seqno_max
            && self.reserved_collection_max >= other.reserved_collection_max
    }

    /// Checks an item that is to have that seqno. A vBucket's state is no item that is stored.
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
                item.key.encoded().len() as u64,
                self.key_bytes_max as u64,
            ),
            ("the value", value_bytes as u64, self.value_bytes_max as u64),
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
    use crate::{
        CheckpointConfig, CheckpointManager, Key, Operation, Role, SnapshotMarker, SnapshotType,
    };
    use bytes::Bytes;

    fn key(bytes: usize) -> Key {
        Key::new(&vec![b'k'; bytes - 1])
    }

    const SMALL: ItemLimits = ItemLimits {
        key_bytes_max: 10,
        value_bytes_max: 20,
        seqno_max: Seqno(30),
        rev_seqno_max: 40,
        reserved_collection_max: 2,
    };

    /// One item for each limit that passes it by one.
    fn over() -> Vec<(&'static str, Item)> {
        let item = || Item::mutation(Key::new(b"k"), Bytes::new());
        vec![
            ("the key", Item::mutation(key(11), Bytes::new())),
            (
                "the value",
                Item::mutation(Key::new(b"k"), Bytes::from(vec![0; 21])),
            ),
            (
                "the revision",
                Item {
                    rev_seqno: 41,
                    ..item()
                },
            ),
            (
                "the prepare's seqno",
                Item {
                    prepare_seqno: Seqno(31),
                    ..Item::new(Operation::Abort, key(3))
                },
            ),
        ]
    }

    #[test]
    fn an_item_at_a_limit_is_taken_and_one_over_it_is_refused_on_every_role() {
        for role in [Role::Active, Role::Replica] {
            let config = CheckpointConfig {
                role,
                limits: SMALL,
                ..CheckpointConfig::default()
            };
            let manager = CheckpointManager::new(config, Seqno(28));
            let seqno = |n: u64| {
                if role == Role::Active {
                    Seqno::ZERO
                } else {
                    Seqno(n)
                }
            };
            if role == Role::Replica {
                manager
                    .snapshot(SnapshotMarker::new(
                        SnapshotType::Memory,
                        Seqno(29),
                        Seqno(99),
                    ))
                    .expect("it follows");
            }
            let before = manager.stats();
            for (what, item) in over() {
                let refused = manager
                    .queue(Item {
                        seqno: seqno(29),
                        ..item
                    })
                    .expect_err(what);
                assert!(
                    matches!(refused, CheckpointError::TooLarge { what: told, .. } if told == what),
                    "{refused}"
                );
            }
            let reserved = Item {
                seqno: seqno(29),
                ..Item::deletion(Key::in_collection(2, b"k"))
            };
            let refused = manager.queue(reserved).expect_err("reserved");
            assert_eq!(
                refused,
                CheckpointError::ReservedCollection { collection: 2 }
            );
            assert_eq!(manager.stats(), before, "what is refused changes nothing");
            let full = Item {
                rev_seqno: 40,
                ..Item::mutation(key(10), Bytes::from(vec![0; 20]))
            };
            for n in [29, 30] {
                manager
                    .queue(Item {
                        seqno: seqno(n),
                        ..full.clone()
                    })
                    .expect("at the limits");
            }
            let refused = manager
                .queue(Item {
                    seqno: seqno(31),
                    ..full
                })
                .expect_err("the seqno");
            assert_eq!(
                refused,
                CheckpointError::TooLarge {
                    what: "the seqno",
                    size: 31,
                    limit: 30
                }
            );
        }
    }

    #[test]
    fn no_limits_are_within_only_themselves() {
        assert!(ItemLimits::DEFAULT.are_within(&ItemLimits::NONE));
        assert!(!ItemLimits::NONE.are_within(&ItemLimits::DEFAULT));
        assert!(SMALL.are_within(&ItemLimits::DEFAULT) && !ItemLimits::DEFAULT.are_within(&SMALL));
    }
}
