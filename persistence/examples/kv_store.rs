//! A store of keys and values: compare and set, wait for the disk, close, open again.
//!
//! `cargo run -p lowtide-persistence --example kv_store`

use std::error::Error;

use lowtide_checkpoint::Vbid;
use lowtide_persistence::{Change, Store, StoreError, StoreOptions};

/// Keys are divided among vBuckets, each with an order of its own. One is enough here.
const VB: Vbid = Vbid(0);

/// Runs the example.
pub fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    // The key protects hashes from those who choose document keys. A program draws it once and keeps it.
    let options = StoreOptions::logstor([0x5eed_0001, 0x5eed_0002]);

    let store = Store::open(dir.path(), options.clone())?;
    assert!(store.get(VB, "apple")?.is_none());

    // A write is visible at once, and durable once it was waited for.
    let apple = store.set(VB, "apple", "red")?;
    apple.wait_persisted()?;

    // `add` takes only new keys.
    let added = store.write(VB, Change::add("apple", "blue"));
    assert!(matches!(added, Err(StoreError::KeyExists { .. })));

    // Compare and set: of two writers that have read the same revision, one wins.
    let green = Change::replace("apple", "green").if_cas(apple.cas());
    let green = store.write(VB, green)?;
    let late = Change::replace("apple", "yellow").if_cas(apple.cas());
    match store.write(VB, late) {
        Err(StoreError::CasMismatch { found, .. }) => assert_eq!(found, green.cas()),
        other => panic!("a lost update: {other:?}"),
    }

    // Many writes, one wait.
    for number in 0..1_000 {
        let _ = store.set(VB, &format!("key-{number}"), format!("{number}"))?;
    }
    store.delete(VB, "key-7")?.wait_persisted()?;

    store.close()?;
    drop(store);

    let store = Store::open(dir.path(), options)?;
    let apple = store.get(VB, "apple")?.ok_or("it was written")?;
    assert_eq!(&apple.value[..], b"green");
    assert!(store.get(VB, "key-7")?.is_none());
    println!("apple is {}", String::from_utf8_lossy(&apple.value));
    Ok(store.close()?)
}
