//! The revision that a lookup returns.

use super::*;

#[test]
fn newest_revision_is_found_until_it_is_replaced() {
    let mut documents = documents(ROOMY);
    documents.put(mutation("a", 1));
    assert_eq!(seqno_of(&mut documents, "a"), Some(1));
    documents.put(mutation("a", 2));
    assert_eq!(seqno_of(&mut documents, "a"), Some(2));
    assert_sound(&documents);
}

#[test]
fn tombstone_is_found_as_a_revision() {
    let mut documents = documents(ROOMY);
    documents.put(Item {
        seqno: Seqno(7),
        ..Item::deletion(key("a"))
    });
    assert_eq!(seqno_of(&mut documents, "a"), Some(7));
}

/// Guards D1.
#[test]
fn older_revision_replaces_no_newer_one() {
    let mut documents = documents(ROOMY);
    documents.put(mutation("a", 5));
    documents.put(mutation("a", 4));
    assert_eq!(seqno_of(&mut documents, "a"), Some(5));
}

/// Guards D1: the engine may have a newer revision that was evicted.
#[test]
fn persisted_revision_without_a_place_is_not_taken() {
    let mut documents = documents(ROOMY);
    documents.persisted(Seqno(9));
    documents.put(mutation("a", 5));
    let fetch = begin_fetch(&mut documents, "a");
    let newest = documents.fetched(fetch, Some(mutation("a", 8)));
    assert_eq!(newest, Ok(Some(mutation("a", 8))));
}

#[test]
fn item_that_changes_no_document_is_ignored() {
    let mut documents = documents(ROOMY);
    documents.put(Item {
        seqno: Seqno(1),
        ..Item::new(Operation::SystemEvent, key("a"))
    });
    documents.put(Item::new(
        Operation::SetVBucketState(lowtide_checkpoint::State::Active),
        key("a"),
    ));
    assert_eq!(documents.stats(), DocumentsStats::default());
}

#[test]
fn absent_key_is_known_after_its_fetch() {
    let mut documents = documents(ROOMY);
    cache(&mut documents, "a", None);
    assert_eq!(seqno_of(&mut documents, "a"), None);
    documents.put(mutation("a", 3));
    assert_eq!(seqno_of(&mut documents, "a"), Some(3));
}

#[test]
fn stats_count_hits_and_misses() {
    let mut documents = documents(ROOMY);
    documents.put(mutation("a", 1));
    for _ in 0..3 {
        seqno_of(&mut documents, "a");
    }
    let fetch = begin_fetch(&mut documents, "b");
    let stats = documents.stats();
    assert_eq!((stats.hits, stats.misses), (3, 1));
    assert_eq!((stats.entries, stats.fetches), (2, 1));
    documents.abandon(fetch);
    let other = documents;
    let sum: DocumentsStats = [stats, other.stats()].into_iter().sum();
    assert_eq!((sum.hits, sum.entries), (6, 3));
}

/// Guards D2: an index of many keys, of which some have equal hashes in part, finds each.
#[test]
fn each_of_many_keys_is_found_whatever_was_removed() {
    let mut documents = documents(ROOMY);
    let name = |number: u64| {
        let long = if number.is_multiple_of(3) {
            "-".repeat(30)
        } else {
            String::new()
        };
        Key::new(format!("{number}{long}").as_bytes())
    };
    for number in 0..5000 {
        documents.put(Item {
            seqno: Seqno(number + 1),
            ..Item::mutation(name(number), bytes::Bytes::new())
        });
    }
    // The older half becomes clean and is evicted.
    documents.persisted(Seqno(2500));
    documents.budget.set_limit_bytes(0);
    documents.evict(5000);
    assert_eq!(documents.stats().entries, 2500);
    assert_sound(&documents);
    documents.budget.set_limit_bytes(ROOMY);
    for number in 2500..5000 {
        let found = documents.find(&name(number));
        assert!(matches!(found, Found::Revision(item) if item.seqno.0 == number + 1));
    }
}
