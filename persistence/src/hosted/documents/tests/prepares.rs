//! Open prepares.

use super::*;

fn prepare(name: &str, seqno: u64) -> Item {
    Item {
        operation: Operation::Prepare,
        ..mutation(name, seqno)
    }
}

fn open(documents: &Documents, name: &str) -> Option<u64> {
    documents.prepare_of(&key(name)).map(|item| item.seqno.0)
}

/// Guards D2: an open prepare stays, even if it is persisted and there is no room.
#[test]
fn open_prepare_stays_until_its_durable_write_ends() {
    let mut documents = documents(0);
    documents.put(prepare("a", 1));
    documents.persisted(Seqno(1));
    documents.evict(100);
    assert_eq!(open(&documents, "a"), Some(1));
    assert!(documents.stats().memory_bytes > 100);
    let commit = Item {
        operation: Operation::Commit,
        prepare_seqno: Seqno(1),
        ..mutation("a", 2)
    };
    documents.put(commit);
    assert_eq!(open(&documents, "a"), None);
    assert_eq!(seqno_of(&mut documents, "a"), Some(2));
    assert_sound(&documents);
}

#[test]
fn prepared_value_is_no_document() {
    let mut documents = documents(ROOMY);
    documents.put(mutation("a", 1));
    documents.put(prepare("a", 2));
    assert_eq!(seqno_of(&mut documents, "a"), Some(1));
    documents.put(completion(Operation::Abort, "a", 3, 2));
    assert_eq!(open(&documents, "a"), None);
    assert_eq!(seqno_of(&mut documents, "a"), Some(1));
    assert_eq!(documents.stats().prepares, 0);
    assert_sound(&documents);
}

/// In a snapshot from disk some completions are missing. A later one says that they have been.
#[test]
fn completion_ends_all_prepares_before_it() {
    let mut documents = documents(ROOMY);
    for (name, seqno) in [("a", 1), ("b", 2), ("c", 3)] {
        documents.put(prepare(name, seqno));
    }
    documents.put(completion(Operation::Abort, "b", 4, 2));
    assert_eq!(open(&documents, "a"), None);
    assert_eq!(open(&documents, "c"), Some(3));
    documents.completed(Seqno(3));
    assert_eq!(open(&documents, "c"), None);
    assert_sound(&documents);
}

#[test]
fn later_item_of_the_key_ends_its_prepare() {
    let mut documents = documents(ROOMY);
    documents.put(prepare("a", 1));
    documents.put(prepare("a", 2));
    assert_eq!(open(&documents, "a"), Some(2));
    documents.put(mutation("a", 3));
    assert_eq!(open(&documents, "a"), None);
    assert_sound(&documents);
}

#[test]
fn prepare_that_a_warm_up_found_is_open() {
    let budget = CacheBudget::new(0);
    let mut documents = Documents::new(budget, Seqno(10));
    documents.put(prepare("a", 4));
    assert_eq!(open(&documents, "a"), Some(4));
    documents.clear(Seqno(2));
    assert_eq!(open(&documents, "a"), None);
    assert_eq!(documents.stats().memory_bytes, 0);
}
