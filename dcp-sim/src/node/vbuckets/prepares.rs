//! Open prepares of a replica, from which its commits take their values.
//!
//! # Invariants
//!
//! - A key has at most one open prepare, and only until the next item of the committed name space.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Item, Key, Namespace, Operation, Seqno, VBucketError, Vbid};

#[derive(Debug, Default)]
pub(in crate::node) struct Prepares(BTreeMap<Key, Item>);

impl Prepares {
    /// Returns the item to queue: a commit with the content of its prepare, any other item
    /// unchanged. `high_completed` is the seqno up to which durable writes have ended.
    ///
    /// # Errors
    /// [`VBucketError::CompletionOutOfOrder`] if the prepare is missing.
    pub(in crate::node) fn complete(
        &self,
        vb: Vbid,
        item: Item,
        high_completed: Seqno,
    ) -> Result<Item, VBucketError> {
        if !matches!(item.operation, Operation::Commit | Operation::Abort) {
            return Ok(item);
        }
        let Item {
            seqno,
            prepare_seqno,
            operation,
            ..
        } = item;
        let prepare = self
            .0
            .get(&item.key)
            .filter(|prepare| prepare.seqno == prepare_seqno);
        match (prepare, operation) {
            (Some(prepare), Operation::Commit) => Ok(Item {
                operation,
                seqno,
                prepare_seqno,
                durability: None,
                history: item.history,
                ..prepare.clone()
            }),
            // In a snapshot from disk an abort may remain without its prepare.
            (_, Operation::Abort) => Ok(Item {
                deleted: true,
                ..item
            }),
            _ => Err(VBucketError::CompletionOutOfOrder {
                vb,
                seqno,
                prepare_seqno,
                high_completed,
            }),
        }
    }

    /// Records an item that was queued.
    pub(in crate::node) fn record(&mut self, item: &Item) {
        match (item.operation, item.operation.namespace()) {
            (Operation::Prepare, _) => {
                self.0.insert(item.key.clone(), item.clone());
            }
            (_, Some(Namespace::Committed | Namespace::Prepared)) => {
                self.0.remove(&item.key);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lowtide_checkpoint::DurabilityLevel;

    use super::*;

    fn prepare(seqno: u64) -> Item {
        Item {
            seqno: Seqno(seqno),
            rev_seqno: 4,
            flags: 7,
            durability: Some(DurabilityLevel::Majority),
            value: Some(Bytes::from_static(b"v")),
            ..Item::new(Operation::Prepare, Key::new(b"k"))
        }
    }

    fn end(operation: Operation, seqno: u64, prepare_seqno: u64) -> Item {
        let prepare_seqno = Seqno(prepare_seqno);
        Item {
            seqno: Seqno(seqno),
            prepare_seqno,
            ..Item::new(operation, Key::new(b"k"))
        }
    }

    #[test]
    fn commit_takes_the_content_of_its_prepare() {
        let mut prepares = Prepares::default();
        prepares.record(&prepare(3));
        let commit = prepares
            .complete(Vbid(0), end(Operation::Commit, 5, 3), Seqno::ZERO)
            .expect("it is there");
        assert_eq!(
            (commit.operation, commit.seqno, commit.rev_seqno),
            (Operation::Commit, Seqno(5), 4)
        );
        assert_eq!(
            (commit.flags, commit.value.as_deref(), commit.durability),
            (7, Some(&b"v"[..]), None)
        );
        prepares.record(&commit);
        assert!(
            prepares
                .complete(Vbid(0), end(Operation::Commit, 6, 3), Seqno::ZERO)
                .is_err(),
            "it has ended"
        );
    }

    #[test]
    fn commit_of_another_prepare_is_refused() {
        let mut prepares = Prepares::default();
        prepares.record(&prepare(3));
        assert!(
            prepares
                .complete(Vbid(0), end(Operation::Commit, 5, 2), Seqno::ZERO)
                .is_err()
        );
        assert!(
            prepares
                .complete(Vbid(0), end(Operation::Abort, 5, 2), Seqno::ZERO)
                .is_ok()
        );
    }

    #[test]
    fn mutation_from_disk_ends_the_prepare() {
        let mut prepares = Prepares::default();
        prepares.record(&prepare(3));
        prepares.record(&Item {
            seqno: Seqno(5),
            ..Item::mutation(Key::new(b"k"), Bytes::new())
        });
        assert!(
            prepares
                .complete(Vbid(0), end(Operation::Commit, 6, 3), Seqno::ZERO)
                .is_err()
        );
    }
}
