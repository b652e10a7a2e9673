//! Reads while an engine is replaced.

use std::cell::Cell;
use std::path::Path;

use super::*;
use crate::couchstore::CouchstoreConfig;
use crate::disk::MemoryDisk;

const VB: Vbid = Vbid(3);

fn failure() -> EngineError {
    EngineError::UnknownVBucket { vb: VB }
}

fn slot() -> EngineSlot {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    disk.create_dir(Path::new("/store")).expect("an empty disk");
    let opener = Arc::new(CouchstoreConfig::default());
    let health = Arc::new(HealthWatch::new());
    let opened = EngineSlot::open(opener, disk, "/store".into(), health);
    let (slot, _) = opened.expect("an empty store");
    let (engine, _) = slot.engine().expect("open");
    engine.create(VB).expect("an empty store");
    slot
}

/// Guards against an error of an engine that is closed, of a disk that is sound.
#[test]
fn read_that_fails_is_repeated_if_its_engine_was_replaced() {
    let slot = slot();
    let reads = Cell::new(0);
    let read = slot.read(
        |_| {
            reads.set(reads.get() + 1);
            match reads.get() {
                1 => {
                    assert!(
                        slot.reopen(1, Arc::new(failure()), |_| {})
                            .expect("a sound disk")
                    );
                    Err(failure())
                }
                _ => Ok(()),
            }
        },
        |_| unreachable!("it is open again"),
        VB,
    );
    assert!(read.is_ok(), "{read:?}");
    assert_eq!(reads.get(), 2);
}

#[test]
fn read_that_fails_in_the_open_engine_is_not_repeated() {
    let slot = slot();
    let reads = Cell::new(0);
    let read: Result<(), _> = slot.read(
        |_| {
            reads.set(reads.get() + 1);
            Err(failure())
        },
        |_| unreachable!("it is open"),
        VB,
    );
    assert!(matches!(read, Err(StoreError::Engine(_))), "{read:?}");
    assert_eq!(reads.get(), 1);
}
