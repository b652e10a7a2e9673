//! Answers of an engine to the calls of its host.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::couchstore::{Couchstore, CouchstoreConfig};
use crate::disk::{Disk, FaultyDisk, MemoryDisk};

const DIR: &str = "/store";

fn open(disk: &FaultyDisk) -> Couchstore {
    let disk = Arc::new(disk.clone());
    Couchstore::open(disk, Path::new(DIR), CouchstoreConfig::default())
        .expect("a sound store")
        .0
}

fn empty_disk() -> FaultyDisk {
    let disk = FaultyDisk::new(MemoryDisk::new());
    disk.create_dir(Path::new(DIR)).expect("an empty disk");
    disk
}

#[test]
fn call_that_was_done_before_is_done_again() {
    let engine = open(&empty_disk());
    let vb = Vbid(3);
    for call in [
        EngineCall::Create(vb),
        EngineCall::Reset(vb),
        EngineCall::Drop(vb),
    ] {
        for _ in 0..2 {
            let done = call.run(&engine);
            assert!(done.result.is_ok(), "{done:?}");
        }
    }
    assert_eq!(engine.vbuckets(), []);
}

#[test]
fn reopened_store_names_what_it_cannot_read_and_attaches_the_rest() {
    let disk = empty_disk();
    let engine = open(&disk);
    for vb in [Vbid(3), Vbid(7)] {
        engine.create(vb).expect("an empty store");
    }
    drop(engine);
    let damaged = disk.create(&Path::new(DIR).join("7.couch.9")).expect("new");
    damaged.write_at(&[&[0xAB; 8_192]], 0).expect("written");
    let engine = open(&disk);
    let done = EngineCall::Reopen.run(&engine);
    let Ok(EngineAnswer::Reopened {
        attached,
        unreadable,
    }) = &done.result
    else {
        panic!("{done:?}");
    };
    let attached: Vec<_> = attached
        .iter()
        .map(|found| (found.vb, found.high))
        .collect();
    assert_eq!(attached, [(Vbid(3), Seqno::ZERO)]);
    assert!(
        matches!(unreadable[..], [(Vbid(7), EngineError::Corrupt { .. })]),
        "{unreadable:?}"
    );
}
