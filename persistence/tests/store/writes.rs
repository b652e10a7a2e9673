//! Writing and reading: checks against the document, CAS, expiry, durable writes.

use std::sync::atomic::Ordering;

use lowtide_checkpoint::{Cas, DurabilityLevel, Key, Seqno, Vbid};

use crate::rig::Rig;
use lowtide_persistence::{Change, Store, StoreError};

const VB: Vbid = Vbid(1);

fn value(store: &Store, key: &str) -> Option<String> {
    let document = store.get(VB, key).expect("readable");
    document.map(|document| String::from_utf8(document.value.to_vec()).expect("text"))
}

/// Guards R10.
#[test]
fn write_is_refused_unless_the_document_is_as_the_change_requires() {
    for rig in Rig::each() {
        let store = rig.open();
        let missing = store.write(VB, Change::replace("a", "1")).map(drop);
        assert!(matches!(missing, Err(StoreError::KeyNotFound { .. })));
        let missing = store.delete(VB, "a").map(drop);
        assert!(matches!(missing, Err(StoreError::KeyNotFound { .. })));
        let added = store.write(VB, Change::add("a", "1")).expect("it is new");
        let twice = store.write(VB, Change::add("a", "2")).map(drop);
        let cas_of = |result| match result {
            Err(StoreError::KeyExists { cas, .. }) => Some(cas),
            _ => None,
        };
        assert_eq!(cas_of(twice), Some(added.cas()));
        let stale = Change::set("a", "2").if_cas(Cas(added.cas().0 + 1));
        let stale = store.write(VB, stale).map(drop);
        assert!(
            matches!(stale, Err(StoreError::CasMismatch { found, .. }) if found == added.cas())
        );
        let fresh = Change::replace("a", "2").if_cas(added.cas());
        let replaced = store.write(VB, fresh).expect("the CAS is right");
        assert_eq!(replaced.seqno(), Seqno(2), "refused writes use up no seqno");
        assert!(replaced.cas() > added.cas());
        let document = store.get(VB, "a").expect("readable").expect("there");
        assert_eq!((&document.value[..], document.rev_seqno), (&b"2"[..], 2));
        let deleted = store.delete(VB, "a").expect("it is there");
        deleted.wait_persisted().expect("a working disk");
        assert_eq!(value(&store, "a"), None);
        let again = store
            .write(VB, Change::add("a", "3"))
            .expect("it was deleted");
        assert_eq!(
            store
                .get(VB, "a")
                .expect("readable")
                .expect("there")
                .rev_seqno,
            4
        );
        assert_eq!(again.seqno(), Seqno(4));
        store.close().expect("a working disk");
    }
}

/// Guards D1 through the store: with a cache of nothing every look-up reads the engine.
#[test]
fn store_without_a_cache_reads_what_was_written() {
    for rig in Rig::each() {
        let store = rig.open_with(rig.options().with_cache_bytes(0));
        for round in 0..3 {
            for number in 0..50 {
                let text = format!("{round}-{number}");
                let _taken = store
                    .set(VB, &format!("key-{number}"), text)
                    .expect("taken");
            }
            store.flush(VB).expect("a working disk");
            for number in 0..50 {
                let expected = Some(format!("{round}-{number}"));
                assert_eq!(value(&store, &format!("key-{number}")), expected);
            }
        }
        let absent = store.write(VB, Change::replace("key-50", "x")).map(drop);
        assert!(matches!(absent, Err(StoreError::KeyNotFound { .. })));
        let document = store.get(VB, "key-7").expect("readable").expect("there");
        assert_eq!(document.rev_seqno, 3);
    }
}

#[test]
fn expired_document_is_absent_and_can_be_removed() {
    let rig = Rig::new(false);
    let store = rig.open();
    let _taken = store
        .write(VB, Change::set("a", "1").with_expiry(1_010))
        .expect("taken");
    let early = store.write(VB, Change::expire("a")).map(drop);
    assert!(matches!(
        early,
        Err(StoreError::NotExpired { expiry: 1_010, .. })
    ));
    assert_eq!(value(&store, "a").as_deref(), Some("1"));
    rig.host.seconds.store(1_010, Ordering::Relaxed);
    assert_eq!(value(&store, "a"), None);
    let gone = store.write(VB, Change::replace("a", "2")).map(drop);
    assert!(matches!(gone, Err(StoreError::KeyNotFound { .. })));
    let expired = store
        .write(VB, Change::expire("a"))
        .expect("its time has come");
    assert_eq!(expired.seqno(), Seqno(2));
    let twice = store.write(VB, Change::expire("a")).map(drop);
    assert!(matches!(twice, Err(StoreError::KeyNotFound { .. })));
    let _taken = store.write(VB, Change::add("a", "3")).expect("it is gone");
}

