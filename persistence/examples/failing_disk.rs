//! A disk that fails: a store goes on, says how it is, and loses nothing that it acknowledged.
//!
//! `FaultyDisk` fails on command, so that a program can test what it does on a bad day.
//!
//! `cargo run -p lowtide-persistence --example failing_disk`

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use lowtide_checkpoint::Vbid;
use lowtide_persistence::disk::{Fault, FaultyDisk, MemoryDisk, PowerLoss};
use lowtide_persistence::{Health, Store, StoreOptions};

const VB: Vbid = Vbid(0);
const LONG: Duration = Duration::from_secs(60);

/// Runs the example.
pub fn main() -> Result<(), Box<dyn Error>> {
    let disk = FaultyDisk::new(MemoryDisk::new());
    let options = StoreOptions::couchstore().with_disk(Arc::new(disk.clone()));
    let store = Store::open("/store", options.clone())?;

    // A failed sync: what the device kept is unknown. The store opens its engine again, and writes
    // what was not acknowledged again.
    disk.fail_sync(1);
    store.set(VB, "first", "1")?.wait_persisted()?;

    // The disk is full for a while. The store still takes writes, until memory is used up.
    disk.fail_every_io(Fault::Enospc);
    let second = store.set(VB, "second", "2")?;
    let health = store.wait_for_health(|health| !health.is_serving(), LONG);
    println!("the store is {health}");
    assert!(matches!(health, Health::Retrying(_) | Health::Reopening(_)));
    assert!(!second.is_persisted());
    let unpersisted = store.get(VB, "second")?.ok_or("it can be read")?;
    assert_eq!(&unpersisted.value[..], b"2");

    // Space is back. A waiter need not write again.
    disk.clear_faults();
    second.wait_persisted()?;
    let health = store.wait_for_health(Health::is_serving, LONG);
    println!("the store is {health}");

    // A power failure, with a write that was not acknowledged.
    disk.fail_every_io(Fault::Eio);
    let third = store.set(VB, "third", "3")?;
    assert!(!third.is_persisted());
    drop(store);
    disk.clear_faults();
    disk.crash(PowerLoss::DropUnsynced);

    let store = Store::open("/store", options)?;
    assert!(!store.report().was_orderly);
    assert!(store.get(VB, "first")?.is_some() && store.get(VB, "second")?.is_some());
    assert!(store.get(VB, "third")?.is_none());
    Ok(store.close()?)
}
