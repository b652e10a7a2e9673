use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

use super::distribution::{Distribution, range};
use super::source::{GeneratedSource, KEYS_MAX, VALUE_BYTES_MAX, value_of};
use crate::input::source::{Change, Source};

fn all(mut source: GeneratedSource) -> Vec<Change> {
    let mut changes = Vec::new();
    while let Some(batch) = source.next_batch().expect("generated") {
        assert_eq!(batch.label, format!("operation {}", changes.len() + 1));
        assert_eq!(batch.changes.len(), 1);
        changes.extend(batch.changes);
    }
    assert_eq!(source.batches_total(), Some(changes.len() as u64));
    assert!(source.next_batch().expect("at its end").is_none());
    changes
}

fn made(kind: Distribution, ops: u64, keys: u64, seed: u64) -> Vec<Change> {
    all(GeneratedSource::new(kind, ops, keys, 16, seed).expect("valid"))
}

fn key(number: u64) -> Bytes {
    Bytes::from(format!("user{number:012}"))
}

fn counts(changes: &[Change]) -> BTreeMap<Bytes, u64> {
    let mut counts = BTreeMap::new();
    for change in changes {
        *counts.entry(change.key.clone()).or_default() += 1;
    }
    counts
}

/// A changed digest means that every recorded seed now gives another run.
#[test]
fn seed_gives_the_recorded_run() {
    for (kind, digest) in DIGESTS {
        let mut hash = Sha256::new();
        for change in made(kind, 2000, 100, 7) {
            hash.update(&change.key);
            hash.update(change.value.as_deref().unwrap_or(b"deleted"));
        }
        let found: String = hash
            .finalize()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(found, digest, "{}", kind.name());
    }
}

const DIGESTS: [(Distribution, &str); 3] = [
    (Distribution::Uniform, "b5635f4d086031b9"),
    (Distribution::Zipfian, "718a73d5fd07f9f2"),
    (Distribution::Latest, "860b6438f2e87243"),
];

#[test]
fn another_seed_gives_another_run() {
    for kind in Distribution::ALL {
        assert_ne!(made(kind, 100, 50, 1), made(kind, 100, 50, 2));
        assert_eq!(made(kind, 100, 50, 1), made(kind, 100, 50, 1));
    }
}

#[test]
fn uniform_writes_are_spread_evenly() {
    let counts = counts(&made(Distribution::Uniform, 100_000, 10, 3));
    assert_eq!(counts.len(), 10);
    // 10,000 are expected with a deviation of 95; the bound is ten deviations.
    assert!(
        counts.values().all(|count| (9050..=10_950).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn zipfian_shares_follow_the_law() {
    let ops = 100_000;
    let counts = counts(&made(Distribution::Zipfian, ops, 1000, 3));
    let total: f64 = (1..=1000).map(|place| f64::from(place).powf(-0.99)).sum();
    for place in [1u32, 2, 3, 10, 50] {
        let expected = ops as f64 * f64::from(place).powf(-0.99) / total;
        let found = counts.get(&key(u64::from(place) - 1)).copied().unwrap_or(0) as f64;
        assert!(
            (found - expected).abs() < 10.0 * expected.sqrt(),
            "place {place}: {found}, not {expected}"
        );
    }
}

#[test]
fn latest_inserts_all_keys_evenly_and_prefers_the_newest() {
    let changes = made(Distribution::Latest, 10_000, 1000, 3);
    let (mut inserted, mut newest_tenth, mut updates) = (BTreeSet::new(), 0, 0);
    for (index, change) in changes.iter().enumerate() {
        if inserted.insert(change.key.clone()) {
            assert_eq!(change.key, key(inserted.len() as u64 - 1), "in order");
            assert!(change.value.is_some(), "an insert deletes nothing");
            assert_eq!((inserted.len() - 1) * 10, index, "evenly");
        } else {
            updates += 1;
            let tenth = inserted.len().div_ceil(10) as u64;
            newest_tenth += u64::from(change.key >= key(inserted.len() as u64 - tenth));
        }
    }
    assert_eq!(inserted.len(), 1000);
    // About two thirds by the law; one tenth if age were irrelevant.
    assert!(newest_tenth * 2 > updates, "{newest_tenth} of {updates}");
}

#[test]
fn latest_with_fewer_operations_than_keys_only_inserts() {
    let changes = made(Distribution::Latest, 10, 1000, 3);
    let keys: Vec<_> = changes.into_iter().map(|change| change.key).collect();
    assert_eq!(keys, (0..10).map(key).collect::<Vec<_>>());
}

#[test]
fn one_in_twenty_writes_deletes_a_live_key() {
    for kind in Distribution::ALL {
        let (mut live, mut deletes) = (BTreeSet::new(), 0u32);
        for change in made(kind, 20_000, 50, 9) {
            if change.value.is_some() {
                live.insert(change.key);
            } else {
                assert!(live.remove(&change.key), "deleted what is not there");
                deletes += 1;
            }
        }
        // 1,000 are drawn, some of them on keys that are deleted already.
        assert!((800..=1100).contains(&deletes), "{deletes}");
    }
}

#[test]
fn values_have_their_length_and_differ() {
    let mut values = BTreeSet::new();
    for bytes in [0, 1, 9, 10, 11, 100] {
        assert_eq!(value_of(1, 2, 3, bytes).len(), bytes);
    }
    for (seed, key, op) in [(1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4), (1, 3, 2)] {
        let value = value_of(seed, key, op, 30);
        assert!(value.is_ascii());
        values.insert(value);
    }
    assert_eq!(values.len(), 5);
}

#[test]
fn ranges_stay_in_range_and_reach_every_number() {
    let mut rng = ChaCha8Rng::from_seed([0; 32]);
    for below in [1, 2, 3, 10] {
        let drawn: BTreeSet<u64> = (0..200).map(|_| range(&mut rng, below)).collect();
        assert_eq!(drawn, (0..below).collect());
    }
    assert_eq!(range(&mut rng, 0), 0);
    // Three quarters of all outputs: a plain remainder would draw the lower third twice as often as
    // the rest.
    let large = 3 << 62;
    assert!((0..100).all(|_| range(&mut rng, large) < large));
    let mean = (0..1000)
        .map(|_| range(&mut rng, large) as f64)
        .sum::<f64>()
        / 1000.0;
    assert!((mean / large as f64 - 0.5).abs() < 0.05, "{mean}");
}

#[test]
fn invalid_workload_arguments_are_usage_errors() {
    for (keys, bytes) in [(0, 1), (KEYS_MAX + 1, 1), (1, VALUE_BYTES_MAX + 1)] {
        let Err(error) = GeneratedSource::new(Distribution::Uniform, 1, keys, bytes, 0) else {
            panic!("{keys} keys, {bytes} bytes")
        };
        assert!(error.is_usage());
    }
    for kind in Distribution::ALL {
        assert_eq!(Distribution::from_name(kind.name()), Some(kind));
        assert!(made(kind, 0, 1, 0).is_empty());
        assert_eq!(made(kind, 30, 1, 0).len(), 30);
    }
    assert_eq!(Distribution::from_name("zipf"), None);
}