#[test]
fn durable_write_blocks_its_key_until_it_ends_even_after_a_restart() {
    for rig in Rig::each() {
        let store = rig.open();
        let level = DurabilityLevel::Majority;
        let _taken = store.set(VB, "b", "0").expect("taken");
        let first = store
            .prepare(VB, Change::set("a", "1"), level)
            .expect("taken");
        let second = store
            .prepare(VB, Change::set("b", "2"), level)
            .expect("taken");
        let blocked = store.set(VB, "a", "x").map(drop);
        assert!(
            matches!(blocked, Err(StoreError::WriteInProgress { prepare_seqno, .. }) if prepare_seqno == first.seqno())
        );
        assert_eq!(
            (value(&store, "a"), value(&store, "b")),
            (None, Some("0".to_owned()))
        );
        second.wait_persisted().expect("a working disk");
        drop(store);

        let store = rig.open();
        assert!(!store.report().was_orderly);
        let early = store.commit(VB, "b", second.seqno()).map(drop);
        assert!(
            matches!(early, Err(StoreError::WriteInProgress { prepare_seqno, .. }) if prepare_seqno == first.seqno()),
            "{early:?}"
        );
        let _taken = store.commit(VB, "a", first.seqno()).expect("it is open");
        let _taken = store.abort(VB, "b", second.seqno()).expect("it is open");
        assert_eq!(value(&store, "a").as_deref(), Some("1"));
        assert_eq!(value(&store, "b").as_deref(), Some("0"));
        let twice = store.commit(VB, "a", first.seqno()).map(drop);
        assert!(matches!(twice, Err(StoreError::NoWriteInProgress { .. })));
        let _taken = store.set(VB, "b", "3").expect("nothing is in progress");
        store.close().expect("a working disk");
        let store = rig.open();
        assert_eq!(value(&store, "b").as_deref(), Some("3"));
        assert_eq!(value(&store, "a").as_deref(), Some("1"));
    }
}

#[test]
fn keys_of_collections_are_documents_of_their_own() {
    let store = Rig::new(true).open();
    let key = Key::in_collection(9, b"a");
    let _taken = store.set(VB, &key, "nine").expect("taken");
    assert_eq!(value(&store, "a"), None);
    let document = store.get(VB, key).expect("readable").expect("there");
    assert_eq!(&document.value[..], b"nine");
}

#[test]
fn unknown_vbucket_is_named() {
    let store = Rig::new(false).open();
    let vb = Vbid(77);
    let refused = store.set(vb, "a", "1").map(drop);
    assert!(matches!(refused, Err(StoreError::UnknownVBucket { vb: named }) if named == vb));
}

/// Guards R10: of two writers with the same CAS one loses, and says so.
#[test]
fn concurrent_writes_with_cas_lose_no_update() {
    for rig in Rig::each() {
        // Without a cache each look-up of a persisted counter is a fetch concurrent with other writers.
        for cache_bytes in [0, 1 << 20] {
            let store = rig.open_with(rig.options().with_cache_bytes(cache_bytes));
            let before = value(&store, "counter").map_or(0, |text| text.parse().expect("digits"));
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| (0..100).for_each(|_| increment(&store)));
                }
            });
            assert_eq!(value(&store, "counter"), Some((before + 400).to_string()));
            store.close().expect("a working disk");
        }
    }
}

/// Adds one to a counter, as often as it takes.
fn increment(store: &Store) {
    loop {
        let change = match store.get(VB, "counter").expect("readable") {
            None => Change::add("counter", "1"),
            Some(document) => {
                let text = std::str::from_utf8(&document.value).expect("text");
                let number: u64 = text.parse().expect("digits");
                Change::replace("counter", (number + 1).to_string()).if_cas(document.cas)
            }
        };
        match store.write(VB, change) {
            Ok(_) => return,
            Err(StoreError::CasMismatch { .. } | StoreError::KeyExists { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
