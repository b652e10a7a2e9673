//! Ends of durable writes on a replica: a commit takes its value from its prepare.

use lowtide_checkpoint::{Item, Operation, Seqno, VBucketError, Vbid};
use lowtide_persistence::Documents;

/// Returns the item to queue: a commit with the content of its prepare, any other item unchanged.
/// `high_completed` is the seqno up to which durable writes have ended.
///
/// # Errors
/// [`VBucketError::CompletionOutOfOrder`] if the prepare is missing.
pub(super) fn complete(
    vb: Vbid,
    item: Item,
    documents: &Documents,
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
    let prepare = documents
        .prepare_of(&item.key)
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lowtide_checkpoint::{DurabilityLevel, Key};
    use lowtide_persistence::CacheBudget;

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

    fn ended(documents: &Documents, item: Item) -> Result<Item, VBucketError> {
        complete(Vbid(0), item, documents, Seqno::ZERO)
    }

    #[test]
    fn commit_takes_the_content_of_its_prepare() {
        let mut documents = Documents::new(CacheBudget::new(1 << 20), Seqno::ZERO);
        documents.put(prepare(3));
        let commit = ended(&documents, end(Operation::Commit, 5, 3)).expect("it is there");
        assert_eq!(
            (commit.operation, commit.seqno, commit.rev_seqno),
            (Operation::Commit, Seqno(5), 4)
        );
        assert_eq!(
            (commit.flags, commit.value.as_deref(), commit.durability),
            (7, Some(&b"v"[..]), None)
        );
        documents.put(commit);
        assert!(
            ended(&documents, end(Operation::Commit, 6, 3)).is_err(),
            "it has ended"
        );
    }

    #[test]
    fn commit_of_another_prepare_is_refused() {
        let mut documents = Documents::new(CacheBudget::new(1 << 20), Seqno::ZERO);
        documents.put(prepare(3));
        assert!(ended(&documents, end(Operation::Commit, 5, 2)).is_err());
        assert!(ended(&documents, end(Operation::Abort, 5, 2)).is_ok());
    }

    #[test]
    fn mutation_from_disk_ends_the_prepare() {
        let mut documents = Documents::new(CacheBudget::new(1 << 20), Seqno::ZERO);
        documents.put(prepare(3));
        documents.put(Item {
            seqno: Seqno(5),
            ..Item::mutation(Key::new(b"k"), Bytes::new())
        });
        assert!(ended(&documents, end(Operation::Commit, 6, 3)).is_err());
    }
}
