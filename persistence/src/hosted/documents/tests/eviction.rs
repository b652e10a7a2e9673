//! Eviction: what stays, what goes first, and how much at once.

use super::*;
use crate::hosted::documents::entry::ENTRY_BYTES;

/// Bytes of an entry with a value of 100 bytes, at most.
const ENTRY_MAX: usize = ENTRY_BYTES + 150;

/// Puts keys from `first` to `last`, each with its number as seqno.
fn put_all(documents: &mut Documents, first: u64, last: u64) {
    for number in first..=last {
        documents.put(mutation(&number.to_string(), number));
    }
}

/// Guards D2.
#[test]
fn revision_that_is_not_persisted_stays_above_the_limit() {
    let mut documents = documents(0);
    put_all(&mut documents, 1, 1000);
    documents.persisted(Seqno(500));
    documents.evict(2000);
    assert_eq!(documents.stats().entries, 500);
    for number in 501..=1000 {
        assert_eq!(seqno_of(&mut documents, &number.to_string()), Some(number));
    }
    assert_sound(&documents);
}

/// Guards D4: nothing that is persisted enters without room.
#[test]
fn fetched_revision_does_not_enter_a_full_budget() {
    let mut documents = documents(10 * ENTRY_MAX);
    put_all(&mut documents, 1, 20);
    let used = documents.stats().memory_bytes;
    cache(&mut documents, "fetched", Some(mutation("fetched", 0)));
    cache(&mut documents, "absent", None);
    assert_eq!(documents.stats().memory_bytes, used);
    assert_sound(&documents);
}

/// Guards D4: the budget is reached again by operations alone.
#[test]
fn operations_evict_down_to_the_limit() {
    let mut documents = documents(100 * ENTRY_MAX);
    put_all(&mut documents, 1, 1000);
    documents.persisted(Seqno(1000));
    assert!(documents.budget.is_exceeded());
    for number in 0..1000 {
        documents.put(mutation("hot", 1001 + number));
    }
    assert!(!documents.budget.is_exceeded());
    assert!(documents.stats().entries > 80);
    assert_sound(&documents);
}

/// Guards D4: an operation evicts a few, however many could be.
#[test]
fn operation_examines_few_entries() {
    let mut documents = documents(ROOMY);
    put_all(&mut documents, 1, 1000);
    documents.persisted(Seqno(1000));
    documents.budget.set_limit_bytes(0);
    let before = documents.stats();
    documents.put(mutation("1", 1001));
    let after = documents.stats();
    assert!((1..=8).contains(&(after.evictions - before.evictions)));
    assert_eq!(before.entries - after.entries, 8 - 1);
    assert_sound(&documents);
}

#[test]
fn revision_that_is_found_outlives_one_that_is_not() {
    let mut documents = documents(20 * ENTRY_MAX);
    put_all(&mut documents, 1, 10);
    documents.persisted(Seqno(10));
    for number in 0..200_u64 {
        assert_eq!(seqno_of(&mut documents, "7"), Some(7), "round {number}");
        cache(
            &mut documents,
            &format!("cold {number}"),
            Some(mutation(&format!("cold {number}"), 0)),
        );
    }
    assert!(documents.stats().evictions > 100);
    assert_sound(&documents);
}

#[test]
fn host_evicts_below_the_mark_in_two_rounds() {
    let budget = CacheBudget::new(100 * ENTRY_MAX);
    let mut idle = Documents::new(budget.clone(), Seqno::ZERO);
    put_all(&mut idle, 1, 150);
    for number in 1..=150_u64 {
        seqno_of(&mut idle, &number.to_string());
    }
    idle.persisted(Seqno(150));
    assert!(budget.is_above_mark());
    let used = budget.used_bytes();
    let freed = idle.evict(300);
    assert!(!budget.is_above_mark());
    assert_eq!(budget.used_bytes(), used - freed);
    // It stops there.
    assert!(budget.used_bytes() > 90 * (ENTRY_MAX - 50));
    assert_eq!(idle.evict(300), 0);
    assert_sound(&idle);
}

#[test]
fn eviction_of_nothing_does_nothing() {
    let mut documents = documents(0);
    assert_eq!(documents.evict(100), 0);
    let fetch = begin_fetch(&mut documents, "a");
    assert_eq!(documents.evict(100), 0);
    documents.abandon(fetch);
    assert_sound(&documents);
}
