//! Filters of keys.

use super::*;

/// Completes a filter for an engine that has these keys.
fn fill(documents: &mut Documents, expected: usize, keys: &[&str]) {
    let scan = documents.begin_filter(expected);
    for name in keys {
        documents.filter_key(&scan, &key(name)).expect("valid");
    }
    documents.complete_filter(scan).expect("valid");
}

#[test]
fn key_outside_a_complete_filter_is_absent_without_a_fetch() {
    let mut documents = documents(ROOMY);
    assert!(documents.needs_filter());
    fill(&mut documents, 10, &["stored"]);
    assert!(!documents.needs_filter());
    assert_eq!(seqno_of(&mut documents, "never"), None);
    let fetch = begin_fetch(&mut documents, "stored");
    documents.abandon(fetch);
    let stats = documents.stats();
    assert_eq!((stats.filtered, stats.misses, stats.entries), (1, 1, 0));
    assert!(stats.memory_bytes >= 32);
    assert_sound(&documents);
}

/// Guards D6.
#[test]
fn filter_that_is_not_complete_answers_nothing() {
    let mut documents = documents(ROOMY);
    let scan = documents.begin_filter(10);
    assert!(!documents.needs_filter());
    let fetch = begin_fetch(&mut documents, "stored");
    documents.abandon(fetch);
    documents.abandon_filter(scan);
    assert!(documents.needs_filter());
    let fetch = begin_fetch(&mut documents, "stored");
    documents.abandon(fetch);
    assert_eq!(documents.stats().memory_bytes, 0);
}

/// Guards D6: keys are put before, during and after the scan, and evicted.
#[test]
fn key_that_was_put_passes_the_filter() {
    let mut documents = documents(0);
    documents.put(mutation("before", 1));
    let scan = documents.begin_filter(10);
    documents.put(mutation("during", 2));
    documents.complete_filter(scan).expect("valid");
    documents.put(mutation("after", 3));
    assert_sound(&documents);
    documents.persisted(Seqno(3));
    documents.evict(10);
    assert_eq!(documents.stats().entries, 0);
    for name in ["before", "during", "after"] {
        let fetch = begin_fetch(&mut documents, name);
        documents.abandon(fetch);
    }
}

/// Guards D6: a rollback brings back keys that no scan has seen.
#[test]
fn clearing_drops_the_filters() {
    let mut documents = documents(ROOMY);
    fill(&mut documents, 10, &[]);
    let scan = documents.begin_filter(10);
    documents.clear(Seqno::ZERO);
    assert!(documents.needs_filter());
    let fetch = begin_fetch(&mut documents, "restored");
    documents.abandon(fetch);
    let refused = documents.filter_key(&scan, &key("restored"));
    assert_eq!(refused, Err(FilterScanVoid));
    assert_eq!(documents.complete_filter(scan), Err(FilterScanVoid));
    assert_sound(&documents);
}

#[test]
fn scan_that_another_one_replaced_is_void() {
    let mut documents = documents(ROOMY);
    let old = documents.begin_filter(10);
    let new = documents.begin_filter(10);
    assert_eq!(documents.filter_key(&old, &key("a")), Err(FilterScanVoid));
    documents.abandon_filter(old);
    documents.complete_filter(new).expect("valid");
}

#[test]
fn overfull_filter_answers_until_the_next_one_is_complete() {
    let mut documents = documents(ROOMY);
    fill(&mut documents, 10, &[]);
    for number in 1..=40_u64 {
        documents.put(mutation(&number.to_string(), number));
    }
    assert!(documents.needs_filter());
    assert!((0..20).any(|number| {
        let name = format!("never {number}");
        matches!(documents.find(&key(&name)), Found::Absent)
    }));
    fill(&mut documents, 100, &[]);
    assert!(!documents.needs_filter());
    assert_sound(&documents);
}
