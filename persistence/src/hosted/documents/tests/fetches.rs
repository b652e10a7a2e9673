//! Fetches, and writes while they are in progress.

use super::*;

/// Guards D1: the engine was read before the write.
#[test]
fn write_during_a_fetch_is_newer_than_its_result() {
    let mut documents = documents(ROOMY);
    let fetch = begin_fetch(&mut documents, "a");
    documents.put(mutation("a", 9));
    let newest = documents.fetched(fetch, Some(mutation("a", 5)));
    assert_eq!(newest, Ok(Some(mutation("a", 9))));
    assert_eq!(seqno_of(&mut documents, "a"), Some(9));
    assert_sound(&documents);
}

/// Guards D1: the write was persisted, and there was no room, before the fetch ended.
#[test]
fn write_persisted_during_a_fetch_stays_until_the_fetch_ends() {
    let mut documents = documents(0);
    let fetch = begin_fetch(&mut documents, "a");
    documents.put(mutation("a", 9));
    documents.persisted(Seqno(9));
    documents.evict(100);
    assert_eq!(documents.stats().entries, 1);
    let newest = documents.fetched(fetch, Some(mutation("a", 5)));
    assert_eq!(newest, Ok(Some(mutation("a", 9))));
    // It was evicted then, because nothing needs it.
    assert_eq!(documents.stats().entries, 0);
    assert_sound(&documents);
}

#[test]
fn several_fetches_of_a_key_return_the_same_revision() {
    let mut documents = documents(ROOMY);
    let first = begin_fetch(&mut documents, "a");
    let second = begin_fetch(&mut documents, "a");
    let stored = Some(mutation("a", 5));
    assert_eq!(
        documents.fetched(second, stored.clone()),
        Ok(stored.clone())
    );
    assert_eq!(seqno_of(&mut documents, "a"), Some(5));
    assert_eq!(documents.fetched(first, stored.clone()), Ok(stored));
    assert_eq!(documents.stats().fetches, 0);
    assert_sound(&documents);
}

/// A purge between two fetches removed the tombstone.
#[test]
fn absence_replaces_no_revision() {
    let mut documents = documents(ROOMY);
    let first = begin_fetch(&mut documents, "a");
    let second = begin_fetch(&mut documents, "a");
    let stored = Some(mutation("a", 5));
    assert_eq!(documents.fetched(first, stored.clone()), Ok(stored.clone()));
    assert_eq!(documents.fetched(second, None), Ok(stored));
}

#[test]
fn abandoned_fetch_leaves_the_key_unknown_without_a_place() {
    let mut documents = documents(ROOMY);
    let first = begin_fetch(&mut documents, "a");
    let second = begin_fetch(&mut documents, "a");
    documents.abandon(first);
    assert_eq!(documents.stats().entries, 1);
    documents.abandon(second);
    assert_eq!(documents.stats().entries, 0);
    assert_eq!(documents.stats().memory_bytes, 0);
    assert_sound(&documents);
}

#[test]
fn abandoned_fetch_keeps_what_was_written_meanwhile() {
    let mut documents = documents(ROOMY);
    let fetch = begin_fetch(&mut documents, "a");
    documents.put(mutation("a", 2));
    documents.abandon(fetch);
    assert_eq!(seqno_of(&mut documents, "a"), Some(2));
    assert_sound(&documents);
}

/// Guards D5.
#[test]
fn fetch_from_before_a_clear_is_void() {
    let mut documents = documents(ROOMY);
    let old = begin_fetch(&mut documents, "a");
    let abandoned = begin_fetch(&mut documents, "a");
    documents.clear(Seqno(3));
    let new = begin_fetch(&mut documents, "a");
    assert_eq!(
        documents.fetched(old, Some(mutation("a", 8))),
        Err(FetchError::Void)
    );
    documents.abandon(abandoned);
    assert_sound(&documents);
    let stored = Some(mutation("a", 2));
    assert_eq!(documents.fetched(new, stored.clone()), Ok(stored));
    assert_sound(&documents);
}

/// Guards D5.
#[test]
fn fetch_of_another_vbucket_is_void() {
    let budget = CacheBudget::new(ROOMY);
    let mut one = Documents::new(budget.clone(), Seqno::ZERO);
    let mut other = Documents::new(budget, Seqno::ZERO);
    let fetch = begin_fetch(&mut one, "a");
    let _in_progress = begin_fetch(&mut other, "a");
    assert_eq!(other.fetched(fetch, None), Err(FetchError::Void));
    assert_sound(&other);
}

#[test]
fn item_of_another_document_is_refused_and_ends_the_fetch() {
    let mut documents = documents(ROOMY);
    let prepare = Item {
        seqno: Seqno(4),
        ..Item::new(Operation::Prepare, key("a"))
    };
    for wrong in [mutation("b", 4), prepare] {
        let fetch = begin_fetch(&mut documents, "a");
        let refused = documents.fetched(fetch, Some(wrong.clone()));
        let error = FetchError::OtherDocument {
            expected: key("a"),
            found: wrong.key,
        };
        assert_eq!(refused, Err(error));
        assert_eq!(documents.stats().entries, 0);
    }
    assert_sound(&documents);
}
