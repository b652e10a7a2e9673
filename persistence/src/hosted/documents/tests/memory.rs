//! The account of memory.

use super::*;

/// Guards D3: a budget has the sum of its vBuckets, and nothing when they are gone.
#[test]
fn budget_is_the_sum_of_its_vbuckets() {
    let budget = CacheBudget::new(ROOMY);
    let mut one = Documents::new(budget.clone(), Seqno::ZERO);
    let mut other = Documents::new(budget.clone(), Seqno::ZERO);
    one.put(mutation("a", 1));
    one.put(Item {
        operation: Operation::Prepare,
        ..mutation("b", 2)
    });
    other.put(mutation("a", 1));
    let sum = one.stats().memory_bytes + other.stats().memory_bytes;
    assert_eq!(budget.used_bytes(), sum);
    drop(one);
    assert_eq!(budget.used_bytes(), other.stats().memory_bytes);
    other.clear(Seqno::ZERO);
    assert_eq!(budget.used_bytes(), 0);
}

/// Guards D3: the charge of entries is the memory that they have allocated, within a fifth.
#[test]
fn charge_is_near_the_memory_that_is_allocated() {
    let mut documents = documents(ROOMY);
    let value_bytes = 40 + 40;
    for number in 1..=20_000_u64 {
        documents.put(Item {
            seqno: Seqno(number),
            ..Item::mutation(key(&number.to_string()), Bytes::from(vec![0; 40]))
        });
        if number.is_multiple_of(1000) {
            let values = documents.table.len() * value_bytes;
            assert_near(&documents, documents.table.allocated_bytes() + values);
        }
    }
    documents.persisted(Seqno(20_000));
    documents.budget.set_limit_bytes(0);
    while documents.table.len() > 1000 {
        documents.evict(1000);
        let values = documents.table.len() * value_bytes;
        assert_near(&documents, documents.table.allocated_bytes() + values);
    }
}

fn assert_near(documents: &Documents, allocated: usize) {
    let charged = documents.stats().memory_bytes;
    let entries = documents.table.len();
    assert!(
        charged.abs_diff(allocated) <= allocated / 5,
        "{charged} bytes are charged for {entries} entries, {allocated} are allocated"
    );
}

/// Guards D3: what a long key and a value have allocated is counted.
#[test]
fn bytes_of_long_keys_and_values_are_charged() {
    let bytes_of = |item: Item| {
        let mut documents = documents(ROOMY);
        documents.put(item);
        documents.stats().memory_bytes
    };
    let bare = bytes_of(Item {
        value: None,
        ..mutation("a", 1)
    });
    let with_value = bytes_of(mutation("a", 1));
    assert!((bare + 100..bare + 200).contains(&with_value));
    let with_long_key = bytes_of(Item {
        value: None,
        ..mutation(&"k".repeat(200), 1)
    });
    assert!((bare + 200..bare + 300).contains(&with_long_key));
}
