//! An indexer that keeps its place: it stores its resume point with its index, continues after a
//! restart, and goes back when the store lost what it had read.
//!
//! `cargo run -p lowtide-persistence --example indexer_that_restarts`

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use lowtide_checkpoint::{Item, ResumePoint, Vbid};
use lowtide_persistence::disk::{Fault, FaultyDisk, MemoryDisk, PowerLoss};
use lowtide_persistence::{FollowerEvent, Store, StoreError, StoreOptions};

const VB: Vbid = Vbid(0);

/// From each key the length of its value, and the place that the index stands for. A real one puts both
/// into one file or one transaction: [`ResumePoint::to_bytes`] are 32 bytes.
#[derive(Clone, Default)]
struct Index {
    lengths: BTreeMap<Vec<u8>, usize>,
    place: Option<[u8; 32]>,
}

impl Index {
    fn place(&self) -> ResumePoint {
        let place = self.place.and_then(|bytes| ResumePoint::from_bytes(&bytes));
        place.unwrap_or(ResumePoint::START)
    }

    /// Reads what there is now. Returns whether it had to begin again.
    fn catch_up(&mut self, store: &Store) -> Result<bool, StoreError> {
        let mut began_again = false;
        let mut follower = store.follow(VB, "indexer", self.place())?;
        while let Some(followed) = follower.poll()? {
            match followed.event {
                FollowerEvent::Items(items) => items.iter().for_each(|item| self.take(item)),
                // The index is consistent: this is the place to store with it.
                FollowerEvent::SnapshotEnd(point) => self.place = Some(point.to_bytes()),
                // It has what the store has lost. An indexer that keeps older versions returns to one
                // at or below the event's seqno; this one begins again.
                FollowerEvent::RolledBack { .. } => {
                    *self = Self::default();
                    follower.resume_from(VB, ResumePoint::START);
                    began_again = true;
                }
                _ => {}
            }
        }
        Ok(began_again)
    }

    fn take(&mut self, item: &Item) {
        let key = item.key.user().to_vec();
        match &item.value {
            Some(value) if !item.deleted => _ = self.lengths.insert(key, value.len()),
            _ => _ = self.lengths.remove(&key),
        }
    }
}

/// Runs the example.
pub fn main() -> Result<(), Box<dyn Error>> {
    // A disk in memory, so that the power can fail.
    let disk = FaultyDisk::new(MemoryDisk::new());
    let options = StoreOptions::couchstore().with_disk(Arc::new(disk.clone()));
    let mut index = Index::default();

    let store = Store::open("/store", options.clone())?;
    store.set(VB, "apple", "red")?.wait_persisted()?;
    index.catch_up(&store)?;
    store.close()?;
    drop(store);

    // Both restart. The index continues where it was.
    let store = Store::open("/store", options.clone())?;
    store.set(VB, "pear", "green")?.wait_persisted()?;
    assert!(!index.catch_up(&store)?);
    assert_eq!(index.lengths.len(), 2);

    // A reader in the same process is ahead of a disk that fails. Then the power fails, too.
    disk.fail_every_io(Fault::Eio);
    let _lost = store.set(VB, "plum", "blue")?;
    assert!(!index.catch_up(&store)?);
    assert_eq!(index.lengths.len(), 3);
    drop(store);
    disk.clear_faults();
    disk.crash(PowerLoss::DropUnsynced);

    // The store has begun another branch of its history, so it knows that the index has too much.
    let store = Store::open("/store", options)?;
    store.set(VB, "quince", "yellow")?.wait_persisted()?;
    assert!(index.catch_up(&store)?);
    let keys: Vec<_> = index
        .lengths
        .keys()
        .map(|key| String::from_utf8_lossy(key))
        .collect();
    println!("indexed: {keys:?}");
    assert_eq!(keys, ["apple", "pear", "quince"]);
    Ok(store.close()?)
}
