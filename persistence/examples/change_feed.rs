//! A change feed: a reader follows a vBucket from its first change, while others write.
//!
//! The feed begins on disk and goes on in memory. It skips revisions that were replaced before it read
//! them, and is consistent at the end of each snapshot.
//!
//! `cargo run -p lowtide-persistence --example change_feed`

use std::collections::BTreeMap;
use std::error::Error;

use lowtide_checkpoint::{ResumePoint, Seqno, Vbid};
use lowtide_persistence::{FollowerEvent, Store, StoreError, StoreOptions};

const VB: Vbid = Vbid(0);
const WRITES: u64 = 5_000;

/// Runs the example.
pub fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path(), StoreOptions::logstor([1, 2]))?;
    let documents = std::thread::scope(|scope| {
        scope.spawn(|| write(&store).expect("the disk works"));
        read(&store)
    })?;
    assert_eq!(documents.len(), 100);
    for (key, value) in &documents {
        let stored = store.get(VB, key)?.ok_or("the feed has it")?;
        assert_eq!(&stored.value[..], value.as_bytes());
    }
    println!("{} documents after {WRITES} writes", documents.len());
    Ok(store.close()?)
}

fn write(store: &Store) -> Result<(), StoreError> {
    for number in 0..WRITES {
        let _ = store.set(VB, &format!("key-{}", number % 100), number.to_string())?;
    }
    Ok(())
}

/// Reads until it has the last write.
fn read(store: &Store) -> Result<BTreeMap<String, String>, StoreError> {
    let mut documents = BTreeMap::new();
    // A follower is an iterator that waits. It ends when the store is closed.
    for followed in store.follow(VB, "feed", ResumePoint::START)? {
        match followed?.event {
            FollowerEvent::Items(items) => {
                for item in items.iter() {
                    let key = String::from_utf8_lossy(item.key.user()).into_owned();
                    match &item.value {
                        Some(value) if !item.deleted => {
                            documents.insert(key, String::from_utf8_lossy(value).into_owned());
                        }
                        _ => _ = documents.remove(&key),
                    }
                }
            }
            // Here the reader has exactly the store's documents, as they were at this seqno.
            FollowerEvent::SnapshotEnd(point) if point.seqno == Seqno(WRITES) => break,
            _ => {}
        }
    }
    Ok(documents)
}
